"""Which images are made as edits of others, and what the endpoint is told to change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stablellava_assets.tables.pair_rows import PromptToPaint


@dataclass(frozen=True)
class Original:
    """The image that another one is an edit of: its row's id and key, and its prompt."""

    row_id: str
    row_key: str
    prompt: str


def first_of_groups(specs: Sequence[PromptToPaint]) -> Mapping[str, PromptToPaint]:
    """The first prompt of the group, by the ids of the further prompts of exact groups, whose seeds are the same.

    Images of other groups share too little for an edit.
    """
    firsts = {spec.get("group_id"): spec for spec in specs if spec.get("image_number") == 1}
    return {
        spec["spec_id"]: first
        for spec in specs
        if spec.get("group_id") is not None
        and (first := firsts.get(spec.get("group_id"))) is not None
        and first["spec_id"] != spec["spec_id"]
        and first["seed"] == spec["seed"]
    }


def edit_instruction(before: str, after: str) -> str:
    """What to change in the image of the prompt ``before`` for it to be one of ``after``; both without brackets."""
    old, new = _parts(before), _parts(after)
    gone, come = (", ".join(part for part in these if part not in those) for these, those in ((old, new), (new, old)))
    change = f"Show {come} instead of {gone}. " if gone and come else ""
    return f"Edit this picture. {change}Change nothing else. The result is a picture of: {after}"


def _parts(prompt: str) -> list[str]:
    return [part.strip() for part in prompt.split(",")]
