"""The table people came for: an ability a row, the base and the tuned model beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stablellava_assets.evaluation.verdicts import ALL

_HEADER = ("ability", "n", "base", "tuned", "95 % interval", "p (Holm)", "verdict")


def scoreboard(scores: Sequence[Mapping[str, Any]], *, markdown: bool) -> str:
    """``ability_scores`` rows of one checkpoint, a table a benchmark; the last columns are the tuned model's, a question kind each.

    The total comes last. ``markdown`` chooses between Markdown tables and aligned text for a terminal. Benchmarks are
    named where there are several.
    """
    benchmarks = list(dict.fromkeys(row["benchmark"] for row in scores))
    tables = []
    for benchmark in benchmarks:
        table = _table([row for row in scores if row["benchmark"] == benchmark], markdown)
        tables.append(f"benchmark {benchmark}\n\n{table}" if len(benchmarks) > 1 else table)
    return "\n\n".join(tables)


def _table(scores: Sequence[Mapping[str, Any]], markdown: bool) -> str:
    by_key = {(row["model"], row["ability"], row["question_kind"]): row for row in scores}
    abilities = sorted({row["ability"] for row in scores} - {ALL})
    kinds = [kind for kind in dict.fromkeys(row["question_kind"] for row in scores) if kind != ALL]
    header = (*_HEADER, *kinds)
    rows = [_line(by_key, ability, kinds) for ability in [*abilities, ALL]]
    if markdown:
        lines = [header, ("---", *("---:" for _ in header[1:])), *rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    widths = [max(len(line[column]) for line in [header, *rows]) for column in range(len(header))]
    rule = tuple("-" * width for width in widths)
    lines = [header, rule, *rows[:-1], rule, rows[-1]]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def _line(
    by_key: Mapping[tuple[str, str, str], Mapping[str, Any]], ability: str, kinds: Sequence[str]
) -> tuple[str, ...]:
    base, tuned = by_key[("base", ability, ALL)], by_key[("tuned", ability, ALL)]
    of_kind = [by_key.get(("tuned", ability, kind)) for kind in kinds]
    return (
        "all abilities" if ability == ALL else ability,
        str(tuned["n"]),
        f"{base['accuracy']:.3f}",
        f"{tuned['accuracy']:.3f}",
        f"{tuned['interval_low']:.3f} to {tuned['interval_high']:.3f}",
        p_value_text(tuned["p_holm"]),
        tuned["verdict"] or "",
        *(f"{kind['accuracy']:.3f}" if kind else "" for kind in of_kind),
    )


def p_value_text(p: float | None) -> str:
    """A p-value for people; nothing where there is none, as in scores that an earlier version stored."""
    if p is None:
        return ""
    if p < 1e-99:
        return "<1e-99"
    return f"{p:.0e}" if p < 0.001 else f"{p:.3f}"
