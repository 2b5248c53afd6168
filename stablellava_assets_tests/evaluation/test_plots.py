"""Plots are PNGs small enough for a web page's metadata."""

from __future__ import annotations

import io

from PIL import Image

from stablellava_assets.evaluation.plots import loss_chart, scores_chart

_MOST_BYTES = 75_000


def test_scores_chart_of_fourteen_rows_is_small() -> None:
    abilities = [f"ability {number}" for number in range(13)]
    rows = [
        {
            "model": model,
            "ability": ability,
            "question_kind": "all",
            "accuracy": accuracy,
            "interval_low": accuracy - 0.1,
            "interval_high": accuracy + 0.05,
        }
        for model, accuracy in (("base", 0.31), ("tuned", 0.94))
        for ability in (*abilities, "all")
    ]
    _check(scores_chart(rows))


def test_loss_chart_is_small() -> None:
    _check(loss_chart([(step, 5 / step) for step in range(1, 200)]))


def _check(png: bytes) -> None:
    assert len(png) < _MOST_BYTES
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.format == "PNG"
        assert picture.width >= 600
