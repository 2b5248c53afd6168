"""Atomic writes of single files: readers see the old content or the new."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def publish_file(path: Path, content: bytes) -> bool:
    """Replace a file atomically, unless its content is the same; returns whether it was replaced.

    Raises:
        OSError: it could not be written; the previous content is unchanged.
    """
    if path.exists() and path.read_bytes() == content:
        return False
    with whole_file(path) as unfinished:
        unfinished.write_bytes(content)
    return True


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file to write, which atomically replaces ``path`` when the block ends without an error."""
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield unfinished
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
