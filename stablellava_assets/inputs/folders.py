"""Lists folders filled by people, ignoring the files that other programs leave there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_LEFT_BY_OTHERS = re.compile(
    r"\.DS_Store|\._.*|\.AppleDouble|\.Spotlight-V100|\.Trashes|\.fseventsd|\.localized|Icon\r"  # macOS
    r"|Thumbs\.db(?::encryptable)?|ehthumbs\.db|desktop\.ini|\$RECYCLE\.BIN|System Volume Information|~\$.*"  # Windows
    r"|lost\+found|\.Trash(?:-\d+)?|\.directory|\.nfs[0-9a-f]+|\.fuse_hidden.*|.*~|\..*\.sw[a-p]"  # Linux, editors
    r"|@eaDir|#recycle|\.st(?:folder|ignore|versions)|\.sync(?:thing)?\..*|\.dropbox(?:\.(?:attr|cache))?"
    r"|\.git(?:keep|ignore|attributes)",
    re.IGNORECASE,
)


def is_left_by_others(name: str) -> bool:
    """Whether a file or folder has the name of one created by an operating system, an editor or a sync program."""
    return _LEFT_BY_OTHERS.fullmatch(name) is not None


def entries(folder: Path) -> list[Path]:
    """The contents of a folder by name, without files left by other programs; empty if it does not exist.

    Raises:
        OSError: it cannot be read.
    """
    if not folder.exists():
        return []
    return sorted(path for path in folder.iterdir() if not is_left_by_others(path.name))


def files_of(folder: Path, suffix: str) -> list[Path]:
    """The files of a folder with a suffix (``.yaml``) by name, except hidden ones.

    Raises:
        OSError: it cannot be read.
    """
    return [
        path
        for path in entries(folder)
        if path.suffix.lower() == suffix and not path.name.startswith(".") and path.is_file()
    ]


def files_below(folder: Path) -> Iterator[Path]:
    """All files in a folder and its subfolders by path, except hidden ones; links to files are followed."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") or is_left_by_others(part) for part in path.relative_to(folder).parts)
        if not hidden and path.is_file():
            yield path
