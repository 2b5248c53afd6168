from __future__ import annotations

from pathlib import Path

import pytest

from stablellava_assets.authors.released.rows import ReleasedDataError
from stablellava_assets.cli.released_report import inspect_released, released_table
from stablellava_assets_tests.authors.conftest import Counts


def test_the_report_counts_what_is_in_the_files(released: tuple[Path, Counts]) -> None:
    folder, expected = released
    report = {counts.file: counts for counts in inspect_released(folder)}
    for file, numbers in expected.items():
        assert {name: getattr(report[file], name) for name in numbers} == numbers


def test_every_comparison_is_more_lenient_than_the_one_before(released: tuple[Path, Counts]) -> None:
    for counts in inspect_released(released[0]):
        steps = [counts.not_verbatim, counts.not_without_hyphens, counts.not_by_lemma, counts.off_subject]
        assert steps == sorted(steps, reverse=True)
        assert counts.unique_prompts + counts.repeated_prompts == counts.rows


def test_the_total_adds_up(invented: Path) -> None:
    *files, total = inspect_released(invented)
    assert total.file == "total"
    assert total.rows == sum(counts.rows for counts in files) == 70


def test_the_table_is_aligned_and_names_every_file(invented: Path) -> None:
    lines = released_table(inspect_released(invented)).splitlines()
    assert lines[0].split() == ["action.json", "animal.json", "color.json", "food.json", "furniture.json", "total"]
    assert len({len(line) for line in lines}) == 1
    assert lines[1].split() == ["rows", "13", "24", "12", "9", "12", "70"]


def test_a_folder_without_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReleasedDataError, match="no such folder"):
        inspect_released(tmp_path / "nowhere")
