"""The worked example of docs/planning.md is what the code computes."""

from __future__ import annotations

from stablellava_assets.planning.batch_plan import plan_batch
from stablellava_assets.planning.evidence import Evidence
from stablellava_assets.planning.settings import PlanningSettings
from stablellava_assets_tests.project import ROOT

_EXAMPLE = [
    Evidence("action", 150, 60, 2000, 1900),
    Evidence("animal", 150, 147, 2000, 1980),
    Evidence("food", 150, 140, 2000, 1980),
    Evidence("style", 150, 120, 2000, 1500),
]
_BOUNDS = ((0.5, 2.0), (0.8, 1.2), (0.1, 4.0))


def test_the_documented_example_is_computed() -> None:
    plans = [
        plan_batch("0002", _EXAMPLE, PlanningSettings(min_factor=least, max_factor=most), 700, "checkpoint")
        for least, most in _BOUNDS
    ]
    text = (ROOT / "docs/planning.md").read_text()
    for known, row in zip(_EXAMPLE, plans[0].rows, strict=True):
        rows = " | ".join(f"{plan.rows_of(known.ability):,}" for plan in plans)
        assert (
            f"| {known.ability} | {known.correct} | {known.lower_bound:.3f} | {known.kept:,} | {row['weight']:.3f} | "
            f"{rows} |\n" in text
        )
    assert f"\n{plans[0].explanation_of('action')}\n" in text
