"""Captions of the embedded base model, and the requests that ask for one."""

from __future__ import annotations

from collections.abc import Mapping

CAPTION_REQUESTS = (
    "Describe the picture.",
    "Caption this picture.",
    "Write a caption.",
    "What would you call this picture?",
)
CAPTIONED = ("subject", "scene", "content")
"""The facts of a prompt in a caption, in order."""


def caption_of_facts(facts: Mapping[str, str]) -> str:
    """A caption from facts, in the order that the base model learns."""
    return ", ".join(facts[name] for name in CAPTIONED if name in facts)
