"""The bytes of a picture in the forms in which endpoints write them into JSON."""

from __future__ import annotations

import base64
import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes

from stablellava_assets.tables.identity import content_key

_DATA_URI = re.compile(r"^data:(?P<kind>[^,]*?)(?P<base64>;\s*base64)?,", re.IGNORECASE)


def picture_bytes(text: str) -> bytes:
    """What a data URI holds, or base64 of either alphabet, with or without line breaks and padding.

    Raises:
        ValueError: it is nothing of the kind.
    """
    text = text.strip().strip("\"'")
    uri = _DATA_URI.match(text)
    if uri is not None:
        text = text[uri.end() :]
        if not uri["base64"]:
            return unquote_to_bytes(text)
        text = unquote(text)
    # Line breaks and quotation marks that were written as JSON once too often.
    bare = (
        "".join(text.replace("\\r", "").replace("\\n", "").strip("\"'").split())
        .rstrip("=")
        .replace("-", "+")
        .replace("_", "/")
    )
    return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)


@cache
def picture_reader_key() -> str:
    """What pictures are read by; see :func:`~stablellava_assets.endpoint.replies.verdicts.reader_key`."""
    return content_key(Path(__file__).read_text(encoding="utf-8"))
