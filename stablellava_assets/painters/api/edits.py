"""What an endpoint is told to change in an image."""

from __future__ import annotations


def edit_instruction(before: str, after: str) -> str:
    """What to change in the image of the prompt ``before`` for it to be one of ``after``; both without brackets."""
    old, new = _parts(before), _parts(after)
    gone, come = (", ".join(part for part in these if part not in those) for these, those in ((old, new), (new, old)))
    change = f"Show {come} instead of {gone}. " if gone and come else ""
    return f"Edit this picture. {change}Change nothing else. The result is a picture of: {after}"


def _parts(prompt: str) -> list[str]:
    return [part.strip() for part in prompt.split(",")]
