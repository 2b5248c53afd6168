"""What the facts of a group's images say: what it compares, which image is odd, and the slots of templates."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import permutations

from stablellava_assets.abilities.groups import Facts, aspects_that_differ, options_of
from stablellava_assets.abilities.multi_image import (
    ASPECT_WORDS,
    Asked,
    Aspect,
    MultiImageAbility,
    Values,
    listed,
    ordinals,
    with_repeats,
)
from stablellava_assets.abilities.questions import absent_subjects, keywords


class GroupView:
    """The images of a group and what follows from their facts."""

    def __init__(self, ability: MultiImageAbility, facts: Sequence[Facts]) -> None:
        self.ability = ability
        self.facts = facts
        self.source = ability.source_of(facts[0]["subject"])

    @cached_property
    def compared(self) -> Aspect:
        """The compared aspect: what differs in exact groups, what is the same in others."""
        differ = aspects_that_differ(self.facts)
        aspects = self.ability.images.compare
        candidates = [aspect for aspect in aspects if self._is_compared(aspect, differ)]
        return [*candidates, *filter(self._has, aspects), *aspects][0]

    def _is_compared(self, aspect: Aspect, differ: set[str]) -> bool:
        return self._has(aspect) and (aspect in differ) == (self.ability.images.rest == "same")

    def _has(self, aspect: Aspect) -> bool:
        """Whether the images have a value of ``aspect``. The subject of a colored thing is its color."""
        return aspect in self.facts[0] and not (aspect == "subject" and "color" in self.facts[0])

    @property
    def _up_to_it(self) -> list[Aspect]:
        """The aspects that the images have a value of, up to the compared one."""
        aspects = [aspect for aspect in self.ability.images.compare if self._has(aspect)]
        return aspects[: aspects.index(self.compared) + 1] if self.compared in aspects else []

    @cached_property
    def values(self) -> Values:
        """How the compared aspect is spread."""
        if self.ability.images.relations:
            return "related" if self.relation else "unrelated"
        distinct = len({facts.get(self.compared) for facts in self.facts})
        if distinct == 1:
            return "same"
        return "one_odd" if distinct == 2 < len(self.facts) else "different"

    @cached_property
    def relation(self) -> tuple[int, str, int] | None:
        """The indices of the subject and of the object of the relation that holds, with its verb."""
        for relation in self.ability.images.relations:
            names = [facts["subject"].lower() for facts in self.facts]
            if {relation.subject.lower(), relation.object.lower()} == {*names}:
                return names.index(relation.subject.lower()), relation.verb, names.index(relation.object.lower())
        return None

    @cached_property
    def roles(self) -> tuple[int, int] | None:
        """The index of an image whose subject relations begin with, and of another whose subject they end with,
        whether or not one relates the two."""
        relations = self.ability.images.relations
        subjects = {relation.subject.lower() for relation in relations}
        objects = {relation.object.lower() for relation in relations}
        if self.relation:
            return self.relation[0], self.relation[2]
        names = [facts["subject"].lower() for facts in self.facts]
        pairs = permutations(range(len(names)), 2)
        return next(((one, other) for one, other in pairs if names[one] in subjects and names[other] in objects), None)

    @cached_property
    def odd(self) -> int | None:
        """The index of the image that differs from all others."""
        if self.values != "one_odd":
            return None
        values = [facts[self.compared] for facts in self.facts]
        return next(number for number, value in enumerate(values) if values.count(value) == 1)

    def value(self, of: Asked, number: int) -> str | None:
        """The value of what is asked about in an image; None if it has none."""
        if of == "aspect":
            return self.compared
        if of == "verb":
            return self.relation[1] if self.relation else None
        if of == "odd":
            return "odd" if number == self.odd else "usual"
        return self.values if of == "related" else self.facts[number].get(of)

    def values_of(self, of: Asked) -> list[str | None]:
        """The value of an aspect in each image."""
        return [self.value(of, number) for number in range(len(self.facts))]

    def seen(self, of: Aspect) -> list[str]:
        """What an aspect is in each image, in words. Images that have no value of it are alike in it."""
        return [self.words(of, facts[of])[1] if self._has(of) else "alike" for facts in self.facts]

    def absent(self, of: Asked) -> list[str]:
        """Values that no image has, and that could not be mistaken for one that an image has."""
        if of == "aspect":
            return [aspect for aspect in self.ability.images.compare if aspect != self.compared]
        if of in ("verb", "related"):
            said = self.relation[1] if self.relation else None
            return sorted({relation.verb for relation in self.ability.images.relations} - {said})
        if of != "subject":
            held = {*self.values_of(of)}
            return [value for value in options_of(self.ability, self.source, of) if value not in held]
        left = {subject.name: subject for subject in self.source.drawn_subjects}
        for facts in self.facts:
            source = self.ability.source_of(facts["subject"])
            subject = source.subject_named(facts["subject"])
            wrong = {other.name for other in absent_subjects(source, subject)}
            left = {name: other for name, other in left.items() if source is not self.source or name in wrong}
        return list(left)

    def words(self, of: Asked, value: str) -> tuple[str, str]:
        """A value in a sentence, without and with an article."""
        if of == "subject":
            subject = self.ability.subject_named(value)
            return subject.answer, subject.with_article()
        word = ASPECT_WORDS[value] if of == "aspect" else value
        return word, word

    def keywords(self, of: Asked, value: str) -> tuple[str, ...]:
        """The words that name a value in an answer, the usual one first."""
        return keywords(self.ability.subject_named(value)) if of == "subject" else (self.words(of, value)[0],)

    @cached_property
    def slots(self) -> dict[str, str]:
        """The slots of every template about this group."""
        seen = self.seen(self.compared)
        slots = {"aspect": ASPECT_WORDS[self.compared], "listed": listed(seen), "repeats": with_repeats(seen)}
        slots["aspects"] = ", the ".join(f"{ASPECT_WORDS[of]}: {with_repeats(self.seen(of))}" for of in self._up_to_it)
        for number, facts in enumerate(self.facts, 1):
            named = {**facts, "value": facts.get(self.compared, "")}
            for name, value in named.items():
                of: Asked = self.compared if name == "value" else "subject" if name == "subject" else "color"
                plain, with_article = self.words(of, value) if of == "subject" else (value, value)
                slots |= {f"{name}_{number}": with_article if name == "value" else plain}
                if name == "subject":
                    slots[f"a_subject_{number}"] = with_article
        for name in self.facts[0]:
            if len({facts.get(name) for facts in self.facts}) == 1:
                slots |= {key: slots[f"{key}_1"] for key in (name, f"a_{name}") if f"{key}_1" in slots}
        if slots.get("value_1") and self.values == "same":
            slots["value"] = slots["value_1"]
        if self.odd is not None:
            slots["odd"] = ordinals(len(self.facts))[self.odd]
        if self.relation:
            slots["verb"] = self.relation[1]
        if self.roles:
            subject, target = self.roles
            slots |= {"agent": slots[f"subject_{subject + 1}"], "object": slots[f"subject_{target + 1}"]}
            slots |= {"an_agent": slots[f"a_subject_{subject + 1}"], "an_object": slots[f"a_subject_{target + 1}"]}
        return slots

    @cached_property
    def keywords_by_slot(self) -> dict[str, tuple[str, ...]]:
        """The keywords of slots that name a subject."""
        found = {
            f"subject_{number}": self.keywords("subject", facts["subject"])
            for number, facts in enumerate(self.facts, 1)
        }
        if "subject" in self.slots:
            found["subject"] = found["subject_1"]
        if self.compared == "subject":
            found |= {f"value_{number}": found[f"subject_{number}"] for number in range(1, len(self.facts) + 1)}
            if "value" in self.slots:
                found["value"] = found["value_1"]
        if self.relation:
            subject, _, target = self.relation
            found |= {"agent": found[f"subject_{subject + 1}"], "object": found[f"subject_{target + 1}"]}
        return found
