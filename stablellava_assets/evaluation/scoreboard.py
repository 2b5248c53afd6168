"""The table people came for: an ability a row, the base and the tuned model beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stablellava_assets.abilities.catalog import QUESTION_KINDS
from stablellava_assets.evaluation.scoring import ALL

_HEADER = ("ability", "n", "base", "tuned", "95 % interval", "p", *QUESTION_KINDS)


def scoreboard(scores: Sequence[Mapping[str, Any]], *, markdown: bool) -> str:
    """``ability_scores`` rows of one checkpoint as a table; the last columns are the tuned model's, a question kind each.

    The total comes last. ``markdown`` chooses between a Markdown table and aligned text for a terminal.
    """
    by_key = {(row["model"], row["ability"], row["question_kind"]): row for row in scores}
    abilities = sorted({row["ability"] for row in scores} - {ALL})
    rows = [_line(by_key, ability) for ability in [*abilities, ALL]]
    if markdown:
        lines = [_HEADER, ("---", *("---:" for _ in _HEADER[1:])), *rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    widths = [max(len(line[column]) for line in [_HEADER, *rows]) for column in range(len(_HEADER))]
    rule = tuple("-" * width for width in widths)
    lines = [_HEADER, rule, *rows[:-1], rule, rows[-1]]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def _line(by_key: Mapping[tuple[str, str, str], Mapping[str, Any]], ability: str) -> tuple[str, ...]:
    base, tuned = by_key[("base", ability, ALL)], by_key[("tuned", ability, ALL)]
    kinds = [by_key.get(("tuned", ability, kind)) for kind in QUESTION_KINDS]
    return (
        "all abilities" if ability == ALL else ability,
        str(tuned["n"]),
        f"{base['accuracy']:.3f}",
        f"{tuned['accuracy']:.3f}",
        f"{tuned['interval_low']:.3f} to {tuned['interval_high']:.3f}",
        _p_value(tuned["p_value"]),
        *(f"{kind['accuracy']:.3f}" if kind else "" for kind in kinds),
    )


def _p_value(p: float) -> str:
    if p < 1e-99:
        return "<1e-99"
    return f"{p:.0e}" if p < 0.001 else f"{p:.3f}"
