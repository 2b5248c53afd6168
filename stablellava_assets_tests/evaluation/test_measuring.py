"""The two measuring assets on painted pictures, photographs and published files at once, with a judge over real
HTTP."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from stablellava_assets.cli.demo import current_scores
from stablellava_assets.cli.spending import budget_lines
from stablellava_assets.defs.ability_benchmark import ability_benchmark
from stablellava_assets.defs.ability_scores import ability_scores
from stablellava_assets.defs.resources import resources_of
from stablellava_assets.evaluation.scoreboard import NO_PHOTOGRAPHS, scoreboard
from stablellava_assets.models.checkpoints import save_checkpoint
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.schemas import (
    ABILITY_ANSWERS,
    ABILITY_BENCHMARK,
    ABILITY_DIAGNOSIS,
    ABILITY_SCORES,
    ANSWER_JUDGEMENTS,
    LLAVA_CHECKPOINT,
)
from stablellava_assets_tests.conftest import SMALL
from stablellava_assets_tests.endpoint.questions import KEY
from stablellava_assets_tests.evaluation.suite_files import write_mmbench, write_mmvet, write_pope
from stablellava_assets_tests.evaluation.test_photographs import LINE, write_list
from stablellava_assets_tests.fakes.loopback import Script, loopback
from stablellava_assets_tests.project import Project
from stablellava_assets_tests.tables.made_up import Row, but
from stablellava_assets_tests.tuning.tiny import model_and_processor

PHOTOGRAPHS = (
    LINE,
    {**LINE, "kind": "yes_no", "question": "Is it red?", "accepted": "yes", "refused": "no"},
    {**LINE, "kind": "choice", "options": ["red", "blue"]},
    {**LINE, "kind": "open", "question": "Describe it."},
    {**LINE, "ability": "animal"},
)


def _grade(body: Mapping[str, Any]) -> str:
    return json.dumps({"reason": "It is as good as any.", "points": 7})


def measure(workspace: Workspace) -> dict[str, Mapping[str, Any]]:
    resources = resources_of(workspace)
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = [
        dg.AssetSpec("llava_checkpoint"),
        ability_benchmark,
        ability_scores,
    ]
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(assets, resources=resources, instance=instance)
        events = done.get_asset_materialization_events()
    return {
        event.asset_key.to_user_string(): event.materialization.metadata
        for event in events
        if event.asset_key is not None
    }


def publish_checkpoint(workspace: Workspace) -> None:
    for name, seed in (("base", 0), ("tuned", 1)):
        save_checkpoint(*model_and_processor(seed), workspace.data / "models" / name)
    row: Row = {**dict.fromkeys(LLAVA_CHECKPOINT.schema.names), "checkpoint_id": "c"}
    row |= {"base_path": "models/base", "path": "models/tuned", "run_id": "run", "model": "embedded", "settings": "{}"}
    row |= {"pairs": 1, "images": 1, "parameters": 1, "loss_curve": [], "seconds": 1.0, "created_at": datetime.now(UTC)}
    workspace.store.publish(LLAVA_CHECKPOINT, (), LLAVA_CHECKPOINT.from_rows([row]))


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    project = Project(tmp_path / "project", SMALL)
    publish_checkpoint(project.workspace)
    return project


def test_every_benchmark_is_scored_by_the_same_code(project: Project) -> None:
    alone = measure(project.workspace)
    assert alone["ability_benchmark"]["photographs"].value == NO_PHOTOGRAPHS
    assert str(alone["ability_scores"]["scores"].value).endswith(NO_PHOTOGRAPHS)
    painted = project.workspace.store.read(ABILITY_ANSWERS, ("c",))
    assert painted is not None

    files = project.folder / "suites"
    files.mkdir()
    (pope, pope_images), (mmvet, mmvet_images) = write_pope(files), write_mmvet(files)
    with loopback(answer=_grade) as (url, seen):
        benchmark = {
            **SMALL["benchmark"],
            "photographs": str(write_list(project.folder / "photographs", *PHOTOGRAPHS)),
            "external": [
                {"suite": "pope", "file": str(pope), "images": str(pope_images)},
                {"suite": "mmbench", "file": str(write_mmbench(files)), "max_new_tokens": 3},
                {"suite": "mmvet", "file": str(mmvet), "images": str(mmvet_images), "max_new_tokens": 5},
            ],
            "judge": {"endpoint": {"base_url": url, "model": "judge"}},
        }
        project.write_profile({**SMALL, "benchmark": benchmark})
        metadata = measure(project.workspace)
        asked = sum(seen.answered.values())
        again = measure(project.workspace)
        assert sum(seen.answered.values()) == asked, "what was graded is not graded again"

    store = project.workspace.store
    items = store.read_all(ABILITY_BENCHMARK).to_pylist()
    assert [item["ability"] for item in items if item["benchmark"] == "photos"] == ["animal", *["color"] * 4]
    answers = store.read(ABILITY_ANSWERS, ("c",))
    assert answers is not None
    assert answers.slice(0, 0).schema == painted.schema
    rows = answers.to_pylist()
    assert [row for row in rows if row["benchmark"] == "ai"] == painted.to_pylist(), "painted items were not asked anew"
    counts = {name: sum(row["benchmark"] == name for row in rows) for name in ("photos", "pope", "mmbench", "mmvet")}
    # A photograph's choice is asked twice, MMBench's two questions four times and twice; each of base and tuned, and
    # of the tuned model without the image, but for questions that the judge grades. POPE's are asked about each
    # other's images, too.
    assert counts == {"photos": 3 * 6 - 1, "pope": 4 * 2, "mmbench": 3 * 6, "mmvet": 2 * 2}
    assert {row["rotation"] for row in rows if row["benchmark"] == "mmbench"} == {0, 1, 2, 3}

    judged = store.read(ANSWER_JUDGEMENTS, ("c",))
    assert judged is not None
    assert {(row["benchmark"], row["grade"]) for row in judged.to_pylist()} == {("photos", 0.7), ("mmvet", 0.7)}
    scores = store.read(ABILITY_SCORES, ("c",))
    assert scores is not None
    by_key = {
        (row["benchmark"], row["ability"], row["question_kind"]): row
        for row in scores.to_pylist()
        if row["model"] == "tuned"
    }
    assert by_key["photos", "color", "open"]["accuracy"] == 1.0
    assert by_key["mmvet", "ocr", "open"]["mean_grade"] == pytest.approx(0.7)
    assert by_key["pope", "random", "yes_no"]["n"] == 2
    assert by_key["mmbench", "attribute_recognition", "choice"]["n"] == 1
    table = scoreboard(ABILITY_SCORES.rows(scores), markdown=False)
    assert "Benchmark: real photographs (photos)" in table
    assert NO_PHOTOGRAPHS not in table
    assert metadata["ability_benchmark"]["photograph_questions"].value == 5
    assert "graded 6 answers" in str(metadata["ability_scores"]["judge"].value)
    assert "graded 6 answers" in current_scores(project.workspace.store)
    assert "Judging the answers of both models is not in this plan" in budget_lines(
        project.workspace.profile, project.workspace.folder
    )
    assert again["ability_scores"]["computed"].value == 0


def test_other_keywords_are_scored_without_asking_again(project: Project) -> None:
    folder = write_list(project.folder / "photographs", LINE)
    project.write_profile({**SMALL, "benchmark": {**SMALL["benchmark"], "photographs": str(folder)}})
    measure(project.workspace)
    said = [
        but(row, answer="Crimson, I say.") if row["benchmark"] == "photos" else row
        for row in ABILITY_ANSWERS.rows(project.workspace.store.read_all(ABILITY_ANSWERS))
    ]
    project.workspace.store.publish(ABILITY_ANSWERS, ("c",), ABILITY_ANSWERS.from_rows(said))
    write_list(folder, {**LINE, "accepted": ["red", "crimson"]})
    metadata = measure(project.workspace)
    answers = project.workspace.store.read_all(ABILITY_ANSWERS).to_pylist()
    assert metadata["ability_scores"]["computed"].value == 0
    assert [(row["accepted"], row["correct"]) for row in answers if row["benchmark"] == "photos"] == [
        (["red", "crimson"], True)
    ] * 3


def test_another_checkpoint_of_the_same_base_asks_the_base_nothing(project: Project) -> None:
    first = measure(project.workspace)["ability_scores"]["computed"].value
    save_checkpoint(*model_and_processor(2), project.workspace.data / "models" / "second")
    (row,) = LLAVA_CHECKPOINT.rows(project.workspace.store.read_all(LLAVA_CHECKPOINT))
    second = but(row, checkpoint_id="d", path="models/second")
    project.workspace.store.publish(LLAVA_CHECKPOINT, (), LLAVA_CHECKPOINT.from_rows([row, second]))
    shutil.rmtree(project.workspace.data / "models" / "base")
    again = measure(project.workspace)["ability_scores"]
    assert again["computed"].value == first
    answers = project.workspace.store.read_all(ABILITY_ANSWERS).to_pylist()
    said = {(row["checkpoint_id"], row["item_id"]): row["answer"] for row in answers if row["model"] == "base"}
    assert all(text == said["c", item] for (checkpoint, item), text in said.items() if checkpoint == "d")
    assert len(said) == sum(row["model"] == "tuned" for row in answers)


def test_a_diagnosis_asks_the_tuned_model_alone_and_is_in_no_score(project: Project) -> None:
    measure(project.workspace)
    store = project.workspace.store
    scores, answers = (store.read_all(table).to_pylist() for table in (ABILITY_SCORES, ABILITY_ANSWERS))
    items = store.read_all(ABILITY_BENCHMARK).to_pylist()
    assert store.partitions(ABILITY_DIAGNOSIS) == []

    project.write_profile({**SMALL, "benchmark": {**SMALL["benchmark"], "diagnosis_items_per_kind": 4}})
    metadata = measure(project.workspace)
    assert store.read_all(ABILITY_SCORES).to_pylist() == scores
    assert [row for row in store.read_all(ABILITY_ANSWERS).to_pylist() if row["benchmark"] != "diagnosis"] == answers
    further = [row for row in store.read_all(ABILITY_ANSWERS).to_pylist() if row["benchmark"] == "diagnosis"]
    assert {row["model"] for row in further} == {"tuned"}
    abilities = {row["ability"] for row in items}
    assert len(further) == 3 * 4 * len(abilities)
    held = [row for row in store.read_all(ABILITY_BENCHMARK).to_pylist() if row["benchmark"] == "diagnosis"]
    for column in ("item_id", "sha256", "seed"):
        assert not {row[column] for row in held} & {row[column] for row in items}, column

    told = ABILITY_DIAGNOSIS.rows(store.read_all(ABILITY_DIAGNOSIS))
    assert {row["ability"] for row in told} == abilities
    assert sum(row["n"] for row in told if row["facet"] == "question_kind") == len(further)
    assert "weakest subjects" in str(metadata["ability_scores"]["diagnosis"].value)
    (page,) = project.workspace.report.index.parent.glob("c.html")
    assert '<h2 id="diagnosis">' in page.read_text()
    again = measure(project.workspace)
    assert again["ability_scores"]["computed"].value == 0
    assert ABILITY_DIAGNOSIS.rows(store.read_all(ABILITY_DIAGNOSIS)) == told, "with the run that made them"


def test_a_judge_without_a_key_is_said_before_anybody_is_asked(project: Project, monkeypatch: Any) -> None:
    project.write_profile({**SMALL, "benchmark": {**SMALL["benchmark"], **_open_question(project)}})
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(dg.Failure, match=r"benchmark\.judge: .*OPENAI_API_KEY"):
        measure(project.workspace)
    shutil.rmtree(project.workspace.data / "models")  # Nobody could be asked now.
    with pytest.raises(dg.Failure, match="OPENAI_API_KEY"):
        measure(project.workspace)


def test_a_judge_that_refuses_does_not_hold_back_what_keywords_score(project: Project) -> None:
    with loopback(Script(key="another"), answer=_grade) as (url, _):
        project.write_profile({**SMALL, "benchmark": {**SMALL["benchmark"], **_open_question(project, url)}})
        with pytest.raises(dg.Failure, match="scores are published; those that need a grade lack it"):
            measure(project.workspace)
    scores = project.workspace.store.read_all(ABILITY_SCORES).to_pylist()
    assert {row["benchmark"] for row in scores} == {"ai"}
    judged = project.workspace.store.read_all(ANSWER_JUDGEMENTS).to_pylist()
    assert {(row["status"], row["grade"]) for row in judged} == {("deferred", None)}
    with loopback(answer=_grade) as (url, _):
        project.write_profile({**SMALL, "benchmark": {**SMALL["benchmark"], **_open_question(project, url)}})
        measure(project.workspace)
    scores = project.workspace.store.read_all(ABILITY_SCORES).to_pylist()
    assert {row["benchmark"] for row in scores} == {"ai", "photos"}


def _open_question(project: Project, url: str | None = None) -> dict[str, Any]:
    folder = write_list(project.folder / "photographs", {**LINE, "kind": "open", "question": "Describe it."})
    return {"photographs": str(folder), "judge": {"endpoint": {"model": "judge", **({"base_url": url} if url else {})}}}


def test_a_list_with_a_mistake_stops_the_benchmark(project: Project) -> None:
    folder = write_list(project.folder / "photographs", {**LINE, "kind": "where"})
    project.write_profile({**SMALL, "benchmark": {**SMALL["benchmark"], "photographs": str(folder)}})
    workspace = project.workspace
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(dg.Failure, match=r"list\.jsonl:1: kind"):
        dg.materialize(
            [ability_benchmark],
            resources=resources_of(workspace),
            instance=instance,
        )
    assert workspace.store.partitions(ABILITY_BENCHMARK) == []
