"""A batch is planned once: later scores change later batches, and a batch that is made again finds its sizes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from stablellava_assets.inputs.yaml_documents import DocumentError
from stablellava_assets.profiles.profile import BUILT_IN_PROFILES, load_profile
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.schemas import BATCH_PLANS, PROMPT_SPECS
from stablellava_assets_tests.planning.known import publish_pairs, publish_scores
from stablellava_assets_tests.project import BIN
from stablellava_assets_tests.tables.made_up import but
from stablellava_assets_tests.tables.rows_of import spec

_ONLY = ["animal", "color", "food"]
_ANY_SUBJECTS = {"gates": {"max_top_subject_share": 1.0, "min_subject_entropy": 0.0}}
"""What a batch as small as these may hold."""


def workspace(folder: Path, **changes: Any) -> Workspace:
    profile = yaml.safe_load((BUILT_IN_PROFILES / "embedded.yaml").read_text())
    path = folder / "profile.yaml"
    small = {"rows_per_batch": 12, "rows_by_ability": None, "only": _ONLY}
    path.write_text(yaml.safe_dump({**profile, **small, **changes}))
    return Workspace(load_profile({"STABLELLAVA_PROFILE": str(path), "STABLELLAVA_DATA": str(folder / "data")}))


def planning(folder: Path, **changes: Any) -> Workspace:
    return workspace(folder, planning={}, **changes)


def sizes(made: Workspace, batch: str, abilities: Sequence[str] = _ONLY) -> dict[str, int]:
    assert made.plans is not None
    plan = made.plans.recorded(batch, abilities, "run")
    return {ability: plan.rows_of(ability) for ability in abilities}


def delete_plan(made: Workspace, batch: str) -> None:
    for partition in made.store.partitions(BATCH_PLANS):
        if partition[0] == batch:
            made.store.withdraw(BATCH_PLANS, partition)


def test_before_anything_was_scored_all_are_alike(tmp_path: Path) -> None:
    made = planning(tmp_path)
    assert sizes(made, "0001") == dict.fromkeys(_ONLY, 12)
    publish_scores(made.store, "one", {"animal": 140, "color": 140, "food": 30})
    assert sizes(made, "0001") == dict.fromkeys(_ONLY, 12)


def test_later_scores_plan_later_batches(tmp_path: Path) -> None:
    made = planning(tmp_path)
    publish_scores(made.store, "one", {"animal": 140, "color": 140, "food": 30})
    second = sizes(made, "0002")
    assert sum(second.values()) == 36
    assert second["food"] == 24
    publish_scores(made.store, "two", {"animal": 30, "color": 140, "food": 140})
    assert sizes(made, "0002") == second
    assert sizes(made, "0003")["animal"] == 24
    assert {
        row["checkpoint_id"]
        for row in made.store.read_all(BATCH_PLANS, [("0003", ability) for ability in _ONLY]).to_pylist()
    } == {"two"}


def test_abilities_with_a_number_of_their_own_share_among_themselves(tmp_path: Path) -> None:
    both = [*_ONLY, "difference", "similarity"]
    own = {"difference": 20, "similarity": 20}
    made = planning(tmp_path, rows_by_ability=own, only=both)
    assert sizes(made, "0001", both) == dict.fromkeys(_ONLY, 12) | own
    right = {"animal": 140, "color": 140, "food": 30, "difference": 90, "similarity": 140}
    publish_scores(made.store, "one", right)
    second = sizes(made, "0002", both)
    assert {name: second[name] for name in _ONLY} == {"animal": 6, "color": 6, "food": 24}
    assert second["difference"] > 20 > second["similarity"]
    assert second["difference"] + second["similarity"] == 40


def test_rows_for_an_ability_that_does_not_exist_are_refused(tmp_path: Path) -> None:
    made = workspace(tmp_path, rows_by_ability={"animals": 20})
    with pytest.raises(DocumentError, match=r"rows_by_ability: there is no ability 'animals'; there are abnormal, "):
        _ = made.plans


def test_files_that_are_cut_into_equal_batches_have_no_rows_by_ability(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"profile\.yaml:\d+: rows_by_ability: the released author cuts its files"):
        workspace(tmp_path, author={"kind": "released", "folder": str(tmp_path)}, rows_by_ability={"animal": 20})


def test_the_yield_of_filtered_batches_counts(tmp_path: Path) -> None:
    made = planning(tmp_path)
    publish_scores(made.store, "one", dict.fromkeys(_ONLY, 120))
    publish_pairs(made.store, "animal", "0001", 40, 20)
    for ability in ("color", "food"):
        publish_pairs(made.store, ability, "0001", 40, 40)
    assert sizes(made, "0002") == {"animal": 18, "color": 9, "food": 9}


def test_an_ability_whose_batch_was_begun_keeps_as_many_rows_as_it_has(tmp_path: Path) -> None:
    made = planning(tmp_path)
    publish_scores(made.store, "one", {"animal": 140, "color": 140, "food": 30})
    written = [but(spec(at), run_id="earlier") for at in range(7)]
    made.store.publish(PROMPT_SPECS, ("food", "0002"), PROMPT_SPECS.from_rows(written))
    assert sizes(made, "0002") == {"animal": 6, "color": 6, "food": 7}


def test_an_ability_that_comes_late_is_planned_from_the_scores_of_then(tmp_path: Path) -> None:
    made = planning(tmp_path)
    publish_scores(made.store, "one", {"animal": 140, "color": 140})
    assert sizes(made, "0002", ["animal", "color"]) == {"animal": 6, "color": 6}
    publish_scores(made.store, "two", {"animal": 130, "color": 130, "food": 149})
    assert sizes(made, "0002") == {"animal": 6, "color": 6, "food": 6}
    assert sizes(made, "0003") == {"animal": 15, "color": 15, "food": 6}


def test_the_rows_of_an_ability_do_not_depend_on_who_asks_with_it(tmp_path: Path) -> None:
    made = planning(tmp_path)
    publish_scores(made.store, "one", {"animal": 140, "color": 140})
    together = sizes(made, "0002")
    assert together["food"] == 24
    assert [sizes(made, "0001", [ability])[ability] for ability in _ONLY] == list(together.values())


def test_photographs_count_only_where_the_profile_says_so(tmp_path: Path) -> None:
    painted, photographed = dict.fromkeys(_ONLY, 135), {"animal": 135, "color": 135, "food": 25}
    made = planning(tmp_path)
    publish_scores(made.store, "one", painted, photographed)
    publish_scores(made.store, "two", {})
    assert sizes(made, "0002") == dict.fromkeys(_ONLY, 12)
    by_photographs = workspace(
        tmp_path, planning={"benchmark": "photos"}, benchmark={"items_per_kind": 17, "photographs": str(tmp_path)}
    )
    assert sizes(by_photographs, "0003") == {"animal": 6, "color": 6, "food": 24}


def test_photographs_that_nobody_named_cannot_be_planned_from(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"profile\.yaml:\d+: planning\.benchmark: there are no photographs"):
        workspace(tmp_path, planning={"benchmark": "photos"})


def test_a_larger_rows_per_batch_enlarges_a_planned_batch_in_proportion(tmp_path: Path) -> None:
    made = planning(tmp_path)
    publish_scores(made.store, "one", {"animal": 140, "color": 140, "food": 30})
    before = sizes(made, "0002")
    assert sizes(planning(tmp_path, rows_per_batch=24), "0002") == {name: 2 * rows for name, rows in before.items()}


def test_plans_of_earlier_versions_which_had_one_file_a_batch_are_kept(tmp_path: Path) -> None:
    made = planning(tmp_path)
    publish_scores(made.store, "one", {"animal": 140, "color": 140, "food": 30})
    before = sizes(made, "0002", ["animal", "food"])
    rows = made.store.read_all(BATCH_PLANS)
    delete_plan(made, "0002")
    made.store.publish(BATCH_PLANS, ("0002",), rows)
    publish_scores(made.store, "two", {"animal": 30, "color": 140, "food": 140})
    assert {ability: rows for ability, rows in sizes(made, "0002").items() if ability != "color"} == {
        ability: rows for ability, rows in before.items() if ability != "color"
    }
    assert made.store.partitions(BATCH_PLANS) == [("0002",), ("0002", "color")]
    made.warehouse.sync()
    assert made.warehouse.query("SELECT count(*) AS n FROM batch_plans").to_pylist() == [{"n": 3}]


def test_foreseeing_records_nothing(tmp_path: Path) -> None:
    made = planning(tmp_path)
    publish_scores(made.store, "one", {"animal": 140, "color": 140, "food": 30})
    assert made.plans is not None
    assert made.plans.foreseen("0002", _ONLY).rows_of("food") == 24
    assert made.store.partitions(BATCH_PLANS) == []


def test_published_files_are_not_cut_into_batches_of_different_sizes(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"profile\.yaml:\d+: planning: the released author cuts its files"):
        planning(tmp_path, author={"kind": "released", "folder": str(tmp_path)})


def materialize(made: Workspace, partition: str, tags: Mapping[str, str] | None = None) -> dict[str, Any]:
    from stablellava_assets.defs.prompt_specs import prompt_specs
    from stablellava_assets.defs.resources import resources_of

    done = dg.materialize([prompt_specs], partition_key=partition, resources=resources_of(made), tags=tags)
    (event,) = done.asset_materializations_for_node("prompt_specs")
    return {name: value.value for name, value in event.metadata.items()}


def test_the_asset_makes_as_many_prompts_as_are_planned_and_says_why(tmp_path: Path) -> None:
    made = planning(tmp_path, **_ANY_SUBJECTS)
    publish_scores(made.store, "one", {"animal": 140, "color": 140, "food": 30})
    shown = materialize(made, "food|0002")
    assert (shown["rows"], shown["computed"], shown["planned_rows"]) == (24, 24, 24)
    assert shown["plan"].startswith("food: 30 of 150 answered right")
    counted = made.warehouse.query("SELECT rows FROM batch_plans WHERE ability = 'food'").to_pylist()
    assert counted == [{"rows": 24}]

    publish_scores(made.store, "two", {"animal": 30, "color": 140, "food": 140})
    again = materialize(planning(tmp_path, **_ANY_SUBJECTS), "food|0002")
    assert (again["rows"], again["reused"], again["computed"]) == (24, 24, 0)


def test_a_batch_whose_plan_is_gone_keeps_its_prompts(tmp_path: Path) -> None:
    made = planning(tmp_path, **_ANY_SUBJECTS)
    publish_scores(made.store, "one", {"animal": 140, "color": 140, "food": 30})
    materialize(made, "food|0002")
    delete_plan(made, "0002")
    publish_scores(made.store, "two", {"animal": 30, "color": 140, "food": 140})
    again = materialize(made, "food|0002")
    assert (again["rows"], again["reused"]) == (24, 24)
    assert again["plan"] == "food was begun before this batch was planned: it keeps its prompts, 24 rows."
    assert sizes(made, "0002") == {"animal": 24, "color": 6, "food": 24}


def test_a_planned_batch_keeps_its_sizes_when_planning_is_turned_off(tmp_path: Path) -> None:
    made = planning(tmp_path, **_ANY_SUBJECTS)
    publish_scores(made.store, "one", {"animal": 140, "color": 140, "food": 30})
    for ability in ("animal", "food"):
        materialize(made, f"{ability}|0002")
    off = workspace(tmp_path, **_ANY_SUBJECTS)
    for ability, rows in (("animal", 6), ("food", 24)):
        again = materialize(off, f"{ability}|0002")
        assert (again["rows"], again["reused"], again["planned_rows"]) == (rows, rows, rows)
    assert sizes(off, "0002") == {"animal": 6, "color": 12, "food": 24}
    assert sizes(off, "0003") == dict.fromkeys(_ONLY, 12)
    assert made.store.partitions(BATCH_PLANS) == [("0002", "animal"), ("0002", "food")]


def test_the_metadata_agree_when_rows_per_batch_was_changed(tmp_path: Path) -> None:
    made = planning(tmp_path, **_ANY_SUBJECTS)
    publish_scores(made.store, "one", {"animal": 140, "color": 140, "food": 30})
    materialize(made, "food|0002")
    shown = materialize(planning(tmp_path, rows_per_batch=24, **_ANY_SUBJECTS), "food|0002")
    assert (shown["rows"], shown["reused"], shown["planned_rows"]) == (48, 24, 48)
    assert shown["plan"].endswith(
        ": 48 rows, 2.00 times the usual, the most. Planned as 24 rows when rows_per_batch was 12."
    )


def test_published_files_are_cut_alike_whatever_was_planned_before(tmp_path: Path) -> None:
    made = planning(tmp_path)
    publish_scores(made.store, "one", {"animal": 140, "color": 140, "food": 30})
    assert sizes(made, "0002")["food"] == 24
    assert workspace(tmp_path, author={"kind": "released", "folder": str(tmp_path)}).plans is None


def planned_by_command(folder: Path, *arguments: str) -> str:
    files = {"STABLELLAVA_PROFILE": str(folder / "profile.yaml"), "STABLELLAVA_DATA": str(folder / "data")}
    command = [str(BIN / "stablellava"), "plan", *arguments]
    return subprocess.run(command, env={**os.environ, **files}, capture_output=True, text=True, check=True).stdout


def test_the_command_line_shows_the_sizes_and_what_they_would_take(tmp_path: Path) -> None:
    endpoint = {"base_url": "http://127.0.0.1:9/v1", "model": "some-model", "api_key_variable": None}
    made = planning(tmp_path, author={"kind": "chat", "endpoint": endpoint})
    publish_scores(made.store, "one", {"animal": 140, "color": 140, "food": 30})
    sized, asked = planned_by_command(tmp_path, "--batch", "0002").split("\n\n", 1)
    assert sized.startswith("Prompts per ability in batch 0002:\n")
    assert {line.split()[0]: int(line.split()[-1]) for line in sized.splitlines()[2:]} == sizes(made, "0002")
    (prompts,) = (line.split() for line in asked.splitlines() if line.startswith("food") and "prompt_specs" in line)
    assert prompts[:5] == ["food", "0002", "prompt_specs", "24", "0"]


def test_the_command_line_shows_the_batch_that_each_ability_comes_to_next(tmp_path: Path) -> None:
    made = planning(tmp_path, batches=2)
    publish_scores(made.store, "one", {"animal": 140, "color": 140, "food": 30})
    for ability in ("animal", "color"):
        publish_pairs(made.store, ability, "0001", 4, 4)
    written = [but(spec(at), run_id="earlier") for at in range(7)]
    made.store.publish(PROMPT_SPECS, ("food", "0001"), PROMPT_SPECS.from_rows(written))
    first, second, *_ = planned_by_command(tmp_path).split("\n\n")
    assert first.startswith("Prompts per ability in batch 0001:\n")
    assert [line.split()[0] for line in first.splitlines()[2:]] == ["food"]
    assert first.splitlines()[-1].split()[-2:] == ["begun", "7"]
    assert second.startswith("Prompts per ability in batch 0002:\n")
    assert {line.split()[0]: line.split()[-1] for line in second.splitlines()[2:]} == {"animal": "6", "color": "6"}
    for ability in _ONLY:
        publish_pairs(made.store, ability, "0001", 4, 4)
        publish_pairs(made.store, ability, "0002", 4, 4)
    assert planned_by_command(tmp_path).startswith("All 2 batches are done; raise `batches` in the profile.\n")


def requested_by_schedule(made: Workspace, monkeypatch: pytest.MonkeyPatch) -> list[dg.RunRequest]:
    """What one tick asks for."""
    from stablellava_assets.defs.automation import backfills

    monkeypatch.setattr(backfills, "WORKSPACE", made)
    tick = dg.build_schedule_context(scheduled_execution_time=datetime(2026, 1, 1, tzinfo=UTC))
    asked: Any = backfills.next_batch_of_every_ability(tick)
    return list(asked)


def planned_by_schedule(made: Workspace, monkeypatch: pytest.MonkeyPatch) -> dict[str | None, str]:
    """The prompts that one tick tags its runs with, by partition."""
    asked = requested_by_schedule(made, monkeypatch)
    return {request.partition_key: request.tags["stablellava/planned_rows"] for request in asked}


def test_the_schedule_plans_before_it_asks_for_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = planning(tmp_path)
    publish_scores(made.store, "one", {"animal": 140, "color": 140, "food": 30})
    for ability in _ONLY:
        publish_pairs(made.store, ability, "0001", 4, 4)
    tagged = planned_by_schedule(made, monkeypatch)
    assert made.store.partitions(BATCH_PLANS) == [], "a tick that is only looked at writes nothing"
    assert tagged == {f"{ability}|0002": str(rows) for ability, rows in sizes(made, "0002").items()}


def test_a_scheduled_run_has_the_size_that_its_tick_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = planning(tmp_path)
    publish_scores(made.store, "one", {"animal": 140, "color": 140, "food": 30})
    for ability in _ONLY:
        publish_pairs(made.store, ability, "0001", 4, 4)
    (of_food,) = [asked for asked in requested_by_schedule(made, monkeypatch) if asked.partition_key == "food|0002"]
    publish_scores(made.store, "two", {"animal": 30, "color": 140, "food": 140})
    shown = materialize(made, "food|0002", of_food.tags)
    assert str(shown["planned_rows"]) == of_food.tags["stablellava/planned_rows"]
    (row,) = made.store.read_all(BATCH_PLANS).to_pylist()
    assert (row["ability"], row["checkpoint_id"]) == ("food", "one")
    assert sizes(made, "0002")["food"] == shown["planned_rows"]


def test_a_tick_adds_up_where_the_abilities_are_at_different_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = planning(tmp_path)
    publish_scores(made.store, "one", {"animal": 140, "color": 140})
    for ability in ("animal", "color"):
        publish_pairs(made.store, ability, "0001", 4, 4)
    assert planned_by_schedule(made, monkeypatch) == {"animal|0002": "6", "color|0002": "6", "food|0001": "24"}


def test_without_planning_nothing_is_planned(tmp_path: Path) -> None:
    made = workspace(tmp_path)
    publish_scores(made.store, "one", {"animal": 140, "color": 140, "food": 30})
    shown = materialize(made, "food|0002")
    assert shown["rows"] == 12
    assert not {"planned_rows", "plan", "batch_plan"} & shown.keys()
    assert made.store.partitions(BATCH_PLANS) == []
