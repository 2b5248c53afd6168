"""Plots of scores and of training, as PNG bytes small enough for a web page's metadata."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stablellava_assets.evaluation.verdicts import ALL

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OTHER = {"base": "tuned", "tuned": "base"}
_COLORS = {"base": "#9aa5b1", "tuned": "#2f6fde", "paper": "#b0600a"}
_PAPER = "StableLLaVA paper: another model"
_FEWEST_AXES = 3


def scores_chart(
    scores: Sequence[Mapping[str, Any]], reference: Mapping[str, tuple[float, float]] | None = None
) -> bytes:
    """Base against tuned accuracy, an ability a row and the total last, with 95 % intervals.

    ``scores`` are the ``ability_scores`` rows of one checkpoint and benchmark; those over all question kinds are drawn. ``reference``
    holds the paper's figures before and after, by ability.
    """
    from matplotlib.figure import Figure

    over_kinds, abilities = _over_kinds(scores)
    figure = Figure(figsize=(7.5, 0.42 * len(abilities) + 1.2), layout="constrained")
    axes = figure.subplots()
    height, offsets = (0.26, (0.26, 0.0)) if reference else (0.34, (0.18, -0.18))
    for offset, model in zip(offsets, ("base", "tuned"), strict=True):
        rows = [over_kinds[(model, ability)] for ability in abilities]
        places = [len(abilities) - index + offset for index in range(len(abilities))]
        accuracy = [row["accuracy"] for row in rows]
        below = [row["accuracy"] - row["interval_low"] for row in rows]
        above = [row["interval_high"] - row["accuracy"] for row in rows]
        axes.barh(places, accuracy, height, color=_COLORS[model], label=model)
        axes.errorbar(accuracy, places, xerr=[below, above], fmt="none", ecolor="#333333", elinewidth=1, capsize=2)
    if reference:
        drawn = [ability for ability in abilities if ability in reference]
        places = [len(abilities) - abilities.index(ability) - 0.24 for ability in drawn]
        before, after = zip(*(reference[ability] for ability in drawn), strict=True)
        axes.hlines(places, before, after, color=_COLORS["paper"], linewidth=1.2)
        axes.plot(before, places, "o", color=_COLORS["paper"], markersize=4, markerfacecolor="white")
        axes.plot(after, places, "o", color=_COLORS["paper"], markersize=4, label=_PAPER)
    names = ["all abilities" if ability == ALL else ability for ability in abilities]
    axes.set_yticks([len(abilities) - index for index in range(len(abilities))], names)
    axes.set_xlim(0, 1)
    axes.set_xlabel("accuracy, with 95 % Wilson intervals")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return _png(figure)


def radar_chart(
    scores: Sequence[Mapping[str, Any]], reference: Mapping[str, tuple[float, float]] | None = None
) -> bytes | None:
    """The same by ability as a radar; None where there are fewer than three abilities, of which none can be made."""
    from matplotlib.figure import Figure

    over_kinds, abilities = _over_kinds(scores)
    abilities = [ability for ability in abilities if ability != ALL]
    if len(abilities) < _FEWEST_AXES:
        return None
    angles = [2 * math.pi * index / len(abilities) for index in range(len(abilities))]
    closed = [*angles, angles[0]]
    figure = Figure(figsize=(6, 5.4), layout="constrained")
    axes: Any = figure.subplots(subplot_kw={"projection": "polar", "theta_offset": math.pi / 2, "theta_direction": -1})
    for model in ("base", "tuned"):
        rows = [over_kinds[(model, ability)] for ability in [*abilities, abilities[0]]]
        low, high = ([row[column] for row in rows] for column in ("interval_low", "interval_high"))
        axes.fill_between(closed, low, high, color=_COLORS[model], alpha=0.2, linewidth=0)
        axes.plot(closed, [row["accuracy"] for row in rows], color=_COLORS[model], linewidth=2, label=model)
    if reference:
        after = [reference[ability][1] if ability in reference else math.nan for ability in [*abilities, abilities[0]]]
        axes.plot(closed, after, "o--", color=_COLORS["paper"], markersize=4, linewidth=1.2, label=_PAPER)
    axes.set_xticks(angles, abilities)
    axes.set_ylim(0, 1)
    axes.set_yticks([0.25, 0.5, 0.75, 1.0])
    axes.set_rlabel_position(180 / len(abilities))
    axes.tick_params(axis="y", labelsize=8, labelcolor="#666666")
    axes.tick_params(axis="x", pad=14)
    axes.grid(color="#dddddd")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.1), ncols=3, frameon=False)
    return _png(figure)


def _over_kinds(
    scores: Sequence[Mapping[str, Any]],
) -> tuple[dict[tuple[str, str], Mapping[str, Any]], list[str]]:
    """The rows over all question kinds, by model and ability, and the abilities with the total last."""
    rows = {(row["model"], row["ability"]): row for row in scores if row["question_kind"] == ALL}
    # Answers that a judge has yet to grade leave a model without a score.
    both = {ability for model, ability in rows if (_OTHER[model], ability) in rows}
    return rows, [*sorted(both - {ALL}), *sorted(both & {ALL})]


def loss_chart(curve: Sequence[tuple[int, float]]) -> bytes:
    """Training loss by optimizer step."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, 2.6), layout="constrained")
    axes = figure.subplots()
    axes.plot([step for step, _ in curve], [loss for _, loss in curve], color=_COLORS["tuned"])
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.set_yscale("log")
    axes.spines[["top", "right"]].set_visible(False)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    """With a palette, as a few flat colours and their edges take a third of the bytes that way."""
    from PIL import Image

    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=100)
    with Image.open(drawn) as picture:
        picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()
