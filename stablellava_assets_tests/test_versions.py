"""Hand-made version numbers that are part of row keys: what they stand for cannot change while they stay the same.

Outcomes are compared with those in ``outcomes/``, which are named by their maker and its version. Where one is not
there, raise nothing and record it: ``RECORD_OUTCOMES=1 python -m pytest stablellava_assets_tests/test_versions.py``.
Recording leaves pictures and verdicts alone that a version has already; only digests of code, which a change that makes
nothing else may move, are replaced.
"""

from __future__ import annotations

import ast
import base64
import io
import json
import os
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stablellava_assets.filters.alignment import alignment
from stablellava_assets.filters.benchmark_fingerprints import BenchmarkFingerprints
from stablellava_assets.filters.rules import examine
from stablellava_assets.filters.settings import FilterSettings
from stablellava_assets.painters.api import painter as api
from stablellava_assets.painters.diffusion import painter as diffusion
from stablellava_assets.painters.embedded import painter as embedded
from stablellava_assets.pictures.encoding import perceptual_hash
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tuning.embedded import base
from stablellava_assets_tests.fakes.tiny_sdxl import save_sdxl
from stablellava_assets_tests.filters.pairs import candidate, judge, noise_png
from stablellava_assets_tests.painters.checkpoints import painted_by, painter_of
from stablellava_assets_tests.painters.specs import painted, spec
from stablellava_assets_tests.project import ROOT
from stablellava_assets_tests.verdicts import notes, reasons

OUTCOMES = Path(__file__).parent / "outcomes"
RECORDING = "RECORD_OUTCOMES" in os.environ
TOLERATED = 6
"""Grey levels by which processors may differ in rounding; a drawing that changed differs by dozens."""
SCENES = (
    "((pink elephant)), city street, in the center, far away, intricate details, shiny",
    "((donut tree)), city street, on the left, mid-range, highly detailed, 8k",
    "((brown shirt)), beach, on the left, mid-range, 8k, dramatic lighting",
    "((night sky)), giraffe, on the left, far away, vibrant, realistic",
    "((mosaic)), top hat, mountains, on the left, far away, intricate details, soft light",
    "((thermal image)), chair, city street, in the center, mid-range, shiny, intricate details",
)
SCORING = ("filters/alignment/scorers.py", "filters/alignment/likelihoods.py")
BASE_TRAINING = (
    "abilities/captions.py",
    *(f"tuning/{name}.py" for name in ("batches", "conversations", "packing")),
    *(
        f"tuning/embedded/{name}.py"
        for name in (
            *("alignment", "base", "depthwise", "embedded_model", "muon", "optimizer", "training_loop"),
            *("frozen_tower", "reading", "replicas", "several", "tokenizer", "vision_pretraining"),
        )
    ),
)


def code_of(*names: str) -> str:
    """A digest of what modules do: of their words and signs, without imports, comments and
    docstrings, on any version of Python."""
    return content_key([_bare((ROOT / "stablellava_assets" / name).read_text()) for name in names])


def _bare(source: str) -> list[str]:
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        is_docstring = (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        )
        if isinstance(node, ast.stmt) and (is_docstring or isinstance(node, ast.Import | ast.ImportFrom)):
            assert node.end_lineno is not None
            for row in range(node.lineno, node.end_lineno + 1):
                lines[row - 1] = ""
    return " ".join(lines).split()


def assert_pictures(rows: list[dict[str, Any]], name: str, version: int, module: str) -> None:
    """The pictures of ``rows``, side by side, are those that this version was recorded with."""
    pictures = [Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB") for row in rows]
    sheet = Image.new("RGB", (sum(picture.width for picture in pictures), pictures[0].height))
    for number, picture in enumerate(pictures):
        sheet.paste(picture, (number * picture.width, 0))
    path = OUTCOMES / f"{name}_{version}.png"
    if RECORDING and not path.exists():
        sheet.save(path, optimize=True)
    assert path.exists(), f"record what version {version} of {module} paints (see the head of this file)"
    with Image.open(path) as recorded:
        change = np.abs(np.asarray(sheet, dtype=int) - np.asarray(recorded.convert("RGB"), dtype=int))
    assert change.max() <= TOLERATED, f"{module} paints other pixels than before: raise its _VERSION, then record"


def assert_same(found: Any, name: str, version: int, remedy: str, *, is_code: bool = False) -> None:
    path = OUTCOMES / f"{name}_{version}.json"
    if RECORDING and (is_code or not path.exists()):
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    assert path.exists(), f"record what version {version} makes (see the head of this file)"
    assert found == json.loads(path.read_text()), remedy


def test_scenes_of_sprites_are_painted_as_this_version_painted_them() -> None:
    rows = painted(*(spec(prompt, 7) for prompt in SCENES))
    assert [row["reason"] for row in rows] == [None] * len(SCENES)
    assert_pictures(rows, "embedded_painter", embedded._VERSION, "painters/embedded/painter.py")


def test_a_diffusion_checkpoint_paints_as_this_version_painted(tmp_path: Path) -> None:
    painter = painter_of(save_sdxl(tmp_path / "sdxl"), guidance=4.0, batch_size=1)
    specs = [spec("((koala)), tree", 3), {**spec("red car on a road", 4), "negative_prompt": "blurry"}]
    assert_pictures(
        painted_by(painter, *specs), "diffusion_painter", diffusion._VERSION, "painters/diffusion/painter.py"
    )


def test_what_an_endpoint_sends_becomes_the_picture_it_became() -> None:
    found = {}
    for name, picture in _sent().items():
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        _, decoded = api._decoded(base64.b64encode(buffer.getvalue()).decode(), 2.0)
        small = np.asarray(decoded.resize((4, 4), Image.Resampling.BOX)).reshape(-1, 3)
        found[name] = {"looks": perceptual_hash(decoded), "colors": (small // 16).tolist()}
    remedy = "pictures of endpoints come out otherwise: raise _VERSION in painters/api/painter.py, then record"
    assert_same(found, "api_painter", api._VERSION, remedy)


def _sent() -> dict[str, Image.Image]:
    ramp = np.linspace(0, 255, 32, dtype=np.uint8)
    colors = np.stack([np.tile(ramp, (32, 1)), np.tile(ramp[:, None], (1, 32)), np.full((32, 32), 90, np.uint8)], -1)
    rgb = Image.fromarray(colors)
    seen_through = rgb.copy()
    seen_through.putalpha(Image.fromarray(np.tile(ramp, (32, 1)).T.copy()))
    return {"RGB": rgb, "RGBA": seen_through, "grey": rgb.convert("L"), "palette": rgb.quantize(16)}


def test_the_row_rules_say_of_pairs_what_this_version_said() -> None:
    pairs = list(_pairs())
    rows = judge(pairs, [], BenchmarkFingerprints([], 2), FilterSettings()).rows
    found = {row["pair_id"]: {"reasons": reasons(row), "notes": [_rule(note) for note in notes(row)]} for row in rows}
    assert len({reason for row in rows for reason in reasons(row)}) >= 12
    remedy = (
        "a row rule judges otherwise: raise _VERSION in filters/rules/examine.py, or put what tells such pairs into "
        "their keys; then record"
    )
    assert_same(found, "row_rules", examine._VERSION, remedy)


def _rule(note: str) -> str:
    return note.partition(":")[0]


def _pairs() -> Iterator[Any]:
    cases: dict[str, dict[str, Any]] = {
        "good": {},
        "cut off": {"prompt": "((koala)), eucalyptus grove, highly deta"},
        "comma": {"prompt": "((koala)), eucalyptus grove,"},
        "brackets": {"prompt": "((koala), grove, at dawn, 8k"},
        "twice": {"prompt": "((koala)), grove, grove, 8k"},
        "stop": {"prompt": "((koala)), grove, 8k."},
        "many keywords": {"prompt": "((koala)), " + ", ".join(f"thing {number}" for number in range(90))},
        "no answer": {"answer": ""},
        "markup": {"answer": "**A koala** dozes in a tree."},
        "long answer": {"answer": "A koala dozes. " * 400},
        "spaces": {"answer": " A koala  dozes."},
        "no stop": {"answer": "A koala dozes in a tree"},
        "hedged": {"answer": "It may be a koala, it is hard to say."},
        "another subject": {"answer": "A tram turns a corner."},
        "given away": {
            "kind": "what",
            "question": "<image>\nWhat koala is it?",
            "answer": "A koala.",
            "expected": "koala",
        },
        "expected": {"kind": "what", "question": "<image>\nWhat is it?", "answer": "A bear.", "expected": "koala"},
        "no mark": {"question": "What is going on here?"},
        "two marks": {"question": "<image>\n<image>\nWhat is going on here?"},
        "policeman": {"prompt": "((policeman)), street, 8k", "subject": "policeman", "answer": "A policewoman waves."},
        "pianist": {"prompt": "((pianist)), hall, 8k", "subject": "pianist", "answer": "Somebody plays the piano."},
        "photographer": {
            "prompt": "((photographer)), hill, 8k",
            "subject": "photographer",
            "answer": "A man with a camera.",
        },
        "blank": {"picture": _flat()},
        "broken": {"picture": b"not a picture"},
        "size": {"picture": noise_png("size", 32)},
    }
    for name, changes in cases.items():
        yield candidate(name, **changes)


def _flat() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (24, 24), (90, 90, 90)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "version", "modules", "module"),
    [
        ("alignment_scores", alignment._VERSION, SCORING, "filters/alignment/alignment.py"),
        ("base", base._VERSION, BASE_TRAINING, "tuning/embedded/base.py"),
    ],
)
def test_code_whose_outcome_depends_on_the_processor_is_what_it_was(
    name: str, version: int, modules: tuple[str, ...], module: str
) -> None:
    remedy = (
        f"the code behind _VERSION of {module} has changed: raise it if anything comes out otherwise. Then record: "
        "RECORD_OUTCOMES=1 python -m pytest stablellava_assets_tests/test_versions.py"
    )
    assert_same(code_of(*modules), name, version, remedy, is_code=True)
