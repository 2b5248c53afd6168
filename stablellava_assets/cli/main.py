"""The ``stablellava`` command: what people do beside Dagster. Each verb is a file of its own."""

from __future__ import annotations

import click

from stablellava_assets.cli.ask import ask
from stablellava_assets.cli.base import base
from stablellava_assets.cli.command_group import CommandGroup
from stablellava_assets.cli.contamination import contamination
from stablellava_assets.cli.export import export
from stablellava_assets.cli.gallery import gallery
from stablellava_assets.cli.new_ability import check_ability, new_ability
from stablellava_assets.cli.photographs import photographs
from stablellava_assets.cli.plan import plan
from stablellava_assets.cli.quarantine import quarantine
from stablellava_assets.cli.released import inspect_released
from stablellava_assets.cli.report import report
from stablellava_assets.cli.round import next_round
from stablellava_assets.cli.scores import demo, scores
from stablellava_assets.cli.serve import serve_local_llm
from stablellava_assets.cli.warehouse import describe_tables, query, rebuild_warehouse


@click.group(cls=CommandGroup)
def main() -> None:
    """Inspect and export what the pipeline made."""


for _verb in (
    *(demo, next_round, scores, new_ability, check_ability, plan, gallery, report, export, ask, photographs, query),
    *(quarantine, contamination, rebuild_warehouse, describe_tables, inspect_released, serve_local_llm, base),
):
    main.add_command(_verb)
