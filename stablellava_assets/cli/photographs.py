"""``stablellava photographs``: make a folder of real photographs that models can be measured on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from stablellava_assets.evaluation.photographs.coco import read_coco
from stablellava_assets.evaluation.photographs.labels import LabelledPhotographs, questions_about
from stablellava_assets.evaluation.photographs.open_images import read_open_images
from stablellava_assets.evaluation.photographs.records import Photograph
from stablellava_assets.evaluation.photographs.sample import sample_photographs
from stablellava_assets.evaluation.photographs.writing import PhotographsError, write_folder
from stablellava_assets.profiles.workspace import workspace_of_environment

_NAMES_SHOWN = 12
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_NEW_FOLDER = click.Path(file_okay=False, path_type=Path)
_PER_KIND = click.option(
    "--per-kind", default=50, show_default=True, help="Maximum number of questions per ability and kind."
)


@click.group()
def photographs() -> None:
    """Make a folder of real photographs for benchmark.photographs."""


@photographs.command()
@click.argument("folder", type=_NEW_FOLDER)
def sample(folder: Path) -> None:
    """Write 8 free photographs from scikit-image and scikit-learn, with 26 questions, to FOLDER."""
    _write(folder, sample_photographs())


@photographs.command()
@click.argument("annotations", type=_FILE)
@click.argument("images", type=_FOLDER)
@click.argument("folder", type=_NEW_FOLDER)
@_PER_KIND
def coco(annotations: Path, images: Path, folder: Path, per_kind: int) -> None:
    """Write questions about COCO IMAGES, from the labels in ANNOTATIONS (instances_val2017.json), to FOLDER."""
    _write_questions(folder, images, read_coco(annotations, images), per_kind)


@photographs.command()
@click.argument("labels", type=_FILE)
@click.argument("classes", type=_FILE)
@click.argument("images", type=_FOLDER)
@click.argument("folder", type=_NEW_FOLDER)
@click.option(
    "--hierarchy",
    type=_FILE,
    help="bbox_labels_600_hierarchy.json, which tells that a zebra and a dog are both animals.",
)
@_PER_KIND
def open_images(labels: Path, classes: Path, images: Path, folder: Path, hierarchy: Path | None, per_kind: int) -> None:
    """Write questions about Open Images IMAGES, from human LABELS (CSV) with the names in CLASSES (CSV), to FOLDER."""
    _write_questions(folder, images, read_open_images(labels, classes, images, hierarchy), per_kind)


def _write_questions(folder: Path, images: Path, labels: LabelledPhotographs, per_kind: int) -> None:
    abilities = list(workspace_of_environment().catalog.single.values())
    broken: dict[str, str] = {}
    found = list(questions_about(labels, abilities, per_kind, broken))
    if not found:
        shown = ", ".join(sorted({name for one in labels for name in one.present})[:_NAMES_SHOWN])
        raise PhotographsError(
            f"{folder}: no picture fits an ability, so nothing was written. {labels.summary}{_broken(broken)}. "
            + (f"Labels are {shown}" if shown else f"Look whether {images} is the folder of these pictures")
        )
    _write(folder, found)
    click.echo(f"{labels.summary}{_broken(broken)}")
    for ability in abilities:
        kinds = [photograph.kind for photograph, _ in found if photograph.ability == ability.ability]
        counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        click.echo(f"  {ability.ability:<12} {counts or 'no photograph to ask about'}")


def _broken(broken: Mapping[str, str]) -> str:
    """Number of images that cannot be decoded, and an example."""
    example = "".join(f", as {reason}" for reason in list(broken.values())[:1])
    return f"; {len(broken):,} left out that cannot be decoded{example}" if broken else ""


def _write(folder: Path, found: Iterable[tuple[Photograph, Path]]) -> None:
    written = write_folder(folder, found, workspace_of_environment().catalog)
    click.echo(f"{folder}: {written} questions. Set benchmark.photographs to it.")
