"""Single files that readers see whole: the old content or the new."""

from __future__ import annotations

import uuid
from pathlib import Path


def publish_file(path: Path, content: bytes) -> bool:
    """Replace a file in one move, or leave it alone if it is the same; returns whether it was replaced.

    Raises:
        OSError: it could not be written; what was there before stays.
    """
    if path.exists() and path.read_bytes() == content:
        return False
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    return True
