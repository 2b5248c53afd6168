"""``stablellava ask``: a question about one picture or several, put to a checkpoint."""

from __future__ import annotations

from pathlib import Path

import click

from stablellava_assets.models.hub import is_folder, summary_of
from stablellava_assets.pictures.decoding import UndecodablePictureError, upright
from stablellava_assets.profiles.workspace import workspace_of_environment
from stablellava_assets.tables.checkpoints import checkpoints
from stablellava_assets.tables.score_rows import CheckpointFolders
from stablellava_assets.text.conversations import IMAGE_MARK

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("pictures", nargs=-1, type=_FILE, metavar="[PICTURE]...")
@click.argument("question")
@click.option("--image", "images", multiple=True, type=_FILE, help="A picture; may be repeated.")
@click.option(
    "--checkpoint", help="Model folder, or owner/name@revision on the hub. [the newest checkpoint of llava_checkpoint]"
)
@click.option(
    "--max-new-tokens", default=256, show_default=True, type=click.IntRange(1), help="Maximum answer length in tokens."
)
def ask(
    pictures: tuple[Path, ...], question: str, images: tuple[Path, ...], checkpoint: str | None, max_new_tokens: int
) -> None:
    """Answer QUESTION about one PICTURE or several with a tuned model, through transformers.

    QUESTION may say where the pictures stand, with an <image> mark for each; without marks they come first, in order.
    """
    from safetensors import SafetensorError

    from stablellava_assets.evaluation.answers.generation import ImageQuestion, answer

    first, *further = _encoded([*pictures, *images])
    marks, count = question.count(IMAGE_MARK), 1 + len(further)
    if marks not in (0, count):
        raise click.ClickException(
            f"the question holds {marks} {IMAGE_MARK} marks and there are {count} pictures; write one for each, or none"
        )
    asked = question if marks or not further else "\n".join([*[IMAGE_MARK] * count, question])
    named = checkpoint or _newest()
    if is_folder(named) and not Path(named).expanduser().is_dir():
        raise click.ClickException(
            f"{named}: there is no such folder; name one that save_pretrained wrote, or owner/name@revision"
        )
    try:
        answers = answer(
            named, [ImageQuestion(first, asked, further_images=tuple(further))], 1, max_new_tokens, lambda line: None
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise click.ClickException(
            f"{named}: cannot be asked ({summary_of(error)}); name a folder that save_pretrained wrote, or "
            "owner/name@revision"
        ) from None
    click.echo(answers[0])


def _encoded(paths: list[Path]) -> list[bytes]:
    if not paths:
        raise click.ClickException("name a picture, before the question or with --image")
    encoded = [path.read_bytes() for path in paths]
    for path, picture in zip(paths, encoded, strict=True):
        try:
            upright(picture)
        except UndecodablePictureError as error:
            raise click.ClickException(f"{path}: {error}; name a picture") from None
    return encoded


def _newest() -> str:
    workspace = workspace_of_environment()
    paths = [row["path"] for row in checkpoints(workspace.store, CheckpointFolders)]
    if not paths:
        raise click.ClickException(
            "llava_checkpoint has not been materialized yet; run `make demo`, or name --checkpoint"
        )
    return workspace.models.path_of(paths[-1])
