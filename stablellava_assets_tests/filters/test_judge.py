"""Whole verdicts: schema, contamination, earlier batches, and what is taken over from the last run."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from stablellava_assets.filters.benchmark_fingerprints import BenchmarkFingerprints
from stablellava_assets.filters.candidates import EARLIER_COLUMNS
from stablellava_assets.filters.judge import judge as judge_with_images
from stablellava_assets.filters.settings import FilterSettings, PromptRuleSettings
from stablellava_assets.tables.pair_rows import ComparedPair
from stablellava_assets.tables.schemas import FILTERED_PAIRS, REJECTED_PAIRS
from stablellava_assets.tables.table import rows_of
from stablellava_assets_tests.filters.pairs import NO_BENCHMARK, candidate, judge, noise_png
from stablellava_assets_tests.tables.made_up import Row, but
from stablellava_assets_tests.verdicts import explanations, nearest, reasons

SETTINGS = FilterSettings()
OTHER: dict[str, Any] = {"prompt": "((owl)), barn", "subject": "owl", "answer": "An owl sits on a beam."}


def item(**values: Any) -> Row:
    return {
        "item_id": "item",
        "benchmark": "ai",
        "prompt": "((yak)), pass",
        "sha256": None,
        "perceptual_hash": None,
        **values,
    }


def test_verdicts_have_the_columns_of_both_tables() -> None:
    judged = judge([candidate("kept"), candidate("rejected", answer="")], [], NO_BENCHMARK, SETTINGS)
    for table, rows in ((FILTERED_PAIRS, judged.kept), (REJECTED_PAIRS, judged.rejected)):
        stored = table.from_rows([but(row, run_id="run") for row in rows])
        assert stored.num_rows == 1


@pytest.mark.parametrize("prompt", ["((Koala)), eucalyptus grove, at dawn, 8k", "koala, 8k, at dawn, eucalyptus grove"])
def test_a_benchmark_prompt_is_contamination(prompt: str) -> None:
    (row,) = judge(
        [candidate(prompt=prompt)], [], BenchmarkFingerprints([item(prompt=candidate().spec["prompt"])], 2), SETTINGS
    ).rows
    assert reasons(row) == ["contaminated_prompt"]
    assert explanations(row) == ["The prompt is that of benchmark item item."]


@pytest.mark.parametrize(
    "values",
    [
        {"sha256": hashlib.sha256(noise_png("first")).hexdigest()},
        {"prompt": "((Koala)), zoo", "perceptual_hash": "00000000000000ff"},
    ],
)
def test_a_benchmark_picture_is_contamination(values: dict[str, Any]) -> None:
    pair = candidate("first", looks="00000000000000fc")
    (row,) = judge([pair], [], BenchmarkFingerprints([item(**values)], 2), SETTINGS).rows
    assert reasons(row) == ["contaminated_image"]


def test_later_batches_are_held_against_what_earlier_ones_kept() -> None:
    first = judge([candidate("first"), candidate("second", **OTHER)], [], NO_BENCHMARK, SETTINGS)
    table = FILTERED_PAIRS.from_rows([but(row, run_id="run") for row in first.kept])
    earlier = rows_of(ComparedPair, table.select(EARLIER_COLUMNS))
    (row,) = judge([candidate("later", picture=noise_png("later"))], earlier, NO_BENCHMARK, SETTINGS).rows
    assert reasons(row) == ["repeated_prompt"]
    assert nearest(row) == "first"


def stored(rows: list[Row]) -> list[Row]:
    """Rows as the tables give them back."""
    taken: list[Row] = FILTERED_PAIRS.from_rows([but(row, run_id="run") for row in rows]).to_pylist()
    return taken


def test_unchanged_pairs_are_not_looked_at_again() -> None:
    pairs = [candidate("first"), candidate("second", answer=" A koala may doze"), candidate("third", **OTHER)]
    before = judge(pairs, [], NO_BENCHMARK, SETTINGS)
    wanted: list[str] = []

    def images(image_ids: Collection[str]) -> Iterator[tuple[str, bytes]]:
        wanted.extend(image_ids)
        return iter(())

    after = judge_with_images(pairs, images, [], NO_BENCHMARK, SETTINGS, stored(before.rows))
    assert not wanted
    assert (before.reused, after.reused) == (0, 3)
    assert after.rows == before.rows


def test_a_changed_answer_or_setting_is_judged_again() -> None:
    before = judge([candidate("first"), candidate("second", **OTHER)], [], NO_BENCHMARK, SETTINGS)
    changed = [candidate("first", answer="A tram."), candidate("second", **OTHER)]
    after = judge(changed, [], NO_BENCHMARK, SETTINGS, stored(before.rows))
    assert after.reused == 1
    assert [reasons(row) for row in after.rows] == [["subject_not_named"], []]
    stricter = SETTINGS.model_copy(update={"prompt": PromptRuleSettings(max_keywords=1)})
    assert judge(changed, [], NO_BENCHMARK, stricter, stored(after.rows)).reused == 0


def test_what_a_pair_repeated_is_forgotten_when_the_other_is_gone() -> None:
    both = judge([candidate("first"), candidate("second")], [], NO_BENCHMARK, SETTINGS)
    assert reasons(both.rows[1]) == ["repeated_prompt"]
    alone = judge([candidate("second")], [], NO_BENCHMARK, SETTINGS, stored(both.rows))
    assert alone.reused == 1
    assert reasons(alone.rows[0]) == []
    assert nearest(alone.rows[0]) is None


def test_contamination_is_noticed_though_nothing_else_changed() -> None:
    before = judge([candidate()], [], NO_BENCHMARK, SETTINGS)
    prints = BenchmarkFingerprints([item(prompt=candidate().spec["prompt"])], 2)
    after = judge([candidate()], [], prints, SETTINGS, stored(before.rows))
    assert after.reused == 1
    assert reasons(after.rows[0]) == ["contaminated_prompt"]


def test_progress_is_reported() -> None:
    lines: list[str] = []
    judge([candidate()], [], NO_BENCHMARK, SETTINGS, report=lines.append)
    assert lines == ["examining 1 images of 1 pairs"]


def test_an_unknown_rule_is_a_mistake() -> None:
    with pytest.raises(ValidationError, match="noted_only"):
        FilterSettings.model_validate({"noted_only": ["no_such_rule"]})
