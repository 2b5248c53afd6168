"""Plots of scores and of training, as PNG bytes small enough for asset metadata."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stablellava_assets.evaluation.rounds import Round
from stablellava_assets.evaluation.scores.verdicts import ALL
from stablellava_assets.pictures.figures import png_of
from stablellava_assets.report.paper import mean_note, reported
from stablellava_assets.report.radar import FEWEST_AXES, MOST_AXES, Radar
from stablellava_assets.tables.score_rows import JudgedScore

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OTHER = {"base": "tuned", "tuned": "base"}
_COLORS = {"base": "#7d8996", "tuned": "#2f6fde", "paper": "#b0600a"}
_PAPER = "StableLLaVA paper: another model"
_CHARACTERS_A_LINE = 24
_CHARACTERS_LISTED = 42
_LISTED = 0.1
"""Height in inches per name in the list below a radar chart, which has two columns."""

Reference = Mapping[str, tuple[float, float]]


def scores_chart(scores: Sequence[JudgedScore], reference: Reference | None = None) -> bytes:
    """Base and tuned accuracy with 95 % intervals, one row per ability and the total last.

    ``scores`` are the ``ability_scores`` rows of one checkpoint and benchmark, of which those over all
    question kinds are drawn. ``reference`` holds the paper's figures before and after by ability; their
    mean is drawn beside the total.
    """
    from matplotlib.figure import Figure

    over_kinds, abilities = _over_kinds(scores)
    paper = reported(reference or {}, [ability for ability in abilities if ability != ALL])
    figure = Figure(figsize=(7.5, 0.42 * len(abilities) + 1.2), layout="constrained")
    axes = figure.subplots()
    height, offsets = (0.26, (0.26, 0.0)) if paper else (0.34, (0.18, -0.18))
    for offset, model in zip(offsets, ("base", "tuned"), strict=True):
        rows = [over_kinds[(model, ability)] for ability in abilities]
        places = [len(abilities) - index + offset for index in range(len(abilities))]
        axes.barh(places, [row["accuracy"] for row in rows], height, color=_COLORS[model], label=model)
        _draw_intervals(axes, rows, places)
    if paper:
        drawn = [ability for ability in abilities if ability in paper]
        places = [len(abilities) - abilities.index(ability) - 0.24 for ability in drawn]
        before, after = zip(*(paper[ability] for ability in drawn), strict=True)
        axes.hlines(places, before, after, color=_COLORS["paper"], linewidth=1.2)
        axes.plot(before, places, "o", color=_COLORS["paper"], markersize=4, markerfacecolor="white")
        axes.plot(after, places, "o", color=_COLORS["paper"], markersize=4, label=_PAPER)
    total = f"all abilities\n{mean_note(len(paper) - 1, len(abilities) - 1)}".strip()
    names = [total if ability == ALL else textwrap.fill(_words(ability), _CHARACTERS_A_LINE) for ability in abilities]
    axes.set_yticks([len(abilities) - index for index in range(len(abilities))], names)
    axes.set_xlim(0, 1)
    axes.set_xlabel("accuracy, with 95 % Wilson intervals")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return png_of(figure)


def _draw_intervals(axes: Any, rows: Sequence[JudgedScore], places: Sequence[float]) -> None:
    """Whiskers on a white outline, so that they are visible on the bars."""
    accuracy = [row["accuracy"] for row in rows]
    below = [row["accuracy"] - row["interval_low"] for row in rows]
    above = [row["interval_high"] - row["accuracy"] for row in rows]
    for color, width in (("#ffffff", 2.5), ("#333333", 1.0)):
        axes.errorbar(
            accuracy,
            places,
            xerr=[below, above],
            fmt="none",
            ecolor=color,
            elinewidth=width,
            capsize=2 + width / 3,
            capthick=width,
        )


def radar_chart(scores: Sequence[JudgedScore], reference: Reference | None = None) -> bytes | None:
    """The same scores as a radar chart; None for fewer than three abilities or too many to be legible."""
    from matplotlib.figure import Figure

    over_kinds, abilities = _over_kinds(scores)
    abilities = [ability for ability in abilities if ability != ALL]
    if not FEWEST_AXES <= len(abilities) <= MOST_AXES:
        return None
    radar = Radar(abilities)
    angles = [2 * math.pi * index / len(abilities) for index in range(len(abilities))]
    closed = [*angles, angles[0]]
    figure = Figure(figsize=(6, 5.4 + (_LISTED * len(abilities) if radar.numbered else 0)), layout="constrained")
    axes: Any = figure.subplots(subplot_kw={"projection": "polar", "theta_offset": math.pi / 2, "theta_direction": -1})
    for model in ("base", "tuned"):
        rows = [over_kinds[(model, ability)] for ability in [*abilities, abilities[0]]]
        low, high = [row["interval_low"] for row in rows], [row["interval_high"] for row in rows]
        axes.fill_between(closed, low, high, color=_COLORS[model], alpha=0.2, linewidth=0)
        axes.plot(closed, [row["accuracy"] for row in rows], color=_COLORS[model], linewidth=2, label=model)
    if paper := reported(reference or {}, abilities):
        after = [paper[ability].after if ability in paper else math.nan for ability in [*abilities, abilities[0]]]
        axes.plot(closed, after, "o--", color=_COLORS["paper"], markersize=4, linewidth=1.2, label=_PAPER)
    axes.set_xticks(angles, ["\n".join(axis.lines) for axis in radar.axes])
    axes.set_ylim(0, 1)
    axes.set_yticks([0.25, 0.5, 0.75, 1.0])
    axes.set_rlabel_position(180 / len(abilities))
    axes.tick_params(axis="y", labelsize=8, labelcolor="#666666")
    axes.tick_params(axis="x", pad=20)
    axes.grid(color="#dddddd")
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    if radar.numbered:
        _list_names(figure, abilities)
    return png_of(figure)


def _list_names(figure: Figure, abilities: Sequence[str]) -> None:
    """The names behind the numbers of the axes, in two columns below them."""
    from matplotlib.lines import Line2D

    names = [
        textwrap.fill(f"{number}  {_words(ability)}", _CHARACTERS_LISTED) for number, ability in enumerate(abilities, 1)
    ]
    nothing = [Line2D([], [], linestyle="none") for _ in names]
    figure.legend(nothing, names, loc="outside lower center", ncols=2, handlelength=0, fontsize=9, frameon=False)


def _words(ability: str) -> str:
    return ability.replace("_", " ")


def _over_kinds(
    scores: Sequence[JudgedScore],
) -> tuple[dict[tuple[str, str], JudgedScore], list[str]]:
    """The rows over all question kinds by model and ability, and the abilities with the total last."""
    rows = {
        (row["model"], row["ability"]): row for row in scores if row["question_kind"] == ALL and row["model"] in _OTHER
    }
    # A model has no score while its answers wait for a judge.
    both = {ability for model, ability in rows if (_OTHER[model], ability) in rows}
    return rows, [*sorted(both - {ALL}), *sorted(both & {ALL})]


def rounds_chart(rounds: Sequence[Round]) -> bytes:
    """Accuracy over all abilities by round, with 95 % intervals, and that of each ability as a thin line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, 3.4), layout="constrained")
    axes = figure.subplots()
    by_ability: dict[str, list[tuple[int, float]]] = {}
    for one in rounds:
        for row in one.scores:
            if row["ability"] != ALL:
                by_ability.setdefault(row["ability"], []).append((one.number, row["accuracy"]))
    for points in by_ability.values():
        axes.plot(*zip(*points, strict=True), color=_COLORS["base"], linewidth=0.8, alpha=0.6)
    totals = [one.total for one in rounds]
    accuracy = [row["accuracy"] for row in totals]
    axes.errorbar(
        [one.number for one in rounds],
        accuracy,
        yerr=[
            [row["accuracy"] - row["interval_low"] for row in totals],
            [row["interval_high"] - row["accuracy"] for row in totals],
        ],
        color=_COLORS["tuned"],
        marker="o",
        capsize=3,
        label="all abilities, with 95 % Wilson intervals; thin: each ability",
    )
    axes.set_xticks([one.number for one in rounds], [f"{one.number}\n{one.pairs:,} pairs" for one in rounds])
    axes.set_xlabel("round")
    axes.set_ylabel("accuracy")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return png_of(figure)


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
    return png_of(figure)
