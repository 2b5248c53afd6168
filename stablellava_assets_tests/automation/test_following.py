"""What tuning and scoring follow, evaluated by Dagster itself on a stage of two partitions."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.api import execute_run

from stablellava_assets.defs.project import FOLLOW_UPSTREAM

FIRST, SECOND = "animal", "color"
REFUSED = "refused"
"""Tag of a run in which a gate fails for one partition, and another is published."""


@dg.asset(
    partitions_def=dg.StaticPartitionsDefinition([FIRST, SECOND]),
    check_specs=[dg.AssetCheckSpec("gate", asset="pairs", blocking=True)],
)
def pairs(context: dg.AssetExecutionContext) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
    passed = REFUSED not in context.run.tags
    yield dg.AssetCheckResult(check_name="gate", passed=passed)
    if not passed:
        context.log_event(dg.AssetMaterialization("pairs", partition=SECOND))
        raise dg.Failure("refused by a gate", allow_retries=False)
    yield dg.MaterializeResult()


@dg.asset(deps=[pairs], automation_condition=FOLLOW_UPSTREAM)
def checkpoint() -> None:
    pass


DEFINITIONS = dg.Definitions(
    assets=[pairs, checkpoint],
    jobs=[dg.define_asset_job("batch", selection=[pairs])],
    executor=dg.in_process_executor,
)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def ask(instance: dg.DagsterInstance, partition: str, tags: dict[str, str] | None = None) -> dg.DagsterRun:
    return instance.create_run_for_job(batch_job(), tags={**(tags or {}), "dagster/partition": partition})


def run(instance: dg.DagsterInstance, asked: dg.DagsterRun) -> None:
    execute_run(dg.reconstructable(batch_job), asked, instance)


def batch_job() -> dg.JobDefinition:
    return DEFINITIONS.resolve_job_def("batch")


def followed(instance: dg.DagsterInstance, cursor: Any = None) -> tuple[int, Any]:
    evaluated = dg.evaluate_automation_conditions(DEFINITIONS, instance, cursor=cursor)
    return evaluated.total_requested, evaluated.cursor


def test_it_follows_runs_that_end_in_another_order_than_they_were_asked_for(instance: dg.DagsterInstance) -> None:
    _, cursor = followed(instance)
    first, second = ask(instance, FIRST), ask(instance, SECOND)
    run(instance, second)
    run(instance, first)
    requested, cursor = followed(instance, cursor)
    assert requested == 1
    assert followed(instance, cursor)[0] == 0


def test_it_does_not_follow_a_run_in_which_a_gate_failed(instance: dg.DagsterInstance) -> None:
    _, cursor = followed(instance)
    run(instance, ask(instance, FIRST, {REFUSED: "yes"}))
    requested, cursor = followed(instance, cursor)
    assert requested == 0
    run(instance, ask(instance, FIRST))
    assert followed(instance, cursor)[0] == 1
