"""Benchmark questions about labelled photographs, in the wordings of the abilities' own benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter

from stablellava_assets.abilities.ability import QUESTION_KINDS, Ability, QuestionKind, Subject
from stablellava_assets.abilities.questions import Question, absent_subjects, benchmark_question, keywords
from stablellava_assets.evaluation.photographs.records import Photograph, undecodable
from stablellava_assets.tables.identity import ranked
from stablellava_assets.text.word_forms import lemmas

_SLOTS = {"subject", "candidate", "first", "second", "a_subject", "a_candidate", "a_first", "a_second"}


@dataclass(frozen=True)
class LabelledPhotograph:
    """A photograph, the names of things in it, and of things known to be absent; in lower case.

    ``alike`` maps a name to those of all other things of its category, as far as the labels tell. ``name`` identifies
    the image among the others: its path below their folder, or its file name unless given.
    """

    path: Path
    present: frozenset[str]
    absent: frozenset[str]
    credit: str | None = None
    alike: Mapping[str, frozenset[str]] = field(default_factory=dict)
    name: str = ""

    @property
    def called(self) -> str:
        """The name that identifies the image."""
        return self.name or self.path.name


@dataclass(frozen=True)
class LabelledPhotographs:
    """The labelled images of a label file, and counts by reason of those that cannot be used."""

    pictures: Sequence[LabelledPhotograph]
    listed: int
    left_out: Mapping[str, int] = field(default_factory=dict)

    def __iter__(self) -> Iterator[LabelledPhotograph]:
        return iter(self.pictures)

    @property
    def summary(self) -> str:
        """How many of the listed images can be used, on one line."""
        reasons = "".join(f"; {count:,} {reason}" for reason, count in self.left_out.items() if count)
        return f"{self.listed:,} pictures listed, {len(self.pictures):,} found and labelled{reasons}"


def questions_about(
    labelled: Iterable[LabelledPhotograph],
    abilities: Sequence[Ability],
    per_kind: int,
    broken: dict[str, str] | None = None,
) -> Iterator[tuple[Photograph, Path]]:
    """Up to ``per_kind`` questions per ability and kind, each about its own photograph. The answers
    to yes-no questions alternate.

    A photograph is used if it shows exactly one subject of an ability. Which one it is, is asked only if no label
    names another thing of its category, even one that is no subject: a zebra beside a dog is another animal.
    Things in question that it does not show, in a yes-no question or as the wrong option, are labelled as absent;
    without such labels nothing is asked.

    Images that cannot be decoded are skipped; ``broken`` gets the reason by name.
    """
    pictures = {one.called: one for one in labelled}
    used: set[str] = set()
    broken = {} if broken is None else broken
    for ability in abilities:
        wordings = {kind: _plain_wordings(ability, kind) for kind in QUESTION_KINDS}
        shown = {
            name: subject for name, one in pictures.items() if (subject := _only_subject(ability, one)) is not None
        }
        alone = {name for name, subject in shown.items() if _stands_alone(ability, subject, pictures[name])}
        for kind in QUESTION_KINDS:
            found, fit = 0, [name for name in shown if kind == "yes_no" or name in alone]
            for name in ranked(fit, "photograph", ability.ability, kind) if fit and wordings[kind] else []:
                if found == per_kind or name in used or name in broken:
                    continue
                present = found % 2 == 0 if kind == "yes_no" else None
                question = _question(ability, shown[name], kind, pictures[name], present)
                if question is not None and _is_whole(pictures[name], broken):
                    found += 1
                    used.add(name)
                    yield _photograph(ability, question, pictures[name]), pictures[name].path


def _is_whole(one: LabelledPhotograph, broken: dict[str, str]) -> bool:
    reason = undecodable(one.path)
    if reason is not None:
        broken[one.called] = reason
    return reason is None


def _only_subject(ability: Ability, one: LabelledPhotograph) -> Subject | None:
    subjects = {subject.answer: subject for subject in ability.drawn_subjects if one.present & set(_names(subject))}
    return next(iter(subjects.values())) if len(subjects) == 1 else None


def _stands_alone(ability: Ability, subject: Subject, one: LabelledPhotograph) -> bool:
    """Whether no label names another thing of the subject's category, by ``alike`` or by a word that the ability knows.

    The last words of a label name its category: a racing bicycle is a bicycle.
    """
    own = set(_names(subject))
    alike = {other for name in own & one.present for other in one.alike.get(name, ())}
    ours = _endings(own)
    known = _endings([name for other in ability.drawn_subjects for name in _names(other)] + ability.chat.keywords)
    return not any(
        label in alike or (_ended(label).endswith(known) and not _ended(label).endswith(ours))
        for label in one.present - own
    )


def _endings(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(_ended, names)))


def _ended(name: str) -> str:
    """A name's lemmas, so that names that end with the same whole words have texts with the same suffix."""
    return f" {' '.join(lemmas(name))}"


def _question(
    ability: Ability, subject: Subject, kind: QuestionKind, one: LabelledPhotograph, present: bool | None
) -> Question | None:
    """A question whose words are all supported by the labels; None if there is none."""
    known_absent = [other for other in absent_subjects(ability, subject) if one.absent & set(_names(other))]
    if (kind == "either_or" or present is False) and not known_absent:
        return None
    if known_absent:
        # A copy made by model_copy would keep the cached subjects.
        fields = {name: getattr(ability, name) for name in Ability.model_fields}
        ability = Ability.model_construct(**{**fields, "subjects": [subject, *known_absent], "tinted": None})
    return benchmark_question(ability, subject, kind, "photograph", one.called, present=present)


def _names(subject: Subject) -> list[str]:
    return [name.casefold() for name in keywords(subject)]


def _plain_wordings(ability: Ability, kind: QuestionKind) -> bool:
    """Whether all wordings ask only about the subject; no label has details such as colours."""
    slots = {
        slot for wording in getattr(ability.benchmark, kind) for _, slot, _, _ in Formatter().parse(wording) if slot
    }
    return slots <= _SLOTS


def _photograph(ability: Ability, question: Question, one: LabelledPhotograph) -> Photograph:
    return Photograph(
        image=f"images/{one.called}",
        ability=ability.ability,
        question=question.text,
        accepted=question.accepted,
        kind=question.kind,
        options=question.options,
        refused=question.refused,
        credit=one.credit,
    )
