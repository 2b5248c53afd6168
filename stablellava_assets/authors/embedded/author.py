"""The embedded author: draws prompts and dialogues from an ability's YAML file, without a model or a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from stablellava_assets.abilities.ability import Ability, QuestionKind
from stablellava_assets.abilities.absence import NOT_SHOWN, NotShown, not_shown_question
from stablellava_assets.abilities.catalog import AnyAbility, Catalog
from stablellava_assets.abilities.multi_image import MultiImageAbility
from stablellava_assets.abilities.prompts import draw_prompt
from stablellava_assets.abilities.questions import Question, training_question
from stablellava_assets.authors.base import NOT_ASKED, NoChatModel
from stablellava_assets.authors.embedded.groups import plan_group_dialogues, plan_group_prompts
from stablellava_assets.tables.identity import choose, content_key, derive_seed
from stablellava_assets.tables.pair_rows import (
    Dialogue,
    DialogueColumns,
    PaintedImage,
    PromptSpec,
    SpecColumns,
    WrittenSpec,
    facts_of,
)
from stablellava_assets.tables.rows import PlannedRow
from stablellava_assets.tables.schemas import MADE
from stablellava_assets.text.conversations import exchange, with_mark

_ASKED_ABOUT_EACH_PICTURE: tuple[tuple[QuestionKind, bool | None], ...] = (
    ("what", None),
    ("yes_no", True),
    ("yes_no", False),
    ("either_or", None),
)
"""Question kind, and for yes_no whether the thing in question is present: as many yes as no."""


_SPAN = 2**63


class EmbeddedAuthor(NoChatModel):
    """Draws everything by rendezvous hashing, so that editing one line of a YAML file
    affects only the rows that used it."""

    name = "embedded"

    def __init__(self, not_shown: float = 0, abilities: Mapping[str, Ability] | None = None) -> None:
        """Args:
        not_shown: share of an ability's dialogues that ask about something the image does not show.
        abilities: those whose questions are asked then, by name.
        """
        ordinary = len(_ASKED_ABOUT_EACH_PICTURE)
        self._not_shown_per_image = not_shown * ordinary / (1 - not_shown)
        self._abilities = abilities or {}

    def abilities(self, catalog: Catalog) -> list[str]:
        """All abilities of the catalog."""
        return list(catalog)

    def plan_prompts(self, ability: AnyAbility, batch: str, count: int) -> list[PlannedRow[SpecColumns]]:
        """Plan ``count`` prompts in the paper's keyword form. A larger ``count`` only appends rows."""
        if isinstance(ability, MultiImageAbility):
            return list(plan_group_prompts(ability, batch, count, self.name))
        vocabulary = _vocabulary_key(ability)
        return [self._plan_prompt(ability, batch, index, vocabulary) for index in range(count)]

    def write_prompts(self, planned: Sequence[PlannedRow[SpecColumns]]) -> list[PromptSpec]:
        """The planned rows unchanged: planning has already drawn everything."""
        return [
            {"spec_id": row.row_id, **row.inputs, "row_key": row.row_key, "status": MADE, "reason": None}
            for row in planned
        ]

    def plan_dialogues(
        self, ability: AnyAbility, painted: Sequence[tuple[WrittenSpec, PaintedImage]]
    ) -> list[PlannedRow[DialogueColumns]]:
        """Plan the dialogues about each image: what, yes-no (one answered yes, one answered no) and either-or. About
        a share of them, also one that asks for what is not shown.

        About a group of images, every question of the ability that suits it.
        """
        if isinstance(ability, MultiImageAbility):
            return list(plan_group_dialogues(ability, painted, self.name))
        return [
            row
            for spec, image in painted
            for row in (
                *(self._plan_dialogue(ability, spec, image, *asked) for asked in _ASKED_ABOUT_EACH_PICTURE),
                *self._plan_not_shown(ability, spec, image),
            )
        ]

    def write_dialogues(self, planned: Sequence[PlannedRow[DialogueColumns]]) -> list[Dialogue]:
        """The planned rows unchanged: planning has already filled every template."""
        return [
            {"pair_id": row.row_id, **row.inputs, "row_key": row.row_key, "status": MADE, "reason": None}
            for row in planned
        ]

    def _plan_prompt(self, ability: Ability, batch: str, index: int, vocabulary: str) -> PlannedRow[SpecColumns]:
        spec_id = content_key("spec", self.name, ability.ability, batch, index)
        prompt = draw_prompt(ability, spec_id)
        content: SpecColumns = {
            "ability": ability.ability,
            "batch": batch,
            **prompt,
            "seed": derive_seed(spec_id),
            "author": self.name,
            "template_version": content_key(prompt),
            **NOT_ASKED,
        }
        # The key covers what was drawn, so another line of the vocabulary affects only the rows that draw it.
        row_key = content_key("spec row", spec_id, content)
        return PlannedRow(spec_id, row_key, {**content, "template_version": vocabulary})

    def _plan_dialogue(
        self, ability: Ability, spec: WrittenSpec, image: PaintedImage, kind: QuestionKind, present: bool | None
    ) -> PlannedRow[DialogueColumns]:
        pair_id = content_key("pair", self.name, spec["spec_id"], kind, present)
        subject = ability.subject_named(spec["subject"])
        asked = training_question(ability, subject, kind, pair_id, present=present)
        return self._planned(pair_id, spec, image, kind, asked)

    def _plan_not_shown(
        self, ability: Ability, spec: WrittenSpec, image: PaintedImage
    ) -> Iterator[PlannedRow[DialogueColumns]]:
        if derive_seed("not shown", spec["spec_id"]) / _SPAN >= self._not_shown_per_image:
            return
        pair_id = content_key("pair", self.name, spec["spec_id"], NOT_SHOWN, None)
        facts = facts_of(spec)
        asked = not_shown_question(ability, facts, self._abilities, pair_id)
        if asked is not None:
            yield self._planned(pair_id, spec, image, NOT_SHOWN, asked)

    def _planned(
        self, pair_id: str, spec: WrittenSpec, image: PaintedImage, kind: str, asked: Question | NotShown
    ) -> PlannedRow[DialogueColumns]:
        mark_first = choose(("first", "last"), pair_id, "mark") == "first"
        content: DialogueColumns = {
            "ability": spec["ability"],
            "batch": spec["batch"],
            "spec_ids": [spec["spec_id"]],
            "image_ids": [image["image_id"]],
            "conversations": exchange(with_mark(asked.text, mark_first), asked.answer),
            "question_kind": kind,
            "expected": asked.expected,
            "author": self.name,
            **NOT_ASKED,
            "sees_picture": None,
        }
        return PlannedRow(pair_id, content_key("pair row", content, image["sha256"]), content)


def _vocabulary_key(ability: Ability) -> str:
    """A hash of everything that an ability's prompts are drawn from."""
    subjects = [(subject.name, subject.answer, subject.scene) for subject in ability.drawn_subjects]
    return content_key("vocabulary", ability.prompts, ability.negative_prompt, subjects)
