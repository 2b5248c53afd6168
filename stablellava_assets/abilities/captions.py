"""Captions as the embedded base model writes them, and the requests that it answers with one."""

from __future__ import annotations

from collections.abc import Mapping

CAPTION_REQUESTS = (
    "Describe the picture.",
    "Caption this picture.",
    "Write a caption.",
    "What would you call this picture?",
)
CAPTIONED = ("subject", "scene", "content")
"""The facts of a prompt that a caption tells, in its order."""


def caption_of_facts(facts: Mapping[str, str]) -> str:
    """What a picture shows, in the order in which the base names it."""
    return ", ".join(facts[name] for name in CAPTIONED if name in facts)
