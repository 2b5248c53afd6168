"""Captions of the embedded base model, and the requests that ask for one.

A caption names what an image shows and where. A whole caption also says how: style, position, distance and number.
"""

from __future__ import annotations

from collections.abc import Mapping

CAPTION_REQUESTS = (
    "Describe the picture.",
    "Caption this picture.",
    "Write a caption.",
    "What would you call this picture?",
)
WHOLE_CAPTION_REQUEST = "Write the caption with all words."
CAPTIONED = ("subject", "scene", "content")
"""The facts of a prompt in a caption, in order."""
_WHOLE = (*CAPTIONED, "style", "position", "distance", "number")


def caption_of_facts(facts: Mapping[str, str]) -> str:
    """A caption from facts, in the order that the base model learns."""
    return ", ".join(facts[name] for name in CAPTIONED if name in facts)


def whole_caption_of_facts(facts: Mapping[str, str]) -> str:
    """A caption with everything that the facts say, in the order that the base model learns."""
    return ", ".join(facts[name] for name in _WHOLE if name in facts)
