"""Images as parts of a chat message."""

from __future__ import annotations

import base64
from typing import Literal

Detail = Literal["auto", "low", "high"]
"""In what detail an endpoint looks at an image, which is also what it costs."""


def picture_part(encoded: bytes, media_type: str, detail: Detail) -> dict[str, object]:
    """An image as the protocol has it.

    Args:
        encoded: the file.
        media_type: such as ``image/png``.
        detail: see ``Detail``.
    """
    url = f"data:{media_type};base64,{base64.b64encode(encoded).decode()}"
    return {"type": "image_url", "image_url": {"url": url, "detail": detail}}
