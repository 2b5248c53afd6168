"""``stablellava export``: kept pairs as other programs read them."""

from __future__ import annotations

from collections.abc import Sequence

import click

from stablellava_assets.exports.export import FORMATS, PREFERENCE, export_pairs
from stablellava_assets.exports.selection import chosen_partitions
from stablellava_assets.exports.splits import read_splits
from stablellava_assets.exports.wrong_answers import WrongAnswer, WrongAnswers
from stablellava_assets.profiles.workspace import Workspace, workspace_of_environment
from stablellava_assets.tables.store import ParquetStore, Partition


@click.command()
@click.argument("format_name", metavar="FORMAT", type=click.Choice(sorted([*FORMATS, PREFERENCE])))
@click.argument("destination")
@click.option("--ability", "abilities", multiple=True, help="Ability to export; repeatable. [all]")
@click.option("--batch", "batches", multiple=True, help="Batch to export, such as 0002; repeatable. [all]")
@click.option(
    "--split",
    "written",
    multiple=True,
    help="Share of the prompts, such as validation=0.05; repeatable; the rest is train.",
)
@click.option("--replace", is_flag=True, help="Replace an earlier export in DESTINATION.")
@click.option(
    "--ask",
    "asked",
    default=256,
    show_default=True,
    type=click.IntRange(0),
    help="preference: kept pairs whose questions the base and the tuned model of the newest checkpoint are asked.",
)
@click.option("--seed", default=0, show_default=True, help="preference: which pairs these are.")
def export(
    format_name: str,
    destination: str,
    abilities: tuple[str, ...],
    batches: tuple[str, ...],
    written: tuple[str, ...],
    replace: bool,
    asked: int,
    seed: int,
) -> None:
    """Write the kept pairs to a new folder or URL DESTINATION, as llava, huggingface or webdataset reads them.

    preference: beside wrong answers, of rejected pairs and of models, as TRL reads them.
    """
    workspace = workspace_of_environment()
    partitions = chosen_partitions(workspace.store, abilities, batches)
    settled = workspace.settling.settle(workspace.store, partitions)
    if settled.notice is not None:
        click.echo(settled.notice, err=True)
    splits, store = read_splits(written), settled.store
    wrong = None
    if format_name == PREFERENCE:
        wrong = WrongAnswers(store, _of_models(workspace, store, partitions, asked, seed) if asked else None)
    exported = export_pairs(format_name, store, partitions, destination, splits, replace=replace, wrong=wrong)
    sizes = ", ".join(f"{count:,} {split}" for split, count in exported.splits.items())
    click.echo(f"{destination}: {exported.pairs:,} pairs ({sizes})")
    for reason, count in exported.left_out.items():
        click.echo(f"left out: {count:,} pairs, each of which {reason}")


def _of_models(
    workspace: Workspace, store: ParquetStore, partitions: Sequence[Partition], count: int, seed: int
) -> dict[str, list[WrongAnswer]]:
    from stablellava_assets.exports.asking import AskedModel, ask_models, sample_of_pairs
    from stablellava_assets.models.checkpoints import CHAT_TEMPLATE
    from stablellava_assets.tables.checkpoints import checkpoints
    from stablellava_assets.tables.score_rows import CheckpointFolders

    known, models = checkpoints(store, CheckpointFolders), workspace.models
    if not known:
        click.echo("No checkpoint to ask yet: wrong answers are those of rejected pairs alone.", err=True)
        return {}
    checkpoint = known[-1]
    for path in (checkpoint["base_path"], checkpoint["path"]):
        if not models.exists(path):
            raise click.ClickException(
                f"{models.path_of(path)}: the model is gone; make it again with `dagster asset materialize --select "
                "llava_checkpoint`, or say --ask 0"
            )
    return ask_models(
        store,
        partitions,
        sample_of_pairs(store, partitions, count, seed),
        [
            AskedModel("base", checkpoint["base_path"], models.path_of(checkpoint["base_path"])),
            AskedModel("tuned", checkpoint["path"], models.path_of(checkpoint["path"])),
        ],
        workspace.data,
        workspace.profile.benchmark.answer_batch_size,
        models.read(checkpoint["path"], CHAT_TEMPLATE),
        lambda line: click.echo(line, err=True),
    )
