"""The ``stablellava`` command: what people do beside Dagster. Each verb is a file of its own."""

from __future__ import annotations

import click

from stablellava_assets.cli.ask import ask
from stablellava_assets.cli.command_group import CommandGroup
from stablellava_assets.cli.export import export
from stablellava_assets.cli.main.gallery import gallery
from stablellava_assets.cli.main.plan import plan
from stablellava_assets.cli.main.quarantine import quarantine
from stablellava_assets.cli.main.released import inspect_released
from stablellava_assets.cli.main.report import report
from stablellava_assets.cli.main.scores import demo, scores
from stablellava_assets.cli.main.serve import serve_local_llm
from stablellava_assets.cli.main.warehouse import describe_tables, query, rebuild_warehouse
from stablellava_assets.cli.photographs import photographs


@click.group(cls=CommandGroup)
def main() -> None:
    """Inspect and export what the pipeline made."""


for _verb in (
    *(demo, scores, plan, gallery, report, export, ask, photographs, query, quarantine),
    *(rebuild_warehouse, describe_tables, inspect_released, serve_local_llm),
):
    main.add_command(_verb)
