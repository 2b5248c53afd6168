"""Questions of one picture put to another that shows no such thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.abilities.questions import Question, training_question
from stablellava_assets.tables.identity import choose
from stablellava_assets.text.word_forms import missing_words

NOT_SHOWN = "not_shown"
"""The kind of these questions."""

NO = "no "
"""Before the thing in the words that a right answer must contain."""


class NotShown(NamedTuple):
    """A question, the answer that its thing is not in the picture, and the words that a right answer contains."""

    text: str
    answer: str
    expected: str


def not_shown_question(
    ability: Ability,
    facts: Mapping[str, str],
    abilities: Mapping[str, Ability],
    *parts: object,
    asking: Callable[..., Question] = training_question,
) -> NotShown | None:
    """A what-question that takes for granted what a picture does not show; None if the ability's pictures have none.

    It is worded as the other ability asks about its own pictures, so that the text does not tell the answer.

    Args:
        ability: that of the picture.
        facts: of the picture's prompt, by name.
        abilities: those whose questions are asked, by name.
        parts: seed parts, usually the row's id.
        asking: words the question, for training or for a benchmark.
    """
    asked = [
        name for name, scenes in ability.never_shows.items() if name in abilities and facts.get("scene") not in scenes
    ]
    if not asked:
        return None
    other = abilities[choose(asked, *parts, "not shown", "ability")]
    subjects = {other.presupposed_of(subject): subject for subject in reversed(other.drawn_subjects)}
    things = [thing for thing in subjects if thing is not None and not _is_named(thing, facts)]
    if not things:
        return None
    thing = choose(things, *parts, "not shown", "thing")
    question = asking(other, subjects[thing], "what", *parts, present=None)
    return NotShown(question.text, f"There is no {thing} in the picture.", f"{NO}{thing}")


def _is_named(thing: str, facts: Mapping[str, str]) -> bool:
    return any(not missing_words(thing, value) for value in facts.values())
