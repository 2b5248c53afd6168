"""People look at pairs and have the last word: the real command line, a file of
decisions, and what of it is made again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import datasets
import pytest

from stablellava_assets.tables.schemas import FILTERED_PAIRS, REJECTED_PAIRS
from stablellava_assets_tests.conftest import SMALL
from stablellava_assets_tests.project import Project
from stablellava_assets_tests.verdicts import notes, reasons

pytestmark = pytest.mark.slow

RANGE = "--partition-range 'animal|0001...scene|0001'"
FILTER = f"--select filtered_pairs {RANGE}"
SETTINGS: dict[str, Any] = {**SMALL, "gates": {"min_kept_pairs": 0}, "filters": {"prompt": {"max_keywords": 5}}}
"""Prompts of the embedded author have six keywords or more, so that this rejects every pair."""


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose filters turned everything away; its tests change it one after the other."""
    project = Project(tmp_path_factory.mktemp("judged"), SETTINGS)
    project.log = project.materialize(
        "--select prompt_specs,images,dialogues,ability_benchmark,filtered_pairs " + RANGE
    ).stdout
    return project


def verdicts(project: Project) -> dict[str, dict[str, Any]]:
    store = project.workspace.store
    rows = store.read_all(FILTERED_PAIRS).to_pylist() + store.read_all(REJECTED_PAIRS).to_pylist()
    return {row["pair_id"]: row for row in rows}


def decide(project: Project, *lines: str) -> Path:
    path = project.folder / "decisions.jsonl"
    path.write_text("".join(f"{line}\n" for line in lines))
    project.write_profile({**SETTINGS, "filters": {**SETTINGS["filters"], "reviews": [str(path)]}})
    return path


def line(pair_id: str, decision: str = "keep") -> str:
    return json.dumps({"pair_id": pair_id, "decision": decision, "reviewer": "Ada", "note": "looks right"})


def changed(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> set[str]:
    return {pair_id for pair_id, row in after.items() if row != before[pair_id]}


def test_a_decision_changes_its_pair_and_nothing_else(judged: Project) -> None:
    before = verdicts(judged)
    assert {tuple(reasons(row)[:1]) for row in before.values()} == {("too_many_keywords",)}
    chosen = min(before)
    decide(judged, line(chosen), line("nobody"))
    shown = judged.materialize(FILTER).stdout
    after = verdicts(judged)
    assert changed(before, after) == {chosen}
    assert reasons(after[chosen]) == []
    assert after[chosen]["run_id"] != before[chosen]["run_id"]
    assert after[chosen]["row_key"] == before[chosen]["row_key"]
    assert "kept_by_review: Ada decided so: looks right" in notes(after[chosen])
    assert judged.workspace.store.read_all(FILTERED_PAIRS)["pair_id"].to_pylist() == [chosen]
    ability = after[chosen]["ability"]
    assert f"{ability}|0001: published: 1 rows, 47 rejected, 48 reused, 0 computed, 1 overruled" in shown
    assert shown.count("unchanged: 0 rows, 48 rejected, 48 reused, 0 computed, 0 overruled") == 2
    assert "1 of these decisions are about pairs that do not exist: nobody" in shown


def test_the_next_run_finds_nothing_changed_and_a_withdrawn_decision_is_undone(judged: Project) -> None:
    before = verdicts(judged)
    chosen = min(before)
    decide(judged, line(chosen))
    judged.materialize(FILTER)
    decided = verdicts(judged)
    assert judged.materialize(FILTER).stdout.count("unchanged: ") == 3
    assert verdicts(judged) == decided
    decide(judged)
    judged.materialize(FILTER)
    assert reasons(verdicts(judged)[chosen])[:1] == ["too_many_keywords"]
    assert not any("review" in note for note in notes(verdicts(judged)[chosen]))


def test_a_malformed_line_stops_the_run_and_is_named(judged: Project) -> None:
    path = decide(judged, line("nobody"), '{"pair_id": "x", "decision": "maybe", "reviewer": "Ada"}')
    before = verdicts(judged)
    failed = judged.materialize(FILTER, check=False)
    assert failed.returncode != 0
    assert f"{path}:2: decision: input should be 'keep' or 'reject', not 'maybe'" in failed.stdout
    assert verdicts(judged) == before


def test_the_gallery_is_published_with_the_pairs(finished: Project) -> None:
    page = Path(finished.workspace.gallery.page)
    assert page == finished.folder / "data/gallery/index.html"
    manifest = json.loads((page.parent / "manifest.js").read_text().strip()[len("gallery.manifest(") : -2])
    assert [batch["ability"] for batch in manifest["batches"]] == ["animal", "color", "scene"]
    assert sum(batch["kept"] + batch["rejected"] for batch in manifest["batches"]) == 144


def test_the_gallery_of_every_pair_is_one_command(finished: Project, tmp_path: Path) -> None:
    command = f"stablellava gallery {tmp_path}/page --ability color --ability animal"
    assert finished.run(command).stdout.strip() == f"{tmp_path}/page/index.html: 2 batches, 2 of them rewritten"
    assert "2 batches, 0 of them" in finished.run(command).stdout
    failed = finished.run(f"stablellava gallery {tmp_path}/page --ability dinosaur", check=False)
    assert failed.stdout.strip() == (
        "Error: no pairs are published for ability 'dinosaur'; there are animal, color, scene"
    )


def test_pairs_are_exported_by_one_command(finished: Project, tmp_path: Path) -> None:
    kept = finished.workspace.store.read_all(FILTERED_PAIRS)
    shown = finished.run(f"stablellava export huggingface {tmp_path}/out --split validation=0.2").stdout
    rows = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    sizes = {split: len(of_split) for split, of_split in rows.items()}
    assert shown.strip() == (
        f"{tmp_path}/out: {kept.num_rows} pairs ({sizes['train']} train, {sizes['validation']} validation)"
    )
    assert sum(sizes.values()) == kept.num_rows
    assert rows["train"][0]["images"][0].size == (144, 144)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("parquet {}/out", "'parquet' is not one of 'huggingface', 'llava', 'preference', 'webdataset'"),
        ("llava {}/out --ability dinosaur", "no pairs are published for ability 'dinosaur'"),
        ("llava {}/out --split validation", "write name=share, as in validation=0.05"),
        ("llava {}", "is there already and is no export"),
    ],
)
def test_an_export_that_cannot_be_made_says_why(finished: Project, tmp_path: Path, arguments: str, told: str) -> None:
    (tmp_path / "file").write_text("")
    failed = finished.run(f"stablellava export {arguments.format(tmp_path)}", check=False)
    assert failed.returncode != 0
    assert told in failed.stdout
    assert "Traceback" not in failed.stdout
