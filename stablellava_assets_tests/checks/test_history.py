"""What a gate found in batch after batch, read from Dagster's own storage as the UI's page of a check reads it."""

from __future__ import annotations

from collections.abc import Iterator
from math import log
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg
import pytest

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.abilities.catalog import AnyAbility, single_image
from stablellava_assets.authors.embedded.author import EmbeddedAuthor
from stablellava_assets.defs.prompt_specs import prompt_specs
from stablellava_assets.defs.resources import resources_of
from stablellava_assets.tables.rows import AnyPlanned
from stablellava_assets.tables.schemas import PROMPT_SPECS
from stablellava_assets_tests.conftest import SMALL
from stablellava_assets_tests.project import Project

EVEN, COLLAPSED, TOO_SMALL = (f"animal|{number:04d}" for number in (1, 2, 3))
ROWS, TOO_FEW = 12, 9


class Collapsing(EmbeddedAuthor):
    """Comes back to two animals in the second batch, and in the third, of which there is too little to tell."""

    def plan_prompts(self, ability: AnyAbility, batch: str, count: int) -> list[AnyPlanned]:
        partition = f"{ability.ability}|{batch}"
        if partition in (COLLAPSED, TOO_SMALL):
            few = single_image(ability).subjects[:2]
            ability = Ability.model_validate({**ability.model_dump(), "subjects": few})
        return super().plan_prompts(ability, batch, TOO_FEW if partition == TOO_SMALL else count)


class Execution(NamedTuple):
    """What the UI shows of a check in one run."""

    partition: str
    status: str
    metadata: dict[str, Any]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Path]:
    """A project of which three batches were asked for, a run each, and its Dagster home."""
    folder = tmp_path_factory.mktemp("history")
    project, home = Project(folder / "project", {**SMALL, "rows_per_batch": ROWS}), folder / "home"
    workspace = project.workspace
    workspace.author = Collapsing()
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        for partition in (EVEN, COLLAPSED, TOO_SMALL):
            done = dg.materialize(
                [prompt_specs],
                resources=resources_of(workspace),
                instance=instance,
                partition_key=partition,
                raise_on_error=False,
            )
            assert done.success == (partition != COLLAPSED)
    return project, home


@pytest.fixture
def instance(ran: tuple[Project, Path]) -> Iterator[dg.DagsterInstance]:
    """Opened anew, as the web server opens it beside the runs."""
    with dg.DagsterInstance.local_temp(str(ran[1])) as instance:
        yield instance


def history(instance: dg.DagsterInstance, check: str) -> list[Execution]:
    """The executions of a check, the first one first."""
    key = dg.AssetCheckKey(dg.AssetKey(PROMPT_SPECS.name), check)
    executions = []
    for record in instance.event_log_storage.get_asset_check_execution_history(key, limit=25):
        run = instance.get_run_by_id(record.run_id)
        assert run is not None
        assert record.evaluation is not None
        metadata = {label: value.value for label, value in record.evaluation.metadata.items()}
        executions.append(Execution(run.tags["dagster/partition"], record.status.value, metadata))
    return executions[::-1]


def test_a_gates_history_tells_which_batch_collapsed_and_how_far(instance: dg.DagsterInstance) -> None:
    even, collapsed, too_small = history(instance, "subjects_are_even")
    assert [(each.partition, each.status) for each in (even, collapsed, too_small)] == [
        (EVEN, "SUCCEEDED"),
        (COLLAPSED, "FAILED"),
        (TOO_SMALL, "SUCCEEDED"),
    ]
    assert 0 < collapsed.metadata["lowest"] <= log(2) / log(10), "two animals, of ten that are expected"
    assert collapsed.metadata["lowest"] == collapsed.metadata["highest"]
    assert even.metadata["lowest"] > 0.7
    assert (collapsed.metadata["partitions"], collapsed.metadata["failed_partitions"]) == (1, 1)
    assert r"| animal\|0002 | **failed** |" in collapsed.metadata["observed"]


def test_a_batch_of_which_nothing_can_be_told_passes_and_says_so(instance: dg.DagsterInstance) -> None:
    too_small = history(instance, "subjects_are_even")[2]
    assert "too few rows to tell" in too_small.metadata["observed"]
    assert not {"lowest", "highest"} & too_small.metadata.keys()


def test_gates_that_are_about_something_else_passed_in_every_batch(instance: dg.DagsterInstance) -> None:
    executions = history(instance, "enough_rows_made")
    assert [(each.partition, each.status) for each in executions] == [
        (partition, "SUCCEEDED") for partition in (EVEN, COLLAPSED, TOO_SMALL)
    ]


def test_a_batch_that_is_published_beside_one_that_failed_keeps_what_was_measured(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", {**SMALL, "rows_per_batch": ROWS})
    workspace = project.workspace
    workspace.author = Collapsing()
    (tmp_path / "home").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "home")) as instance:
        done = dg.materialize(
            [prompt_specs],
            resources=resources_of(workspace),
            instance=instance,
            tags={"dagster/asset_partition_range_start": EVEN, "dagster/asset_partition_range_end": COLLAPSED},
            raise_on_error=False,
        )
        (record,) = instance.fetch_materializations(dg.AssetKey(PROMPT_SPECS.name), limit=25).records
    assert not done.success
    assert record.partition_key == EVEN
    assert record.asset_materialization is not None
    metadata = record.asset_materialization.metadata
    assert metadata["subjects_are_even"].value == pytest.approx(0.8, abs=0.2)
    assert metadata["rows"].value == ROWS


def test_the_asset_plots_what_was_measured_of_every_published_batch(
    ran: tuple[Project, Path], instance: dg.DagsterInstance
) -> None:
    found = instance.fetch_materializations(dg.AssetKey(PROMPT_SPECS.name), limit=25, ascending=True).records
    measured = {
        str(record.partition_key): record.asset_materialization.metadata
        for record in found
        if record.asset_materialization is not None
    }
    assert list(measured) == [EVEN, TOO_SMALL]
    assert measured[EVEN]["subjects_are_even"].value == history(instance, "subjects_are_even")[0].metadata["lowest"]
    assert "subjects_are_even" not in measured[TOO_SMALL]
    published = ran[0].workspace.store.partitions(PROMPT_SPECS)
    assert ["|".join(partition) for partition in published] == list(measured)
