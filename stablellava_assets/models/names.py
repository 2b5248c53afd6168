"""Names of models in rows: a folder relative to the data folder, an absolute one, or ``name@revision`` on the hub."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class ModelSource(NamedTuple):
    """Arguments of ``from_pretrained``."""

    name: str
    revision: str | None


def model_source(named: str | Path) -> ModelSource:
    """Parse a folder, or a hub name with its revision after ``@``."""
    folder = Path(named).expanduser()
    if folder.is_dir():
        return ModelSource(str(folder), None)
    name, _, revision = str(named).partition("@")
    return ModelSource(name, revision or None)


def is_on_hub(named: str | Path) -> bool:
    """Whether a model's name in a row is a hub name: ``owner/model@revision``."""
    return "@" in str(named) and not Path(named).is_absolute()
