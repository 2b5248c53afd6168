"""Reference models in the asset of scores: two of them over real HTTP, beside the base and the tuned model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from stablellava_assets.cli.plan import plan
from stablellava_assets.cli.spending import budget_lines, spending_table
from stablellava_assets.endpoint.usage import Forecast
from stablellava_assets.evaluation.kinds import CONTROLS
from stablellava_assets.planning.reference_costs import reference_plan
from stablellava_assets.planning.spending import StagePlan
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.schemas import ABILITY_SCORES, LLAVA_CHECKPOINT, REFERENCE_ANSWERS
from stablellava_assets_tests.conftest import SMALL
from stablellava_assets_tests.endpoint.questions import KEY, PRICES
from stablellava_assets_tests.evaluation.suite_files import write_pope
from stablellava_assets_tests.evaluation.test_measuring import measure, publish_checkpoint
from stablellava_assets_tests.fakes.loopback import Script, loopback
from stablellava_assets_tests.project import Project
from stablellava_assets_tests.tables.made_up import but

ONE = {**SMALL, "only": ["color"]}


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    project = Project(tmp_path / "project", ONE, ("color", "scene"))
    publish_checkpoint(project.workspace)
    return project


def _ask(project: Project, *urls: str, **settings: Any) -> Workspace:
    """A profile with a reference model per address, named a, b, ..."""
    (project.folder / "prices.yaml").write_text(PRICES)
    endpoint = {"model": "loopback", "prices": str(project.folder / "prices.yaml"), "attempts": 1}
    references = [
        {"name": name, "endpoint": {**endpoint, "base_url": url, "extra_body": {"top_p": at / 2}}}
        for at, (name, url) in enumerate(zip("ab", urls, strict=False))
    ]
    project.write_profile({**ONE, "benchmark": {**SMALL["benchmark"], "references": references, **settings}})
    return project.workspace


def _planned(workspace: Workspace) -> list[StagePlan]:
    return reference_plan(
        workspace.store,
        workspace.profile.benchmark,
        [workspace.catalog[one] for one in workspace.profile.measured(workspace.catalog)],
        workspace.painter,
        workspace.folder.chat_ledger,
    )


def _total(plans: list[StagePlan]) -> Forecast:
    return sum((plan.forecast for plan in plans), start=Forecast())


def _answer(body: Mapping[str, Any]) -> str:
    return "Yes, it is red." if body["top_p"] else "No."


def test_reference_models_are_planned_asked_once_and_compared_in_table_and_report(project: Project) -> None:
    files = project.folder / "suites"
    files.mkdir()
    pope, images = write_pope(files)
    with loopback(answer=_answer) as (url, seen):
        workspace = _ask(project, url, url, external=[{"suite": "pope", "file": str(pope), "images": str(images)}])
        before = _planned(workspace)
        assert [(one.stage, one.ability, one.batch, one.rows, one.reused) for one in before] == [
            (name, *of_benchmark, 0) for name in "ab" for of_benchmark in (("color", "ai", 51), ("all", "pope", 2))
        ]
        metadata = measure(workspace)["ability_scores"]
        asked = sum(seen.answered.values())
        assert asked == _total(before).spent.requests == 2 * 53
        assert _total(before).spent.cost_usd
        assert not _total(before).measured
        after = _planned(workspace)
        assert (_total(after).spent.requests, {one.rows - one.reused for one in after}) == (0, {0})
        again = measure(workspace)["ability_scores"]
        (row,) = LLAVA_CHECKPOINT.rows(workspace.store.read_all(LLAVA_CHECKPOINT))
        workspace.store.publish(
            LLAVA_CHECKPOINT, (), LLAVA_CHECKPOINT.from_rows([row, but(row, checkpoint_id="d", path="models/base")])
        )
        assert _total(_planned(workspace)).spent.requests == 0, "the ledger has the answers"
        measure(workspace)
        assert sum(seen.answered.values()) == asked, "nothing is asked twice, for whatever checkpoint"
    assert (metadata["asked_elsewhere"].value, metadata["not_answered"].value) == (106, 0)
    assert again["asked_elsewhere"].value == 0
    scores = {
        (row["model"], row["benchmark"], row["ability"], row["question_kind"]): row
        for row in ABILITY_SCORES.rows(workspace.store.read_all(ABILITY_SCORES, [("c",)]))
    }
    assert scores["b", "ai", "color", "all"]["n"] == scores["tuned", "ai", "color", "all"]["n"] == 51
    assert scores["b", "ai", "color", "yes_no"]["yes_ratio"] == 1.0
    assert scores["a", "pope", "random", "yes_no"]["yes_ratio"] == 0.0
    assert scores["b", "ai", "color", "all"]["verdict"] is not None
    assert "| b | color | 51 |" in str(metadata["scores"].value)
    page = workspace.report.page("c").read_text()
    assert "Reference models, asked the same questions" in page
    assert "answers of reference models" in page
    assert "Spent so far with b" in budget_lines(workspace.profile, workspace.folder)
    assert "color    ai     b" in spending_table(before)
    files_made = [path for path in workspace.data.rglob("*") if path.is_file()]
    assert [path for path in files_made if KEY.encode() in path.read_bytes()] == []


def test_the_command_plans_answers_and_says_how_many_items_a_gain_takes(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("STABLELLAVA_PROFILE", "STABLELLAVA_DATA"):
        monkeypatch.setenv(name, project.environment[name])
    _ask(project, "http://127.0.0.1:9/v1")
    unscored = CliRunner().invoke(plan, ["color", "--gain", "0.1"])
    assert "ai         color          0.500 (assumed)" in unscored.output, unscored.output
    assert "color    ai     a        51       0        51" in unscored.output
    project.write_profile({**ONE, "benchmark": {**ONE["benchmark"], "wanted_gain": 0.2}})
    assert "takes" not in CliRunner().invoke(plan, []).output
    measure(project.workspace)
    (line,) = [line for line in CliRunner().invoke(plan, []).output.splitlines() if line.startswith("ai ")]
    assert line.split()[:2] == ["ai", "color"]
    assert line.split()[-1] == line.split()[-2], "one ability needs no correction"


def test_a_reference_without_a_key_stops_the_run_before_anybody_is_asked(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    references = [{"endpoint": {"model": "gpt-4o-mini"}}]
    project.write_profile({**ONE, "benchmark": {**SMALL["benchmark"], "references": references}})
    with pytest.raises(dg.Failure, match=r"benchmark\.references \(gpt-4o-mini\): .*OPENAI_API_KEY"):
        measure(project.workspace)
    assert project.workspace.store.partitions(ABILITY_SCORES) == []


def test_one_that_refuses_the_key_holds_back_neither_ours_nor_the_other(project: Project) -> None:
    with loopback(Script(key="another"), answer=_answer) as (refusing, _), loopback(answer=_answer) as (url, _):
        workspace = _ask(project, refusing, url)
        with pytest.raises(dg.Failure, match=r"benchmark\.references \(a\): .*those of a lack its answers") as failed:
            measure(workspace)
        assert KEY not in str(failed.value.description)
    scores = ABILITY_SCORES.rows(workspace.store.read_all(ABILITY_SCORES))
    assert {row["model"] for row in scores} - {*CONTROLS} == {"base", "tuned", "b"}
    rows = REFERENCE_ANSWERS.rows(workspace.store.read_all(REFERENCE_ANSWERS))
    assert {(row["model"], row["status"]) for row in rows} == {("a", "deferred"), ("b", "made")}
    with loopback(answer=_answer) as (url, seen):
        measure(_ask(project, url, url))
        assert sum(seen.answered.values()) == 51
