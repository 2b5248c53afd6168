"""What was measured, and the Markdown table of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

_GIB = 1 << 30
_HEAD = """| step | what | figure | times the best peer | goal | peak memory, GiB | remarks |
|---|---|---:|---:|---:|---:|---|"""


@dataclass(frozen=True)
class Measurement:
    """One row of the table.

    Attributes:
        group: what is compared with each other: rows of one group with one unit.
        what: what was measured.
        figure: its rate or duration, in ``unit``; None where it could not be measured, as ``remark`` says.
        is_peer: whether it is what ours is compared with.
        goal: times the best peer that ours is to reach.
        peak_memory: bytes.
    """

    group: str
    what: str
    figure: float | None
    unit: str = ""
    is_peer: bool = False
    goal: float | None = None
    peak_memory: int | None = None
    remark: str = ""

    def as_json(self) -> dict[str, Any]:
        """As it is written to ``results.json``."""
        return asdict(self)


def failed(group: str, what: str, why: str) -> Measurement:
    """The row of what could not be measured."""
    return Measurement(group, what, None, remark=why)


def table(rows: Sequence[Measurement]) -> str:
    """The rows as Markdown."""
    return "\n".join([_HEAD, *(_line(row, rows) for row in rows)])


def report(machine: Mapping[str, str], rows: Sequence[Measurement]) -> str:
    """The table under what it was measured on."""
    described = "; ".join(f"{name} {value}" for name, value in machine.items())
    return f"{described}\n\n{table(rows)}\n"


def _line(row: Measurement, rows: Iterable[Measurement]) -> str:
    peers = [other.figure for other in rows if other.is_peer and (other.group, other.unit) == (row.group, row.unit)]
    best = max((figure for figure in peers if figure), default=None)
    compared = row.figure is not None and best is not None and not row.is_peer
    figure = "not measured" if row.figure is None else f"{row.figure:.3g} {row.unit}"
    ratio = f"{row.figure / best:.2f}" if compared and row.figure and best else ""
    goal = "" if row.goal is None else f"{row.goal:g}"
    memory = "" if row.peak_memory is None else f"{row.peak_memory / _GIB:.1f}"
    remark = " ".join(row.remark.replace("|", "/").split())
    return f"| {row.group} | {row.what} | {figure} | {ratio} | {goal} | {memory} | {remark} |"
