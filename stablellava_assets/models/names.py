"""How rows name models: a folder relative to the data folder, an absolute one, or ``name@revision`` on the hub."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class ModelSource(NamedTuple):
    """What ``from_pretrained`` takes."""

    name: str
    revision: str | None


def model_source(named: str | Path) -> ModelSource:
    """A folder, or a name on the hub with its revision after ``@``."""
    folder = Path(named).expanduser()
    if folder.is_dir():
        return ModelSource(str(folder), None)
    name, _, revision = str(named).partition("@")
    return ModelSource(name, revision or None)


def is_on_hub(named: str | Path) -> bool:
    """Whether a row's name is one of the hub: ``owner/model@revision``."""
    return "@" in str(named) and not Path(named).is_absolute()


def model_path_of(data: Path, named: str) -> str:
    """A model of a row, as :func:`stablellava_assets.models.checkpoints.load_checkpoint` finds it."""
    return named if is_on_hub(named) else str(data / named)


def model_exists(data: Path, named: str) -> bool:
    """Whether a model of a row can still be had; what is on the hub is taken to be."""
    return is_on_hub(named) or (data / named).exists()
