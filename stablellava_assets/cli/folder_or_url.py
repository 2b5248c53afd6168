"""An argument that names a place to write to."""

from __future__ import annotations

import click


class FolderOrUrl(click.Path):
    """A folder, which need not exist and must not be a file, or a URL."""

    def __init__(self) -> None:
        super().__init__(file_okay=False, path_type=str)

    def convert(self, value: str, parameter: click.Parameter | None, context: click.Context | None) -> str:  # type: ignore[override]
        """The folder or URL as it was typed."""
        return value if "://" in value else str(super().convert(value, parameter, context))
