"""Plots are PNGs small enough for a web page's metadata."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from stablellava_assets.evaluation.plots import loss_chart, radar_chart, scores_chart

_MOST_BYTES = 75_000


def rows_of(abilities: int) -> list[dict[str, Any]]:
    names = [f"ability {number}" for number in range(abilities)]
    return [
        {
            "model": model,
            "ability": ability,
            "question_kind": "all",
            "accuracy": accuracy,
            "interval_low": accuracy - 0.1,
            "interval_high": accuracy + 0.05,
        }
        for model, accuracy in (("base", 0.31), ("tuned", 0.94))
        for ability in (*names, "all")
    ]


@pytest.mark.parametrize("reference", [None, {"ability 1": (0.4, 0.6), "all": (0.5, 0.7)}])
def test_charts_of_fourteen_rows_are_small(reference: dict[str, tuple[float, float]] | None) -> None:
    _check(scores_chart(rows_of(13), reference))
    radar = radar_chart(rows_of(13), reference)
    assert radar is not None
    _check(radar)


def test_two_abilities_make_no_radar() -> None:
    assert radar_chart(rows_of(2)) is None


def test_loss_chart_is_small() -> None:
    _check(loss_chart([(step, 5 / step) for step in range(1, 200)]))


def _check(png: bytes) -> None:
    assert len(png) < _MOST_BYTES
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.format == "PNG"
        assert picture.width >= 600
