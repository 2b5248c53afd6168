"""Gates of ``filtered_pairs``: the frame holds the kept and the rejected pairs of a partition."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from stablellava_assets.abilities.absence import NOT_SHOWN
from stablellava_assets.checks.balance import subject_balance
from stablellava_assets.checks.diversity import vendi_score
from stablellava_assets.checks.gates import (
    Gate,
    GateSettings,
    Suite,
    always,
    at_least,
    at_most,
    few_not_shown,
    has_rows,
    question_kinds,
    unique_ids,
)
from stablellava_assets.checks.mixture import hedged_share, most_frequent_share, quota_met, share_of_kind
from stablellava_assets.filters.candidates import prompts_of, subjects_of
from stablellava_assets.tables.findings import is_rejected
from stablellava_assets.tables.pair_rows import PromptedPair
from stablellava_assets.tables.schemas import FILTERED_PAIRS
from stablellava_assets.tables.table import columns_of

if TYPE_CHECKING:
    import pandas as pd


def _verdicts(frame: pd.DataFrame) -> pd.DataFrame:
    """Adds ``verdict`` (kept or rejected) and ``unexplained`` (number of findings without an explanation)."""
    return frame.assign(
        verdict=["rejected" if is_rejected(findings) else "kept" for findings in frame["findings"]],
        unexplained=[sum(not found["explanation"] for found in findings) for findings in frame["findings"]],
    )


def _measure(frame: pd.DataFrame, settings: GateSettings) -> dict[str, float | None]:
    """Measures of the kept pairs as a whole; prompts and subjects count once per image."""
    kept = frame[frame["verdict"] == "kept"]
    rows = cast("list[PromptedPair]", kept[columns_of(PromptedPair)].to_dict("records"))
    subjects = dict(pair for row in rows for pair in zip(prompts_of(row), subjects_of(row), strict=True))
    kinds = kept["question_kind"].tolist()
    balance = subject_balance(subjects.values())
    return {
        "quota_met": quota_met(kinds, settings.min_question_kind_shares),
        "top_kind_share": most_frequent_share(kinds),
        "not_shown_share": share_of_kind(kinds, NOT_SHOWN),
        "subject_entropy": balance.entropy if balance.top_subject is not None else None,
        "vendi_score": vendi_score(subjects),
        "hedged_share": hedged_share(kept["findings"].tolist()),
    }


SUITE = Suite(
    FILTERED_PAIRS,
    (
        has_rows(),
        unique_ids(FILTERED_PAIRS),
        Gate(
            "enough_pairs_kept",
            "At least the profile's gates.min_kept_pairs of the pairs were kept.",
            "ExpectColumnValuesToBeInSet",
            lambda settings: {"column": "verdict", "value_set": ["kept"], "mostly": settings.min_kept_pairs},
            names_reasons=True,
        ),
        Gate(
            "rejections_are_explained",
            "Every finding has an explanation.",
            "ExpectColumnValuesToBeInSet",
            always(column="unexplained", value_set=[0]),
        ),
        *question_kinds(),
        few_not_shown(),
        at_least(
            "kept_subjects_are_even", "The evenness of the kept subjects", "subject_entropy", "min_subject_entropy"
        ),
        at_least("kept_prompts_are_diverse", "The Vendi score of the kept prompts", "vendi_score", "min_vendi_score"),
        at_most(
            "few_answers_hedge", "The share of kept pairs with a hedged answer", "hedged_share", "max_hedged_share"
        ),
    ),
    _verdicts,
    _measure,
)
