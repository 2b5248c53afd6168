"""Checkpoints in the data folder, and where they are published for other machines.

Rows name a checkpoint by its folder relative to the data folder (``models/llava-...``), on every machine. Names contain
a hash of what the model was made from, so a folder never changes, but for its card.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stablellava_assets.models.names import is_on_hub
from stablellava_assets.tables.files import publish_file
from stablellava_assets.tables.places import Place

CARD = "README.md"
"""The only file of a published checkpoint that is replaced: it shows the scores."""


class ModelFolders:
    """The checkpoints of a project.

    Args:
        data: the data folder; checkpoints are in its subfolder ``models``.
        published: where they are published; None if the data folder is the only place.
    """

    def __init__(self, data: Path, published: Place | None = None) -> None:
        self._data = data
        self._published = published

    @property
    def folder(self) -> Path:
        """The folder in which models are made, and to which published ones are fetched."""
        return self._data / "models"

    def path_of(self, named: str) -> str:
        """The argument of :func:`stablellava_assets.models.checkpoints.load_checkpoint` for a model's name in a row.

        A checkpoint that another machine made is fetched first.

        Raises:
            PlaceError: it cannot be fetched.
        """
        if is_on_hub(named):
            return named
        self._fetch(named)
        return str(self._data / named)

    def exists(self, named: str) -> bool:
        """Whether a model in a row still exists, here or published; hub models are assumed to."""
        if is_on_hub(named) or (self._data / named).exists():
            return True
        return (name := self._name(named)) is not None and self._published is not None and self._published.holds(name)

    def fetched(self, name: str) -> bool:
        """Whether ``models/<name>`` exists, fetching it if it is only published."""
        return self._fetch(f"{self.folder.name}/{name}")

    def publish(self, named: str) -> None:
        """Publish a checkpoint, unless it is published; does nothing for models of the hub.

        Raises:
            PlaceError: it cannot be written.
        """
        name = self._name(named)
        if self._published is None or name is None or not (self._data / named).is_dir() or self._published.holds(name):
            return
        self._published.put(name, self._data / named, unchecked=(CARD,))

    def read(self, named: str, file: str) -> str | None:
        """A text file of a checkpoint, which is not fetched for it; None if it has no such file."""
        folder, name = self._data / named, self._name(named)
        if folder.exists() or self._published is None or name is None:
            return (folder / file).read_text(encoding="utf-8") if (folder / file).is_file() else None
        content = self._published.read(f"{name}/{file}")
        return None if content is None else content.decode()

    def change_card(self, named: str, change: Callable[[str], str]) -> None:
        """Change the card of a checkpoint, here and where it is published. Does nothing if it has none."""
        if (card := self.read(named, CARD)) is None:
            return
        changed = change(card).encode()
        if (self._data / named).exists():
            publish_file(self._data / named / CARD, changed)
        if self._published is not None and (name := self._name(named)) is not None and self._published.holds(name):
            self._published.write(f"{name}/{CARD}", changed)

    def _fetch(self, named: str) -> bool:
        folder, name = self._data / named, self._name(named)
        if folder.exists() or self._published is None or name is None:
            return folder.exists()
        return self._published.get(name, folder, unchecked=(CARD,))

    def _name(self, named: str) -> str | None:
        """The name of a folder where it is published; None for one that is not the project's own."""
        above, _, name = named.partition("/")
        return name if above == self.folder.name and name else None
