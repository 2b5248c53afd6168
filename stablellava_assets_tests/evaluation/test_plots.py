"""Plots are PNGs small enough for a web page's metadata."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from PIL import Image

from stablellava_assets.report.plots import loss_chart, radar_chart, scores_chart
from stablellava_assets_tests.evaluation.suite_files import MMBENCH_CATEGORIES
from stablellava_assets_tests.tables.made_up import Row

_MOST_BYTES = 75_000


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that become PNGs in a test, in turn."""
    figures: list[Figure] = []
    saved = Figure.savefig

    def save(figure: Figure, *arguments: Any, **options: Any) -> None:
        saved(figure, *arguments, **options)
        figures.append(figure)

    monkeypatch.setattr(Figure, "savefig", save)
    return figures


def rows_of(abilities: int) -> list[Row]:
    return rows_named([f"ability {number}" for number in range(abilities)])


def rows_named(names: Sequence[str]) -> list[Row]:
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


@pytest.mark.parametrize("abilities", [2, 37])
def test_too_few_or_too_many_abilities_make_no_radar(abilities: int) -> None:
    assert radar_chart(rows_of(abilities)) is None


@pytest.mark.parametrize(
    ("names", "listed"),
    [
        (MMBENCH_CATEGORIES, True),
        ([f"an_ability_of_our_own_{number}" for number in range(22)], True),
        ([f"skill_{number}" for number in range(36)], True),
        (MMBENCH_CATEGORIES[1:8], False),
        ([f"an_ability_with_a_name_that_hardly_ends_{'x' * 30}_{number}" for number in range(8)], True),
        (
            ["abnormal", "action", "animal", "clothes", "color", "food", "furniture", "hair", "plant", "profession"],
            False,
        ),
    ],
    ids=["mmbench", "own", "most", "seven", "endless", "ten"],
)
def test_labels_of_a_radar_neither_overlap_nor_are_cut(names: Sequence[str], listed: bool, drawn: list[Figure]) -> None:
    png = radar_chart(rows_named(names))
    assert png is not None
    _check(png)
    (figure,) = drawn
    (axes,) = figure.axes
    labels = [label.get_window_extent() for label in axes.get_xticklabels()]
    assert len(labels) == len(names)
    below = [text for legend in figure.legends[1:] for text in legend.get_texts()]
    assert len(below) == (len(names) if listed else 0)
    series = figure.legends[0].get_texts()
    written = [*labels, *(text.get_window_extent() for text in [*below, *series])]
    assert not any(one.overlaps(other) for one, other in combinations(written, 2))
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for box in written)
    assert all(figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1 for box in written)


def test_bars_and_whiskers_stand_out(drawn: list[Figure]) -> None:
    """At least 3 to 1, the contrast WCAG 2 asks of what a chart is read from."""
    scores_chart(rows_of(3))
    (axes,) = drawn[0].axes
    filled: list[Any] = [bar.get_facecolor() for bar in axes.patches]
    bars = set(map(to_hex, filled))
    assert len(bars) == 2
    drawn_over: list[Any] = [lines.get_edgecolor() for lines in axes.collections if isinstance(lines, LineCollection)]
    whiskers = [to_hex(colours[0]) for colours in drawn_over]
    # Those on white come after the white that parts them from the bar.
    assert whiskers[0::2] == ["#ffffff", "#ffffff"]
    for colour in (*bars, *whiskers[1::2]):
        assert _contrast(colour, "#ffffff") >= 3, colour


def test_the_mean_of_the_paper_is_of_the_abilities_drawn(drawn: list[Figure]) -> None:
    scores_chart(
        rows_named(["animal", "clothes", "color"]), {"animal": (0.7, 0.9), "color": (0.5, 0.6), "food": (0, 0)}
    )
    (axes,) = drawn[0].axes
    (after,) = [line for line in axes.lines if str(line.get_label()).startswith("StableLLaVA")]
    assert list(np.asarray(after.get_xdata())) == pytest.approx([0.9, 0.6, 0.75])
    assert axes.get_yticklabels()[-1].get_text() == "all abilities\npaper: mean of 2 of these 3"
    scores_chart(rows_named(["animal", "color"]), {"animal": (0.7, 0.9), "color": (0.5, 0.6), "food": (0, 0)})
    assert drawn[1].axes[0].get_yticklabels()[-1].get_text() == "all abilities"


def test_loss_chart_is_small() -> None:
    _check(loss_chart([(step, 5 / step) for step in range(1, 200)]))


def _check(png: bytes) -> None:
    assert len(png) < _MOST_BYTES
    with Image.open(io.BytesIO(png)) as picture:
        assert picture.format == "PNG"
        assert picture.width >= 600


def _contrast(one: str, other: str) -> float:
    """As WCAG 2 defines it, 1 to 21."""
    darker, lighter = sorted(map(_light, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def _light(colour: str) -> float:
    parts = np.asarray(to_rgb(colour))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))
