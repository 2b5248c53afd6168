"""Draws the prompts of a group of images from the vocabularies of single-image abilities.

Every choice is a rendezvous hash of the caller's seed parts and the options, as in ``prompts.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.abilities.multi_image import Aspect, MultiImageAbility, Values
from stablellava_assets.abilities.placements import DISTANCES, NUMBERS, POSITIONS
from stablellava_assets.abilities.prompt_format import parse_prompt, prompt_of
from stablellava_assets.abilities.prompts import DETAILS_A_PROMPT, DrawnPrompt
from stablellava_assets.abilities.questions import absent_subjects
from stablellava_assets.tables.identity import choose, choose_weighted, ranked

Facts = Mapping[str, str]
"""The facts of one image by name: subject, answer, and some of color, thing, scene, style, position, number."""

_FOLLOWING = {"subject": ("answer",), "color": ("subject", "answer")}
"""Facts that differ whenever another one does."""
_KEYWORDS = ("scene", "style", "position", "distance", "number")
_SMALL = DISTANCES[-1]
"""Large things leave no room for different positions."""


class UndrawableGroupError(ValueError):
    """The vocabulary of an ability is too small for its groups; the message says what is missing."""


@dataclass(frozen=True)
class DrawnGroup:
    """The prompts of a group in order; ``exact`` if all of its images must be painted with one seed."""

    prompts: list[DrawnPrompt]
    exact: bool


def draw_group(ability: MultiImageAbility, *parts: object) -> DrawnGroup:
    """Draw the prompt columns of a group of ``prompt_specs`` rows; ``parts`` seed the choices.

    Raises:
        UndrawableGroupError: no ability of ``images.abilities`` has values enough.
    """
    design = ability.images
    compared = choose_weighted(design.compare, ability.brief.compared, *parts, "compared")
    values = choose(design.values, *parts, "values")
    if values in ("related", "unrelated"):
        images = _relation(ability, values == "related", *parts)
    else:
        able = [name for name, source in ability.sources.items() if _is_able(ability, source, compared)]
        if not able:
            raise UndrawableGroupError(
                f"ability {ability.ability!r}: none of {', '.join(ability.sources)} has {design.count} values to "
                f"compare by {compared}"
            )
        source = ability.sources[choose(able, *parts, "source")]
        images = _Comparison(ability, source, compared, values, parts).images()
    exact = design.rest == "same" and values not in ("related", "unrelated")
    details = ranked(ability.prompts.details, *parts, "details")[:DETAILS_A_PROMPT] if ability.prompts.details else []
    return DrawnGroup([_prompt(facts, details, ability.negative_prompt) for facts in images], exact)


def facts_in(ability: MultiImageAbility, prompt: str) -> Facts:
    """The facts of a prompt that :func:`draw_group` drew.

    Raises:
        KeyError: no source has its subject.
    """
    said = parse_prompt(prompt)
    source = ability.source_of(said.subject)
    subject = source.subject_named(said.subject)
    values = {
        aspect: word
        for aspect in _KEYWORDS
        for word in [*options_of(ability, source, aspect), *([subject.scene] if aspect == "scene" else [])]
        if word is not None and _keyword(aspect, word) in said.keywords
    }
    if source.tinted:
        values["thing"] = subject.details["thing"]
        values["color"] = subject.name.removesuffix(f" {values['thing']}")
    return {"subject": subject.name, "answer": subject.answer, **values}


def aspects_that_differ(group: Sequence[Facts]) -> set[str]:
    """The names of the facts that are not the same in all images of a group, without those that follow from others."""
    differ = {name for facts in group for name in facts if len({other.get(name) for other in group}) > 1}
    for name, following in _FOLLOWING.items():
        if name in differ and all(name in facts for facts in group):
            differ -= {*following}
    return differ


@dataclass(frozen=True)
class _Comparison:
    """The draws of a group that compares an aspect of subjects of ``source``."""

    ability: MultiImageAbility
    source: Ability
    compared: Aspect
    values: Values
    parts: tuple[object, ...]

    def images(self) -> list[Facts]:
        """The facts of each image."""
        by_aspect = {aspect: self._values(aspect) for aspect in self._aspects()}
        return [
            _facts_of(self.source, {aspect: values[number] for aspect, values in by_aspect.items()})
            for number in range(self.ability.images.count)
        ]

    def _aspects(self) -> Iterator[str]:
        """Aspects with a value, the compared one among them."""
        yield from ("color", "thing") if self.source.tinted else ("subject",)
        if self.source.prompts.scenes:
            yield "scene"
        if self.compared == "style":
            yield "style"
        yield "number" if self.compared == "number" else "position"
        if self.compared == "position":
            yield "distance"

    def _values(self, aspect: str) -> list[str]:
        """The value of an aspect in each image."""
        count = self.ability.images.count
        is_same = self.values == "same" if aspect == self.compared else self.ability.images.rest == "same"
        ordered = ranked(self._options(aspect), *self.parts, aspect)
        if is_same:
            return ordered[:1] * count
        if aspect != self.compared:
            # As different as the options allow: four images of three positions repeat one.
            return (ordered * count)[:count]
        different = self._distinct(aspect, ordered)
        if self.values == "different":
            return different[:count]
        usual, odd = different[:2]
        where = choose(range(count), *self.parts, "odd")
        return [odd if number == where else usual for number in range(count)]

    def _distinct(self, aspect: str, ordered: Sequence[str]) -> list[str]:
        """Options of which none could be called by the name of the first."""
        if aspect != "subject":
            return list(ordered)
        first = self.source.subject_named(ordered[0])
        absent = {subject.name for subject in absent_subjects(self.source, first)}
        return [first.name, *(name for name in ordered[1:] if name in absent)]

    def _options(self, aspect: str) -> list[str]:
        return options_of(self.ability, self.source, aspect)


def options_of(ability: MultiImageAbility, source: Ability, aspect: str) -> list[str]:
    """The values that an aspect may have in images whose subjects are of ``source``.

    Subjects that are shown in a scene of their own are left out, because the scene is a value by itself.
    """
    if aspect == "color":
        return list(source.tinted.labels) if source.tinted else []
    if aspect == "thing":
        return list(source.tinted.things) if source.tinted else []
    if aspect == "subject":
        return [] if source.tinted else list(source.subjects_for_any_scene)
    options = {
        "scene": source.prompts.scenes,
        "style": ability.prompts.styles,
        "position": POSITIONS,
        "distance": [_SMALL],
        "number": tuple(NUMBERS),
    }
    return list(options[aspect])


def _is_able(ability: MultiImageAbility, source: Ability, compared: Aspect) -> bool:
    options = partial(options_of, ability, source)
    subjects = options("subject") or options("thing")
    return bool(subjects) and len(options(compared)) >= ability.images.count


def _facts_of(source: Ability, values: Mapping[str, str]) -> Facts:
    """The facts of an image: the subject and its answer, then the other values."""
    name = f"{values['color']} {values['thing']}" if "color" in values else values["subject"]
    subject = source.subject_named(name)
    return {"subject": subject.name, "answer": subject.answer, **values} | {"subject": subject.name}


def _relation(ability: MultiImageAbility, related: bool, *parts: object) -> list[Facts]:
    """Subject and object of a relation, or a subject with what is the object of others only, in either order."""
    relations = ability.images.relations
    relation = relations[choose(range(len(relations)), *parts, "relation")]
    other = relation.object
    if not related:
        own = {each.object for each in relations if each.subject == relation.subject}
        others = sorted({each.object for each in relations} - own - {relation.subject})
        if not others:
            raise UndrawableGroupError(f"ability {ability.ability!r}: everything is related to {relation.subject!r}")
        other = choose(others, *parts, "unrelated")
    names = [relation.subject, other]
    if choose(("in order", "reversed"), *parts, "order") == "reversed":
        names.reverse()
    return [_single(ability, name, number, parts) for number, name in enumerate(names, 1)]


def _single(ability: MultiImageAbility, name: str, number: int, parts: tuple[object, ...]) -> Facts:
    source = ability.source_of(name)
    subject = source.subject_named(name)
    scenes = [subject.scene] if subject.scene else source.prompts.scenes if subject.layers else []
    facts = {"subject": subject.name, "answer": subject.answer}
    if scenes:
        facts["scene"] = choose(scenes, *parts, number, "scene")
    if subject.layers:
        facts["position"] = choose(POSITIONS, *parts, number, "position")
    return facts


def _prompt(facts: Facts, details: Sequence[str], negative_prompt: str) -> DrawnPrompt:
    keywords = [*(_keyword(name, facts[name]) for name in _KEYWORDS if name in facts), *details]
    return {
        "prompt": prompt_of(facts["subject"], keywords),
        "negative_prompt": negative_prompt,
        "subject": facts["subject"],
        "keywords": keywords,
        "facts": [{"name": name, "value": value} for name, value in facts.items()],
    }


def _keyword(aspect: str, value: str) -> str:
    """What a prompt says of a value."""
    return NUMBERS[value] if aspect == "number" else value
