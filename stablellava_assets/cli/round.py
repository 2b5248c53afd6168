"""``stablellava round``: the next batch of every ability, tuned on and scored, compared with the round before."""

from __future__ import annotations

import click

from stablellava_assets.profiles.workspace import Workspace, workspace_of_environment
from stablellava_assets.tables.schemas import ABILITY_DIAGNOSIS, ABILITY_SCORES, FILTERED_PAIRS


@click.command("round")
@click.option("--anyway", is_flag=True, help="Go on although the last two rounds showed no gain.")
def next_round(anyway: bool) -> None:
    """Make the next batch of every ability, tune on all pairs, and print what was gained over the round before.

    If the last two rounds showed no gain over all abilities, nothing is made. A round that was interrupted is finished
    first.
    """
    from stablellava_assets.cli.demo import materialize_all
    from stablellava_assets.evaluation.rounds import gains_table, read_rounds, rounds_table, stalled

    workspace = workspace_of_environment()
    planning = workspace.profile.planning
    benchmark = "ai" if planning is None else planning.benchmark
    rounds = read_rounds(workspace.store, benchmark)
    if stalled(rounds) and not anyway:
        click.echo(
            f"{rounds_table(rounds, markdown=False)}\n\nThe last two rounds showed no gain over all abilities: their "
            "intervals are not above zero. Nothing was made; `--anyway` goes on."
        )
        return
    batch = _batch(workspace)
    partitions = workspace.range_of(batch)
    if partitions is None:
        raise click.ClickException("the author can write for none of the profile's abilities; see `abilities`, `only`")
    click.echo(f"Round of batch {batch}, after {len(rounds)} scored so far.")
    materialize_all(workspace, partitions)
    rounds = read_rounds(workspace.store, benchmark)
    if rounds:
        click.echo(f"\n{gains_table(rounds[-1], markdown=False)}\n\n{rounds_table(rounds, markdown=False)}")
    if stalled(rounds):
        click.echo("\nThe last two rounds showed no gain over all abilities; the next call makes nothing.")
    click.echo(f"\nPlot of rounds, and the answers that changed: {workspace.report.index}")


def _batch(workspace: Workspace) -> str:
    """The first batch that some ability lacks; or the one before, if it was not tuned on or not scored.

    Raises:
        click.ClickException: all batches are done.
    """
    keys = workspace.profile.batch_keys
    upcoming = min(workspace.upcoming().values(), default=None)
    done = keys if upcoming is None else keys[: keys.index(upcoming)]
    begun = any(batch == upcoming for _, batch in workspace.store.partitions(FILTERED_PAIRS))
    if done and not begun and not _is_finished(workspace):
        return done[-1]
    if upcoming is None:
        raise click.ClickException(f"all {len(keys)} batches are done; raise `batches` in the profile")
    return upcoming


def _is_finished(workspace: Workspace) -> bool:
    """Whether the newest checkpoint was tuned on the pairs that are kept now, and scored with all that is planned
    from."""
    from stablellava_assets.report.lineage import lineage_of
    from stablellava_assets.tables.checkpoints import checkpoints
    from stablellava_assets.tables.score_rows import Checkpoint

    planning, newest = workspace.profile.planning, checkpoints(workspace.store, Checkpoint)[-1:]
    needed = (ABILITY_SCORES, ABILITY_DIAGNOSIS) if planning is not None and planning.errors else (ABILITY_SCORES,)
    if not newest or not all(workspace.store.holds(table, (newest[0]["checkpoint_id"],)) for table in needed):
        return False
    return lineage_of(workspace.settling.settle(workspace.store).store).is_of(newest[0])
