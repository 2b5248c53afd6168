"""The diffusion painter makes the further images of a group from its first image."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from stablellava_assets.painters.base import PainterError
from stablellava_assets.painters.diffusion.painter import DiffusionPainter, job_of
from stablellava_assets.painters.spread import SpreadPainter
from stablellava_assets.tables.schemas import IMAGES
from stablellava_assets_tests.painters.checkpoints import Watched, painted_by, painter_of, pixels, settings_of
from stablellava_assets_tests.painters.specs import spec
from stablellava_assets_tests.painters.test_api_edits import PAIR, group
from stablellava_assets_tests.painters.test_provenance import properties
from stablellava_assets_tests.tables.made_up import Row, but

PAINTING = "{urn:stablellava-assets:painting:1#}"


def distance(one: Row, other: Row) -> float:
    return float(np.abs(pixels(one) - pixels(other)).mean())


@pytest.mark.parametrize("kind", ["sdxl", "sd"])
def test_an_edit_is_made_of_its_original(kind: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(kind)
    if kind == "sd":  # Its safety checker objects to everything.
        folder = without_safety_checker(folder)
    plain = painter_of(folder, batch_size=1)
    first, same_seed, koala = painted_by(plain, *PAIR, spec("koala", 5))
    # The edit comes before its original, and others between them.
    painter = painter_of(folder, edit_strength=0.4, batch_size=1)
    second, other, original = painted_by(painter, PAIR[1], spec("koala", 5), PAIR[0])
    for row in (original, second):
        IMAGES.from_rows([but(row, run_id="a run")])
    assert (original["sha256"], other["sha256"]) == (first["sha256"], koala["sha256"])
    assert second["sha256"] != same_seed["sha256"]
    said = properties(second["image"]["bytes"])
    assert (said[f"{PAINTING}EditOf"], said[f"{PAINTING}Strength"]) == (original["image_id"], "0.4")
    assert f"{PAINTING}EditOf" not in properties(other["image"]["bytes"])
    (of_another,) = painter.paint(
        painter.plan(PAIR)[1:], lambda wanted: ((row_id, koala["image"]["bytes"]) for row_id, _ in wanted)
    )
    assert of_another["sha256"] != second["sha256"]


def without_safety_checker(folder: Path) -> Path:
    from diffusers import StableDiffusionPipeline

    saved = folder.parent / "without-safety-checker"
    if not saved.exists():
        StableDiffusionPipeline.from_pretrained(folder, safety_checker=None).save_pretrained(saved)
    return saved


def test_edits_are_the_same_in_batches_and_repeated_exactly(sdxl: Path) -> None:
    groups = [
        each for name in "abc" for each in group(name, "a ((lion)), forest", "a ((tiger)), forest", "a cat, forest")
    ]
    together = painted_by(painter_of(sdxl, edit_strength=0.7, batch_size=4), *groups)
    alone = painted_by(painter_of(sdxl, edit_strength=0.7, batch_size=1), *groups)
    assert max(distance(*pair) for pair in zip(together, alone, strict=True)) < 1
    again = painted_by(painter_of(sdxl, edit_strength=0.7, batch_size=1), *groups)
    assert [row["sha256"] for row in again] == [row["sha256"] for row in alone]


def test_what_was_painted_before_is_edited_by_any_number_of_workers(sdxl: Path) -> None:
    settings = settings_of(sdxl, edit_strength=0.7, batch_size=1)
    groups = [each for name in "ab" for each in group(name, f"a lion {name}", f"a tiger {name}")]
    painter = DiffusionPainter(settings, sdxl.parent / "edits.json")
    planned = painter.plan(groups)
    alone = {row["image_id"]: row for row in painter.paint(planned)}

    def finished(wanted: Any) -> Any:
        return ((row_id, alone[row_id]["image"]["bytes"]) for row_id, _ in wanted)  # type: ignore[index]

    later = [planned[1], *planned[2:]]
    assert {row["sha256"] for row in painter.paint(later, finished)} == {alone[row.row_id]["sha256"] for row in later}
    make = partial(DiffusionPainter, settings, sdxl.parent / "edits.json")
    spread = list(SpreadPainter(make(), make, 2, job_of).paint(later, finished))
    assert {row["image_id"]: row["status"] for row in spread} == {row.row_id: "made" for row in later}
    assert max(distance(row, alone[row["image_id"]]) for row in spread) < 1


def test_without_its_original_an_edit_fails_with_that_reason(sdxl: Path) -> None:
    def blank(seeds: list[int], images: Any) -> None:
        images.zero_()

    first, second = painted_by(painter_of(sdxl, Watched(after=blank), edit_strength=0.5, retries=0), *PAIR)
    assert second["status"] == first["status"] == "failed"
    assert second["reason"] == f"there is no first image of its group to edit: {first['reason']}"
    painter = painter_of(sdxl, edit_strength=0.5)
    (alone,) = painter.paint(painter.plan(PAIR)[1:])
    assert alone["reason"] == "there is no first image of its group to edit"


def test_only_edits_have_other_keys(sdxl: Path) -> None:
    different = group("different", "a ((lion))", "a ((tiger))", seeds=(1, 2))
    specs = [spec("koala", 5), *PAIR, *different]
    plain, weak, strong = (
        [row.row_key for row in painter_of(sdxl, edit_strength=strength).plan(specs)] for strength in (None, 0.5, 0.8)
    )
    assert [one == other for one, other in zip(plain, weak, strict=True)] == [True, True, False, True, True]
    assert [one == other for one, other in zip(weak, strong, strict=True)] == [True, True, False, True, True]


def test_a_checkpoint_that_cannot_edit_is_refused(sdxl: Path) -> None:
    def renamed(settings: Any) -> Any:
        pipeline = Watched()(settings)
        type(pipeline).__name__ = "OtherPipeline"
        return pipeline

    with pytest.raises(
        PainterError, match=r"painter\.edit_strength: there is no image-to-image pipeline for OtherPipe"
    ):
        painted_by(painter_of(sdxl, renamed, edit_strength=0.5), *PAIR)


@pytest.mark.parametrize(
    ("settings", "mistake"),
    [
        ({"edit_strength": 0.5, "offload": True, "device": "cuda"}, "edits cannot be made while parts are offloaded"),
        ({"edit_strength": 0.2}, "0.2 of 3 steps is no step"),
        ({"edit_strength": 0}, "greater than 0"),
    ],
)
def test_strengths_that_edit_nothing_are_refused(sdxl: Path, settings: dict[str, Any], mistake: str) -> None:
    with pytest.raises(ValidationError, match=mistake):
        settings_of(sdxl, **settings)
