"""Kinds of questions about an image, and how many dialogues of each kind the quotas require."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor
from typing import Literal, get_args

from stablellava_assets.tables.identity import derive_seed

DialogueKind = Literal["describe", "what", "yes_no", "either_or", "misleading", "negative_presupposition", "multi_turn"]
DIALOGUE_KINDS: tuple[DialogueKind, ...] = get_args(DialogueKind)

NAMES_ABSENT_THINGS = frozenset({"yes_no_absent", "either_or", "misleading", "negative_presupposition"})
"""Forms of question that need something absent from the image."""

_SPAN = 2**63


@dataclass(frozen=True)
class DialogueSlot:
    """One conversation to write about an image. ``key`` is unique among those about the same image."""

    key: str
    kind: DialogueKind
    form: str
    """The kind, and for yes_no whether the thing in question is present: the name used in the request."""

    @property
    def expected_word(self) -> str | None:
        """The answer if the form alone determines it."""
        return {"yes_no_present": "yes", "yes_no_absent": "no", "negative_presupposition": "no"}.get(self.form)


def parts_of(quotas: Mapping[DialogueKind, float], spec_id: str) -> list[DialogueSlot]:
    """The conversations to write about one image, in the same order for all images.

    The integer part of a quota applies to every image. Its fraction applies to that fraction of the images, selected by
    a hash of the prompt. Of two yes-no questions, one is about something present and one about something absent. For a
    single one a hash decides, so that the answers are balanced.
    """
    first_is_present = derive_seed("yes or no", spec_id) % 2 == 0
    parts = []
    for kind in DIALOGUE_KINDS:
        quota = quotas[kind]
        extra = derive_seed("quota", spec_id, kind) / _SPAN < quota - floor(quota)
        for number in range(floor(quota) + extra):
            present = (number % 2 == 0) == first_is_present
            form = kind if kind != "yes_no" else "yes_no_present" if present else "yes_no_absent"
            repeat = number // 2 if kind == "yes_no" else number
            parts.append(DialogueSlot(form if not repeat else f"{form}_{repeat + 1}", kind, form))
    return sorted(parts, key=lambda part: (DIALOGUE_KINDS.index(part.kind), part.form != "yes_no_present"))


def forms_of(quotas: Mapping[DialogueKind, float]) -> list[str]:
    """The forms that can occur under these quotas, in the order in which requests explain them."""
    forms: list[str] = []
    for kind in DIALOGUE_KINDS:
        if quotas[kind]:
            forms += ["yes_no_present", "yes_no_absent"] if kind == "yes_no" else [kind]
    return forms
