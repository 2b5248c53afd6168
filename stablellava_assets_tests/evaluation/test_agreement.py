"""Agreement of two raters, against scikit-learn's."""

from __future__ import annotations

import pytest
from sklearn.metrics import cohen_kappa_score

from stablellava_assets.evaluation.scores.agreement import agreement
from stablellava_assets_tests.tables.made_up import Row


def _rows(judge: str, keywords: str) -> list[Row]:
    verdicts = {"1": True, "0": False, "-": None}
    return [
        {"correct": verdicts[one], "by_keywords": verdicts[other]} for one, other in zip(judge, keywords, strict=True)
    ]


def test_kappa_is_that_of_scikit_learn() -> None:
    judge, keywords = "1101001110", "1001011100"
    found = agreement(_rows(judge, keywords))
    assert found is not None
    assert found.n == 10
    assert found.raw == pytest.approx(0.7)
    assert found.kappa == pytest.approx(cohen_kappa_score(list(judge), list(keywords)))


def test_what_was_not_judged_is_not_compared() -> None:
    assert agreement(_rows("--", "10")) is None
    found = agreement(_rows("1-1", "101"))
    assert found is not None
    assert (found.n, found.raw, found.kappa) == (2, 1.0, None)
