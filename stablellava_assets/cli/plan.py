"""``stablellava plan``: what a run would cost, before it is started."""

from __future__ import annotations

import click

from stablellava_assets.abilities.brief import Brief
from stablellava_assets.profiles.workspace import workspace_of_environment
from stablellava_assets.tables.store import Partition


@click.command()
@click.argument("abilities", nargs=-1)
@click.option(
    "--batch",
    "batches",
    multiple=True,
    help="Batch to plan, such as 0002; repeatable. [the next one of each ability]",
)
@click.option(
    "--gain",
    type=click.FloatRange(0, 1, min_open=True),
    help="Gain in accuracy that the benchmark is to show. [benchmark.wanted_gain, once there are scores]",
)
def plan(abilities: tuple[str, ...], batches: tuple[str, ...], gain: float | None) -> None:
    """Print the requests to paid models in a run, and their cost, without sending any; and how many benchmark items
    show a gain.

    ABILITIES are the abilities to plan; the default is all. Published rows cost nothing. If the profile sizes batches
    by the last scores (planning), the sizes are printed first.
    """
    from stablellava_assets.cli.spending import budget_lines, spending_table
    from stablellava_assets.planning.briefs import brief_text
    from stablellava_assets.planning.needed_items import needed_items_table, nothing_measured, read_needed_items
    from stablellava_assets.planning.plan_table import plan_table
    from stablellava_assets.planning.reference_costs import reference_plan
    from stablellava_assets.planning.spending import spending_plan

    workspace = workspace_of_environment()
    known = workspace.author_abilities
    for name in abilities:
        if name not in known:
            raise click.ClickException(f"no ability {name!r}; this profile has {', '.join(known)}")
    for batch in batches:
        if batch not in workspace.profile.batch_keys:
            raise click.ClickException(
                f"no batch {batch!r}; this profile has 0001 to {workspace.profile.batch_keys[-1]}"
            )
    upcoming = {} if batches else workspace.upcoming()
    partitions = [
        (ability, batch)
        for ability in abilities or known
        for batch in batches or ([upcoming[ability]] if ability in upcoming else [])
    ]
    if not partitions:
        click.echo(f"All {workspace.profile.batches} batches are done; raise `batches` in the profile.")
    usual_rows = workspace.usual_rows
    sizes: dict[Partition, int] = {partition: usual_rows[partition[0]] for partition in partitions}
    briefs: dict[Partition, Brief | None] = {}
    for batch in sorted({batch for _, batch in partitions}):
        planned = [ability for ability, its_batch in partitions if its_batch == batch]
        foreseen = workspace.plans and workspace.plans.foreseen(batch, planned)
        if foreseen:
            sizes |= {(ability, batch): foreseen.rows_of(ability) for ability in planned}
            briefs |= {(ability, batch): foreseen.brief_of(ability) for ability in planned}
        if foreseen and foreseen.rows:
            click.echo(f"Prompts per ability in batch {batch}:\n{plan_table(foreseen, markdown=False)}\n")
            for ability in planned:
                if brief := foreseen.brief_of(ability):
                    click.echo(f"{ability}: {brief_text(brief)}.\n")
    measured = read_needed_items(workspace.store)
    needed = measured or ([nothing_measured(ability, len(known)) for ability in known] if gain else [])
    if shown := [one for one in needed if not abilities or one.ability in abilities or one.ability not in known]:
        click.echo(f"{needed_items_table(shown, gain or workspace.profile.benchmark.wanted_gain)}\n")
    stages = spending_plan(workspace.store, workspace.catalog, workspace.author, workspace.batch_painter, sizes, briefs)
    measured_abilities = workspace.profile.measured(workspace.catalog)
    stages += reference_plan(
        workspace.store,
        workspace.profile.benchmark,
        [workspace.catalog[one] for one in measured_abilities if not abilities or one in abilities],
        workspace.painter,
        workspace.folder.chat_ledger,
        with_suites=not abilities,
    )
    if stages:
        click.echo(spending_table(stages))
    click.echo(budget_lines(workspace.profile, workspace.folder))
