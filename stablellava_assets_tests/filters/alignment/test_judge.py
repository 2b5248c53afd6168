"""Choosing between images of one prompt by their alignment scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stablellava_assets.filters.alignment.judge import AlignmentJudge
from stablellava_assets.filters.alignment.models import OwnCheckpoint
from stablellava_assets.filters.settings import AlignmentSettings
from stablellava_assets.models.loading import PretrainedModelError
from stablellava_assets_tests.filters.alignment.tiny_scorers import CATALOG, asks_subject, clip_checkpoint, spec
from stablellava_assets_tests.tables.made_up import but
from stablellava_assets_tests.tuning.tiny import picture

RED, BLUE = spec("red umbrella"), spec("blue umbrella")
SHOWN = [(each, picture(color)) for each in (RED, BLUE) for color in ("red", "blue")]


def judge(checkpoint: OwnCheckpoint | None = None, **settings: Any) -> AlignmentJudge:
    return AlignmentJudge(AlignmentSettings.model_validate(settings), CATALOG, lambda: checkpoint)


def test_the_image_that_shows_its_prompt_scores_higher(checkpoint: OwnCheckpoint) -> None:
    asked = judge(checkpoint, **asks_subject())
    asked.prepare([RED, BLUE])
    red_red, red_blue, blue_red, blue_blue = asked.scores(SHOWN)
    assert red_red > red_blue
    assert blue_blue > blue_red
    assert asked.scores([]) == []


def test_of_several_scorers_the_product_counts(checkpoint: OwnCheckpoint, tmp_path: Path) -> None:
    clip = {"clip": {"model": str(clip_checkpoint(tmp_path / "clip")), "min_score": 0, "batch_size": 3}}
    scores = []
    for settings in (asks_subject(), clip, {**asks_subject(), **clip}):
        asked = judge(checkpoint, **settings)
        asked.prepare([RED, BLUE])
        scores.append(asked.scores(SHOWN))
    facts, captions, both = scores
    assert both == pytest.approx([one + other for one, other in zip(facts, captions, strict=True)], abs=1e-3)


def test_the_key_covers_what_is_asked_and_by_whom_but_no_threshold(checkpoint: OwnCheckpoint) -> None:
    key = judge(**asks_subject()).key_of(RED)
    assert key == judge(checkpoint, **asks_subject(0.9)).key_of(RED), "neither threshold nor round"
    others = [
        judge(**asks_subject(model="previous_base", answers="catalog")).key_of(RED),
        judge(**asks_subject(answers="yes")).key_of(RED),
        judge(**asks_subject()).key_of(BLUE),
    ]
    assert len({key, *others}) == 4
    assert judge(**asks_subject()).key_of(but(RED, facts=[])) is None, "nothing to ask"


def test_models_that_are_not_there_are_told_before_anything_is_painted() -> None:
    with pytest.raises(PretrainedModelError, match=r"ask\.subject\.model: previous: no checkpoint .* painter\.best_of"):
        judge(**asks_subject()).prepare([RED])
