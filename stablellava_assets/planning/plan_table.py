"""A batch's plan as a table for people."""

from __future__ import annotations

from stablellava_assets.planning.batch_plan import BatchPlan, was_begun

_HEADER = ("ability", "accuracy", "at least", "kept", "weight", "rows")


def plan_table(plan: BatchPlan, *, markdown: bool) -> str:
    """An ability a row, in the order of the plan; ``markdown`` chooses between Markdown and aligned text for a terminal."""
    rows = [
        (
            row["ability"],
            _number(row["accuracy"]),
            _number(row["lower_bound"] if row["n"] else None),
            _number(row["filter_yield"]),
            "begun" if was_begun(row) else _number(row["weight"]),
            str(plan.rows_of(row["ability"])),
        )
        for row in plan.rows
    ]
    if markdown:
        lines = [_HEADER, ("---", *("---:" for _ in _HEADER[1:])), *rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    widths = [max(len(line[column]) for line in [_HEADER, *rows]) for column in range(len(_HEADER))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in [_HEADER, *rows]
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
