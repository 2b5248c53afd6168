"""The commands people type, typed."""

from __future__ import annotations

import re
from pathlib import Path

import dagster as dg
import datasets
import pyarrow.parquet as pq
import pytest

from stablellava_assets.tables.schemas import (
    ABILITY_ANSWERS,
    ABILITY_BENCHMARK,
    ABILITY_SCORES,
    DIALOGUES,
    FILTERED_PAIRS,
    IMAGES,
    LLAVA_CHECKPOINT,
    PROMPT_SPECS,
    REJECTED_PAIRS,
    TABLES,
)
from stablellava_assets_tests.project import FEW_ABILITIES, Project

FIRST_BATCH = {("animal", "0001"), ("color", "0001"), ("scene", "0001")}


def test_one_run_fills_every_table(finished: Project) -> None:
    store = finished.workspace.store
    for table in (PROMPT_SPECS, IMAGES, DIALOGUES, FILTERED_PAIRS, REJECTED_PAIRS):
        assert set(store.partitions(table)) == FIRST_BATCH
    assert store.read_all(PROMPT_SPECS).num_rows == 3 * 12
    assert store.read_all(IMAGES).num_rows == 3 * 12
    assert store.read_all(DIALOGUES).num_rows == 3 * 12 * 4
    judged = store.read_all(FILTERED_PAIRS).num_rows + store.read_all(REJECTED_PAIRS).num_rows
    assert judged == 3 * 12 * 4
    assert store.read_all(ABILITY_BENCHMARK).num_rows == 3 * 3 * 17
    assert store.read_all(LLAVA_CHECKPOINT).num_rows == 1
    # Of the base and the tuned model, and of the tuned one without the image and about other items' images.
    assert store.read_all(ABILITY_ANSWERS).num_rows == 4 * 3 * 3 * 17
    assert store.read_all(ABILITY_SCORES).num_rows == 4 * (3 + 1) * (3 + 1)


def test_dagster_knows_what_is_published_beside_an_asset_and_which_version_it_is(finished: Project) -> None:
    partitions = {f"{ability}|0001" for ability in FEW_ABILITIES}
    with dg.DagsterInstance.from_config(str(finished.dagster_home)) as instance:
        assert instance.get_materialized_partitions(dg.AssetKey("rejected_pairs")) == partitions
        answers = instance.get_latest_materialization_event(dg.AssetKey("ability_answers"))
        assert answers is not None
        assert answers.asset_materialization is not None
        rows = answers.asset_materialization.metadata["dagster/row_count"].value
        assert rows == finished.workspace.store.read_all(ABILITY_ANSWERS).num_rows
        for name in ("ability_benchmark", "ability_scores"):
            made = instance.get_latest_materialization_event(dg.AssetKey(name))
            assert made is not None
            assert made.asset_materialization is not None
            assert made.asset_materialization.tags is not None
            # Dagster's own version would be a digest of the run, four times as long.
            assert re.fullmatch("[0-9a-f]{16}", made.asset_materialization.tags["dagster/data_version"]), name
        assert instance.get_latest_materialization_event(dg.AssetKey("alignment_scores")) is None


def test_its_output_can_be_followed(finished: Project) -> None:
    assert "[2/3] color|0001: published: 12 rows" in finished.log
    assert "Warning" not in finished.log
    assert "Calculating Metrics" not in finished.log


def test_the_warehouse_holds_what_parquet_holds(finished: Project) -> None:
    store, warehouse = finished.workspace.store, finished.workspace.warehouse
    for table in TABLES:
        (row,) = warehouse.query(f"SELECT count(*) AS n FROM {table.name}").to_pylist()
        assert row["n"] == store.read_all(table).num_rows


def test_hugging_face_datasets_shows_the_pictures(finished: Project, tmp_path: Path) -> None:
    files = finished.workspace.store.glob(IMAGES)
    rows = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path))
    assert rows.num_rows == 36
    assert rows[0]["image"].size == (144, 144)


def test_scoring_again_recomputes_nothing(own: Project) -> None:
    shown = own.materialize("--select ability_scores").stdout
    assert "unchanged" in shown
    assert "612 reused, 0 resumed, 0 computed" in shown


@pytest.mark.slow
def test_another_demo_recomputes_nothing_and_says_so(own: Project) -> None:
    shown = own.run("stablellava demo").stdout
    assert "Nothing had changed, so nothing was recomputed." in shown
    assert "all abilities" in shown
    assert "Where to look next:" in shown


def test_dg_launch_scores_as_well(own: Project) -> None:
    assert "unchanged" in own.run("dg launch --assets ability_scores").stdout


def test_the_scores_are_printed(finished: Project) -> None:
    lines = finished.run("stablellava scores").stdout.splitlines()
    assert lines[0].split()[:4] == ["ability", "n", "base", "tuned"]
    assert [line.split()[0] for line in lines[2:5]] == ["animal", "color", "scene"]
    assert lines[6].startswith("all abilities")
    assert lines[-1].startswith("There are no real photographs: these are scores on synthesized images only.")


def test_the_warehouse_answers_queries_and_is_rebuilt(finished: Project) -> None:
    assert "51" in finished.run("stablellava query 'SELECT count(*) // 3 FROM ability_benchmark'").stdout
    assert "ability_answers" in finished.run("stablellava rebuild-warehouse").stdout
    assert "36" in finished.run("stablellava query 'SELECT count(*) FROM images'").stdout
    failed = finished.run("stablellava query 'SELECT nothing FROM images'", check=False)
    assert failed.returncode == 1
    assert "Traceback" not in failed.stdout


RANGE = "--partition-range 'animal|0001...scene|0001'"
MISSING = (
    (
        "images --partition 'animal|0001'",
        "prompt_specs for partition animal|0001",
        "prompt_specs' --partition 'animal|0001'",
    ),
    ("filtered_pairs --partition 'animal|0001'", "ability_benchmark", "ability_benchmark'"),
    ("llava_checkpoint", "filtered_pairs", f"filtered_pairs' {RANGE}"),
    ("ability_scores", "llava_checkpoint", f"llava_checkpoint' {RANGE}"),
)
"""What is asked for, what it lacks, and what to run after ``--select '*``; who follows all of
it in this order misses nothing."""


@pytest.mark.slow(60)
def test_missing_upstream_says_what_to_run(project: Project) -> None:
    told = []
    for select, missing, command in MISSING:
        failed = project.materialize(f"--select {select}", check=False)
        assert failed.returncode != 0
        assert f"{missing} has not been materialized yet" in failed.stdout
        (advice,) = set(re.findall(r"^ *dagster asset materialize (--select '\*.*)$", failed.stdout, re.MULTILINE))
        assert advice.endswith(f"--select '*{command}")
        told.append(advice)
    for advice, (select, missing, _) in zip(told, MISSING, strict=True):
        project.materialize(advice)
        again = project.materialize(f"--select {select}", check=False).stdout
        assert f"{missing} has not been materialized yet" not in again


def test_a_single_ability_and_batch(project: Project) -> None:
    project.materialize("--select 'prompt_specs,images,dialogues' --partition 'color|0002'")
    store = project.workspace.store
    assert store.partitions(DIALOGUES) == [("color", "0002")]
    assert store.read_all(DIALOGUES).num_rows == 48


def test_a_partition_that_does_not_exist(project: Project) -> None:
    failed = project.materialize("--select prompt_specs --partition 'dinosaur|0001'", check=False)
    assert failed.returncode != 0
    assert "dinosaur|0001" in failed.stdout


def test_an_unknown_profile_key_names_its_line(project: Project) -> None:
    project.write_profile({"painter": {"kind": "embedded", "colour": "red"}})
    failed = project.materialize("--select ability_scores", check=False)
    assert failed.returncode != 0
    assert "profile.yaml:" in failed.stdout
    assert "colour" in failed.stdout
    assert "is not a known setting" in failed.stdout


def test_an_unknown_profile_is_named(project: Project) -> None:
    project.environment["STABLELLAVA_PROFILE"] = "mainframe"
    failed = project.run("stablellava scores", check=False)
    assert failed.stdout.strip() == (
        "Error: STABLELLAVA_PROFILE=mainframe: no such profile or file; "
        "built in are cluster, embedded, local-llm, released, self-judged, workstation"
    )


def test_wrong_answers_of_both_models_are_exported_beside_the_right_ones(finished: Project, tmp_path: Path) -> None:
    told = finished.run(f"stablellava export preference {tmp_path / 'out'} --ask 40").stdout
    assert "asking base model 40 questions of kept pairs" in told
    rows = pq.read_table(tmp_path / "out" / "data").to_pylist()
    kept = {row["pair_id"]: row for row in FILTERED_PAIRS.rows(finished.workspace.store.read_all(FILTERED_PAIRS))}
    assert {row["rejected_source"] for row in rows} <= {"base", "tuned"}
    assert rows
    for row in rows:
        assert row["chosen"][0]["content"][0]["text"] == kept[row["chosen_pair_id"]]["conversations"][1]["value"]
        assert row["rejected"] != row["chosen"]
        assert row["rejected_model"].startswith("models/")
