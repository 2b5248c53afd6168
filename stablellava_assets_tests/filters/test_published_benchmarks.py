"""Training pairs held against the published benchmarks that a checkpoint will be scored on."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from stablellava_assets.cli.main import main
from stablellava_assets.evaluation.settings import MMBenchSettings, PopeSettings, SuiteSettings
from stablellava_assets.evaluation.suites.fingerprints import suite_fingerprints
from stablellava_assets.filters.benchmark_fingerprints import BenchmarkFingerprint, BenchmarkFingerprints
from stablellava_assets.filters.settings import FilterSettings
from stablellava_assets.tables.schemas import CONTAMINATION, FILTERED_PAIRS, IMAGES, REJECTED_PAIRS
from stablellava_assets.tables.table import AnyTable
from stablellava_assets_tests.conftest import SMALL
from stablellava_assets_tests.evaluation.suite_files import write_mmbench, write_pope
from stablellava_assets_tests.filters.pairs import candidate, judge, noise_png
from stablellava_assets_tests.project import Project
from stablellava_assets_tests.tables.made_up import Row
from stablellava_assets_tests.verdicts import explanations, notes, reasons


def verdict(question: str, *published: BenchmarkFingerprint, name: str = "pair") -> Row:
    prints = BenchmarkFingerprints([], 2, published)
    (row,) = judge([candidate(name, question=f"<image>\n{question}")], [], prints, FilterSettings()).rows
    return row


def test_a_question_of_a_published_benchmark_is_noted_and_keeps_the_pair() -> None:
    item = BenchmarkFingerprint(
        "pope (random) 'Is there a dog in the image?'", "Is there a dog in the image?", "0" * 64, "0" * 16
    )
    for asked in ("Is there a  DOG in the image?", "Is there a dog in the image??"):
        row = verdict(asked, item)
        assert reasons(row) == []
        assert notes(row)[-1].startswith("benchmark_question: Benchmark item pope (random)")
    assert notes(verdict("Is there a cat on the roof?", item)) == []


def test_questions_that_only_pairs_ask_are_no_benchmarks(tmp_path: Path) -> None:
    prints = BenchmarkFingerprints(
        [], 2, [BenchmarkFingerprint("an item", "Is there a dog in the image?", "0" * 64, "0" * 16)]
    )
    pairs = [candidate(name, question=f"<image>\nWhat is going on here{name}?") for name in ("", " now")]
    assert [notes(row) for row in judge(pairs, [], prints, FilterSettings()).rows] == [[], []]


def test_a_picture_of_a_published_benchmark_is_contamination_whatever_its_subject() -> None:
    same = BenchmarkFingerprint("pope (random) 'Is it?'", "Is it?", candidate("pair").image["sha256"], "f" * 16)
    row = verdict("What is going on here?", same)
    assert reasons(row) == ["contaminated_image"]
    assert "benchmark item pope (random) 'Is it?'" in explanations(row)[0]


def test_prints_cover_every_item_and_are_made_once(tmp_path: Path) -> None:
    file, images = write_pope(tmp_path)
    suites: list[SuiteSettings] = [
        PopeSettings(suite="pope", file=file, images=images, instruction="Answer in one word."),
        MMBenchSettings(suite="mmbench", file=write_mmbench(tmp_path)),
    ]
    kept = tmp_path / "kept"
    prints = suite_fingerprints(suites, kept)
    assert [each.question for each in prints[:2]] == ["Is there a red thing in the image?"] * 2
    assert len(prints) == 4
    before = {path: path.stat().st_mtime_ns for path in kept.iterdir()}
    assert suite_fingerprints(suites, kept) == prints
    assert {path: path.stat().st_mtime_ns for path in kept.iterdir()} == before
    row = {"question_id": 3, "image": "red.png", "text": "Is it dark?", "label": "no"}
    file.write_text(file.read_text() + json.dumps(row) + "\n")
    assert [each.question for each in suite_fingerprints(suites, kept)][2] == "Is it dark?"


def published(project: Project, table: AnyTable) -> list[Row]:
    data = project.workspace.store.read(table, ("animal", "0001"))
    assert data is not None
    rows: list[Row] = data.to_pylist()
    return rows


def test_a_training_picture_planted_in_a_benchmark_is_found_by_the_asset(
    own: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = published(own, FILTERED_PAIRS)
    planted = before[0]["image_ids"][0]
    pictures = {row["image_id"]: row for row in published(own, IMAGES)}
    folder = tmp_path / "val2014"
    folder.mkdir()
    with Image.open(io.BytesIO(pictures[planted]["image"]["bytes"])) as picture:
        picture.convert("RGB").save(folder / "planted.jpg", quality=92)
    (folder / "other.png").write_bytes(noise_png("other"))
    question = before[1]["conversations"][0]["value"].replace("<image>", "").strip()
    rows = [
        {"question_id": 1, "image": "planted.jpg", "text": "Is there a tram in the image?", "label": "no"},
        {"question_id": 2, "image": "other.png", "text": question, "label": "no"},
    ]
    file = tmp_path / "coco_pope_random.json"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    external = [{"suite": "pope", "file": str(file), "images": str(folder)}]
    elsewhere = before[-1]["image_ids"][0]
    assert elsewhere != planted
    (tmp_path / "theirs.png").write_bytes(pictures[elsewhere]["image"]["bytes"])
    avoid = [{"name": "theirs", "images": str(tmp_path / "theirs.png")}]
    own.write_profile({**SMALL, "benchmark": {"items_per_kind": 17, "external": external}, "filters": {"avoid": avoid}})
    own.materialize("--select filtered_pairs --partition 'animal|0001'")
    rejected = published(own, REJECTED_PAIRS)
    found = [row for row in rejected if planted in row["image_ids"]]
    assert found
    assert all("contaminated_image" in reasons(row) for row in found)
    assert "pope (random) 'Is there a tram in the image?'" in explanations(found[0])[-1]
    also = [row for row in rejected if elsewhere in row["image_ids"]]
    assert all("contaminated_image" in reasons(row) for row in also)
    assert {row["pair_id"]: row["row_key"] for row in before}.items() <= {
        row["pair_id"]: row["row_key"] for row in [*published(own, FILTERED_PAIRS), *rejected]
    }.items()
    shared = {row["benchmark"]: row for row in published(own, CONTAMINATION)}
    assert shared.keys() == {"ai", "pope", "theirs"}
    assert (shared["pope"]["items"], shared["pope"]["images"]) == (2, [planted])
    assert (shared["theirs"]["items"], shared["theirs"]["images"]) == (1, [elsewhere])
    for name, value in own.environment.items():
        monkeypatch.setenv(name, value)
    told = CliRunner().invoke(main, ["contamination"]).output
    assert re.search(r"^pope +2 +1 +1 ", told, re.MULTILINE)
    assert "Not compared with pope yet: color|0001, scene|0001." in told
    noted = [*published(own, FILTERED_PAIRS), *rejected]
    assert any(note.startswith("benchmark_question") for row in noted for note in notes(row))
