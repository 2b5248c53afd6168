"""The profile of the code location, and the building blocks that all assets share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ParamSpec, TypeVar

import click
import dagster as dg

from stablellava_assets.checks.gates import Suite
from stablellava_assets.defs.automation.executors import backfills_of, executor_of
from stablellava_assets.defs.partitions import ability_batches
from stablellava_assets.inputs.explained import ExplainedError, is_system_error, remedy_of, system_message
from stablellava_assets.profiles.profile import load_profile
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.table import AnyTable


def _chosen() -> tuple[Workspace, dg.PartitionsDefinition[str], dg.ExecutorDefinition]:
    try:
        workspace = Workspace(load_profile())
        partitions = ability_batches(workspace.profile, workspace.author_abilities)
        return workspace, partitions, executor_of(workspace.profile.runs.executor)
    except ExplainedError as error:
        # Dagster's commands print only the message of click exceptions.
        raise click.ClickException(str(error)) from None


# Dagster needs the partitions to define assets, so profile and catalog are read on import.
WORKSPACE, PARTITIONS, EXECUTOR = _chosen()
BACKFILLS = backfills_of(WORKSPACE.profile.runs.partitions_per_run)
FOLLOW_UPSTREAM = (
    # Partitions of future batches are always missing and must not block the downstream assets of finished ones.
    dg.AutomationCondition.eager().without(~dg.AutomationCondition.any_deps_missing())
    # Not "all have passed": if runs end in another order than requested, Dagster attributes the latest checks to an
    # earlier materialization, and they would neither pass nor fail until the next batch. Missing a failed gate in this
    # way does no harm, because its partition was not published.
    & dg.AutomationCondition.all_deps_match(
        dg.AutomationCondition.all_checks_match(~dg.AutomationCondition.check_failed(), blocking_only=True)
    )
)
OWNERS = ["team:vision-language-data"]
GROUP = "stablellava"
"""The only asset group: the UI shows several ones folded, and one as the whole graph."""


Arguments = ParamSpec("Arguments")
Event = TypeVar("Event")


def explained(stage: Callable[Arguments, Iterator[Event]]) -> Callable[Arguments, Iterator[Event]]:
    """Turn errors that the user can fix into a failure with one readable message; bugs keep their stack trace."""

    @functools.wraps(stage)
    def explained_stage(*arguments: Arguments.args, **named: Arguments.kwargs) -> Iterator[Event]:
        try:
            yield from stage(*arguments, **named)
        except ExplainedError as error:
            raise dg.Failure(description=str(error)) from error
        except OSError as error:
            if not is_system_error(error):
                raise
            raise dg.Failure(description=f"{system_message(error)}; {remedy_of(error)}") from error

    return explained_stage


def column_schema(table: AnyTable) -> dict[str, dg.TableSchema]:
    """Definition metadata with which the UI shows a table's columns."""
    columns = [
        dg.TableColumn(column.name, str(column.type), table.description_of(column.name)) for column in table.columns
    ]
    return {"dagster/column_schema": dg.TableSchema(columns)}


def check_specs(suite: Suite) -> list[dg.AssetCheckSpec]:
    """One asset check per gate."""
    return [
        dg.AssetCheckSpec(gate.name, asset=suite.table.name, description=gate.description, blocking=True)
        for gate in suite.gates
    ]


def stage_asset(
    suite: Suite,
    kinds: set[str],
    deps: Sequence[str] = (),
    *,
    partitioned: bool = False,
    condition: dg.AutomationCondition[dg.AssetKey] | None = None,
    description: str | None = None,
    pool: str | None = None,
) -> Callable[[Callable[..., Iterator[Any]]], dg.AssetsDefinition]:
    """Decorator for the asset of a stage: its table's columns and description, one check per gate, and readable errors.

    Args:
        suite: the gates of the stage, and its table.
        kinds: badges in the UI.
        deps: the upstream tables.
        partitioned: whether it is partitioned by ability and batch.
        condition: when the asset is materialized automatically; None: never.
        description: additional to that of the table.
        pool: Dagster concurrency pool of a shared resource, such as an endpoint or a GPU.
    """

    def decorate(stage: Callable[..., Iterator[Any]]) -> dg.AssetsDefinition:
        return dg.asset(
            deps=list(deps),
            partitions_def=PARTITIONS if partitioned else None,
            backfill_policy=BACKFILLS,
            automation_condition=condition,
            group_name=GROUP,
            owners=OWNERS,
            kinds=kinds,
            metadata=column_schema(suite.table),
            check_specs=check_specs(suite),
            description=description or suite.table.description,
            pool=pool,
        )(explained(stage))

    return decorate
