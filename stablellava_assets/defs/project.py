"""The profile that the code location was started with, and what every asset shares because of it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ParamSpec, TypeVar

import click
import dagster as dg

from stablellava_assets.checks.gates import Suite
from stablellava_assets.defs.partitions import ability_batches
from stablellava_assets.inputs.explained import ExplainedError, is_of_the_system, remedy_of, said_by_the_system
from stablellava_assets.profiles.profile import load_profile
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.table import AnyTable


def _workspace_and_partitions() -> tuple[Workspace, dg.PartitionsDefinition[str]]:
    try:
        workspace = Workspace(load_profile())
        return workspace, ability_batches(workspace.profile, workspace.taught)
    except ExplainedError as error:
        # Of click's exceptions Dagster's commands print the message alone.
        raise click.ClickException(str(error)) from None


# Dagster needs the partitions when assets are defined, so profile and catalog are read as this module is imported.
WORKSPACE, PARTITIONS = _workspace_and_partitions()
ONE_RUN = dg.BackfillPolicy.single_run()
FOLLOW_UPSTREAM = (
    # Partitions of batches to come are always missing; they must not hold up what follows those that are done.
    dg.AutomationCondition.eager().without(~dg.AutomationCondition.any_deps_missing())
    # Not "all have passed": where runs end in another order than they were asked for, Dagster takes the latest checks for
    # those of an earlier materialization, so that they would neither pass nor fail until the next batch. A failed gate that is
    # missed in this way does no harm: what it refused was not published.
    & dg.AutomationCondition.all_deps_match(
        dg.AutomationCondition.all_checks_match(~dg.AutomationCondition.check_failed(), blocking_only=True)
    )
)
OWNERS = ["team:vision-language-data"]


Arguments = ParamSpec("Arguments")
Event = TypeVar("Event")


def explained(stage: Callable[Arguments, Iterator[Event]]) -> Callable[Arguments, Iterator[Event]]:
    """A stage that fails with one readable message for what a user can fix; a bug shows its stack trace."""

    @functools.wraps(stage)
    def told(*arguments: Arguments.args, **named: Arguments.kwargs) -> Iterator[Event]:
        try:
            yield from stage(*arguments, **named)
        except ExplainedError as error:
            raise dg.Failure(description=str(error)) from error
        except OSError as error:
            if not is_of_the_system(error):
                raise
            raise dg.Failure(description=f"{said_by_the_system(error)}; {remedy_of(error)}") from error

    return told


def column_schema(table: AnyTable) -> dict[str, dg.TableSchema]:
    """Definition metadata by which the UI shows a table's columns."""
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
    group: str,
    kinds: set[str],
    deps: Sequence[str] = (),
    *,
    partitioned: bool = False,
    condition: dg.AutomationCondition[dg.AssetKey] | None = None,
    description: str | None = None,
    pool: str | None = None,
) -> Callable[[Callable[..., Iterator[Any]]], dg.AssetsDefinition]:
    """Make an asset of a stage: its table's columns and description, a check per gate, and errors that people can read.

    Args:
        suite: the gates of the stage, and its table.
        group: of assets in the UI.
        kinds: badges in the UI.
        deps: the upstream tables.
        partitioned: by ability and batch.
        condition: when the asset is materialized by itself; None: never.
        description: where there is more to say than the table's own.
        pool: Dagster's concurrency pool of what the stage shares with other runs, as an endpoint or a GPU.
    """

    def decorate(stage: Callable[..., Iterator[Any]]) -> dg.AssetsDefinition:
        return dg.asset(
            deps=list(deps),
            partitions_def=PARTITIONS if partitioned else None,
            backfill_policy=ONE_RUN,
            automation_condition=condition,
            group_name=group,
            owners=OWNERS,
            kinds=kinds,
            metadata=column_schema(suite.table),
            check_specs=check_specs(suite),
            description=description or suite.table.description,
            pool=pool,
        )(explained(stage))

    return decorate
