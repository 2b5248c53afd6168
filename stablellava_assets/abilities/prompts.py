"""Draws text-to-image prompts from an ability's own vocabulary, in the keyword form of the StableLLaVA paper."""

from __future__ import annotations

from collections.abc import Sequence

from stablellava_assets.abilities.ability import Ability, Subject
from stablellava_assets.abilities.placements import DISTANCES, POSITIONS
from stablellava_assets.abilities.prompt_format import prompt_of
from stablellava_assets.tables.identity import choose, choose_weighted, ranked
from stablellava_assets.tables.pair_rows import Fact, InGroup

DETAILS_A_PROMPT = 2


class DrawnPrompt(InGroup):
    """The prompt columns of a ``prompt_specs`` row."""

    prompt: str
    negative_prompt: str
    subject: str
    keywords: list[str]
    facts: list[Fact]


def draw_prompt(ability: Ability, *parts: object) -> DrawnPrompt:
    """Draw the prompt columns of one ``prompt_specs`` row from the ability's vocabulary; ``parts`` seed the choices."""
    names = [subject.name for subject in ability.drawn_subjects]
    subject = ability.subject_named(choose_weighted(names, ability.brief.subjects, *parts, "subject"))
    chosen = _keywords(ability, subject, *parts)
    facts = {"subject": subject.name, "answer": subject.answer, **chosen}
    details = ranked(ability.prompts.details, *parts, "details")[:DETAILS_A_PROMPT] if ability.prompts.details else []
    keywords = [*chosen.values(), *details]
    return {
        "prompt": prompt_of(subject.name, keywords),
        "negative_prompt": ability.negative_prompt,
        "subject": subject.name,
        "keywords": keywords,
        "facts": [{"name": name, "value": value} for name, value in facts.items()],
    }


def _keywords(ability: Ability, subject: Subject, *parts: object) -> dict[str, str]:
    """The keywords besides the subject, by name of the fact. A scene or a style has content instead of a scene."""
    vocabulary = ability.prompts
    options: dict[str, Sequence[str]] = {
        "content": vocabulary.contents,
        "scene": [subject.scene] if subject.scene else vocabulary.scenes,
        "style": vocabulary.styles,
        "position": POSITIONS if subject.layers or vocabulary.contents else (),
        "distance": DISTANCES if subject.layers or vocabulary.contents else (),
    }
    return {name: choose(words, *parts, name) for name, words in options.items() if words}
