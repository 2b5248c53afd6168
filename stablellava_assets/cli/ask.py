"""``stablellava ask``: a question about a picture, put to a checkpoint."""

from __future__ import annotations

from pathlib import Path

import click

from stablellava_assets.models.hub import is_folder, summary_of
from stablellava_assets.pictures.decoding import UndecodablePictureError, upright
from stablellava_assets.profiles.workspace import workspace_of_environment
from stablellava_assets.tables.checkpoints import checkpoints
from stablellava_assets.tables.score_rows import CheckpointFolders


@click.command()
@click.argument("picture", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("question")
@click.option(
    "--checkpoint", help="Model folder, or owner/name@revision on the hub. [the newest checkpoint of llava_checkpoint]"
)
@click.option(
    "--max-new-tokens", default=256, show_default=True, type=click.IntRange(1), help="Maximum answer length in tokens."
)
def ask(picture: Path, question: str, checkpoint: str | None, max_new_tokens: int) -> None:
    """Answer QUESTION about PICTURE with a tuned model, through transformers."""
    from safetensors import SafetensorError

    from stablellava_assets.evaluation.answers.generation import ImageQuestion, answer

    encoded = picture.read_bytes()
    try:
        upright(encoded)
    except UndecodablePictureError as error:
        raise click.ClickException(f"{picture}: {error}; name a picture") from None
    named = checkpoint or _newest()
    if is_folder(named) and not Path(named).expanduser().is_dir():
        raise click.ClickException(
            f"{named}: there is no such folder; name one that save_pretrained wrote, or owner/name@revision"
        )
    try:
        answers = answer(named, [ImageQuestion(encoded, question)], 1, max_new_tokens, lambda line: None)
    except (OSError, ValueError, SafetensorError) as error:
        raise click.ClickException(
            f"{named}: cannot be asked ({summary_of(error)}); name a folder that save_pretrained wrote, or "
            "owner/name@revision"
        ) from None
    click.echo(answers[0])


def _newest() -> str:
    workspace = workspace_of_environment()
    paths = [row["path"] for row in checkpoints(workspace.store, CheckpointFolders)]
    if not paths:
        raise click.ClickException(
            "llava_checkpoint has not been materialized yet; run `make demo`, or name --checkpoint"
        )
    return workspace.models.path_of(paths[-1])
