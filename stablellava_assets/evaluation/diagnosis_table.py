"""A diagnosis as a table: what every ability gets wrong most often."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from stablellava_assets.evaluation.kinds import CONFUSION, EXPECTED, KIND, SUBJECT, WORDING
from stablellava_assets.evaluation.scores.statistics import wilson_interval
from stablellava_assets.tables.score_rows import DiagnosisColumns

_HEADER = ("ability", "asked", "wrong", "error rate", "weakest subjects", "weak otherwise", "taken for")
_NAMED = 3
"""How many subjects, facets and confusions are named at most."""


def diagnosis_table(rows: Iterable[DiagnosisColumns]) -> tuple[Sequence[str], list[Sequence[str]]]:
    """Header and lines, one per ability, those with the most mistakes first."""
    by_ability: defaultdict[str, list[DiagnosisColumns]] = defaultdict(list)
    for row in rows:
        by_ability[row["ability"]].append(row)
    lines = [(_counts(of_ability), ability, of_ability) for ability, of_ability in by_ability.items()]
    lines.sort(key=lambda line: (-line[0][0] / line[0][1], line[1]))
    return _HEADER, [_line(ability, *counts, of_ability) for counts, ability, of_ability in lines]


def _counts(rows: Iterable[DiagnosisColumns]) -> tuple[int, int]:
    """Wrong answers, and items asked."""
    of_kinds = [row for row in rows if row["facet"] == KIND]
    return sum(row["wrong"] for row in of_kinds), sum(row["n"] for row in of_kinds)


def _line(ability: str, wrong: int, n: int, rows: Sequence[DiagnosisColumns]) -> Sequence[str]:
    low, high = wilson_interval(wrong, n)
    ranked = sorted(rows, key=lambda row: (-row["interval_low"], row["facet"], row["value"]))
    subjects = [row for row in ranked if row["facet"] == SUBJECT and row["wrong"]]
    others = [
        row for row in ranked if row["facet"] not in (SUBJECT, WORDING, CONFUSION) and row["interval_low"] > wrong / n
    ]
    return (
        ability,
        str(n),
        str(wrong),
        f"{wrong / n:.3f} ({low:.2f} to {high:.2f})",
        ", ".join(f"{row['value']} ({row['wrong']} of {row['n']})" for row in subjects[:_NAMED]),
        ", ".join(f"{_facet(row)} ({row['wrong']} of {row['n']})" for row in others[:_NAMED]),
        ", ".join(_confusions(rows)),
    )


def _facet(row: DiagnosisColumns) -> str:
    return {KIND: row["value"], EXPECTED: f"expected {row['value']}"}.get(row["facet"], row["value"])


def _confusions(rows: Iterable[DiagnosisColumns]) -> list[str]:
    """The most frequent confusions over all kinds of question."""
    times: Counter[tuple[str, str]] = Counter()
    possible: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if row["taken_for"] is not None:
            times[row["value"], row["taken_for"]] += row["wrong"]
            possible[row["value"], row["taken_for"]] += row["n"]
    most = sorted(times, key=lambda pair: (-times[pair], pair))[:_NAMED]
    return [f"{shown} for {other} ({times[shown, other]} of {possible[shown, other]})" for shown, other in most]
