"""Plots of scores and of training, as PNG bytes small enough for a web page's metadata."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stablellava_assets.evaluation.scoring import ALL

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OTHER = {"base": "tuned", "tuned": "base"}
_COLORS = {"base": "#9aa5b1", "tuned": "#2f6fde"}


def scores_chart(scores: Sequence[Mapping[str, Any]]) -> bytes:
    """Base against tuned accuracy, an ability a row and the total last, with 95 % intervals.

    ``scores`` are the ``ability_scores`` rows of one checkpoint; those over all question kinds are drawn.
    """
    from matplotlib.figure import Figure

    over_kinds = {(row["model"], row["ability"]): row for row in scores if row["question_kind"] == ALL}
    # Answers that a judge has yet to grade leave a model without a score.
    both = {ability for model, ability in over_kinds if (_OTHER[model], ability) in over_kinds}
    abilities = [*sorted(both - {ALL}), *sorted(both & {ALL})]
    figure = Figure(figsize=(7.5, 0.42 * len(abilities) + 1.2), layout="constrained")
    axes = figure.subplots()
    for offset, model in ((0.18, "base"), (-0.18, "tuned")):
        rows = [over_kinds[(model, ability)] for ability in abilities]
        places = [len(abilities) - index + offset for index in range(len(abilities))]
        accuracy = [row["accuracy"] for row in rows]
        below = [row["accuracy"] - row["interval_low"] for row in rows]
        above = [row["interval_high"] - row["accuracy"] for row in rows]
        axes.barh(places, accuracy, 0.34, color=_COLORS[model], label=model)
        axes.errorbar(accuracy, places, xerr=[below, above], fmt="none", ecolor="#333333", elinewidth=1, capsize=2)
    names = ["all abilities" if ability == ALL else ability for ability in abilities]
    axes.set_yticks([len(abilities) - index for index in range(len(abilities))], names)
    axes.set_xlim(0, 1)
    axes.set_xlabel("accuracy, with 95 % Wilson intervals")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return _png(figure)


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
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()
