"""Gates that have passed are not evaluated again until something that decides them changes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from stablellava_assets.checks import gates, remembered
from stablellava_assets.checks.gates import GateSettings
from stablellava_assets.checks.prompt_specs import SUITE
from stablellava_assets.checks.remembered import RememberedGates
from stablellava_assets.tables.schemas import FAILED, PROMPT_SPECS
from stablellava_assets_tests.tables.made_up import but
from stablellava_assets_tests.tables.rows_of import spec

PARTITION = ("animal", "0001")
LENIENT = GateSettings(min_subject_entropy=0, max_top_subject_share=1, min_vendi_score=1)


def prompts(count: int, status: str = "made") -> pa.Table:
    rows = [spec(index, prompt=f"((koala)), forest {index}", status=status) for index in range(count)]
    return PROMPT_SPECS.from_rows([but(row, run_id="run") for row in rows])


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of rows of each evaluation."""
    counts: list[int] = []

    def counted(suite: gates.Suite, data: pa.Table, settings: GateSettings) -> list[gates.GateResult]:
        counts.append(data.num_rows)
        return gates.validate(suite, data, settings)

    monkeypatch.setattr(remembered, "validate", counted)
    return counts


def test_the_same_rows_are_checked_once(evaluated: list[int], tmp_path: Path) -> None:
    kept = RememberedGates(tmp_path)
    first = kept.results(SUITE, PARTITION, prompts(12), LENIENT)
    in_chunks = pa.concat_tables([prompts(12).slice(0, 5), prompts(12).slice(5)])
    assert RememberedGates(tmp_path).results(SUITE, PARTITION, in_chunks, LENIENT) == first
    assert all(result.passed for result in first)
    assert evaluated == [12]


def test_other_rows_settings_or_code_are_checked(
    evaluated: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = RememberedGates(tmp_path)
    for data, settings in (
        (prompts(12), LENIENT),
        (prompts(13), LENIENT),
        (prompts(13), LENIENT.model_copy(update={"min_made_prompts": 0.5})),
        (prompts(13), LENIENT),
    ):
        kept.results(SUITE, PARTITION, data, settings)
    monkeypatch.setattr(remembered, "_code", lambda: "of another version")
    kept.results(SUITE, PARTITION, prompts(13), LENIENT)
    assert evaluated == [12, 13, 13, 13, 13]


def test_what_fails_is_checked_every_time(evaluated: list[int], tmp_path: Path) -> None:
    for _ in range(2):
        results = RememberedGates(tmp_path).results(SUITE, PARTITION, prompts(12, FAILED), LENIENT)
        assert not all(result.passed for result in results)
    assert evaluated == [12, 12]


@pytest.mark.parametrize("content", ["", "[]", '{"key": 1}', '{"key": "x", "results": [{"gate": 1}]}'])
def test_a_damaged_file_is_written_again(content: str, evaluated: list[int], tmp_path: Path) -> None:
    kept = RememberedGates(tmp_path)
    first = kept.results(SUITE, PARTITION, prompts(12), LENIENT)
    (path,) = (path for path in tmp_path.rglob("*.json"))
    path.write_text(content)
    assert kept.results(SUITE, PARTITION, prompts(12), LENIENT) == first
    assert kept.results(SUITE, PARTITION, prompts(12), LENIENT) == first
    assert evaluated == [12, 12]
