"""A batch's plan as text."""

from __future__ import annotations

from stablellava_assets.planning.batch_plan import BatchPlan, was_begun
from stablellava_assets.text.tables import number_text, table

_HEADER = ("ability", "accuracy", "at least", "kept", "weight", "rows")


def plan_table(plan: BatchPlan, *, markdown: bool) -> str:
    """One row per ability, in the order of the plan; ``markdown`` selects Markdown instead
    of aligned text for a terminal."""
    rows = [
        (
            row["ability"],
            number_text(row["accuracy"]),
            number_text(row["lower_bound"] if row["n"] else None),
            number_text(row["filter_yield"]),
            "begun" if was_begun(row) else number_text(row["weight"]),
            str(plan.rows_of(row["ability"])),
        )
        for row in plan.rows
    ]
    return table(_HEADER, rows, markdown=markdown)
