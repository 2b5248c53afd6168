"""Words the questions about a group of images, and their accepted answers.

A group is given by the facts of its images, so that a question can be asked about any images with such facts. Every
choice is a rendezvous hash of the caller's seed parts and the options, as in ``questions.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from string import Formatter
from typing import cast

from stablellava_assets.abilities.ability import QUESTION_KINDS, QuestionKind
from stablellava_assets.abilities.group_view import GroupView
from stablellava_assets.abilities.groups import Facts, draw_group
from stablellava_assets.abilities.multi_image import (
    AnyGroupQuestion,
    Aspect,
    ChoiceQuestion,
    ClaimQuestion,
    DialogueTurn,
    GroupQuestion,
    MultiImageAbility,
    NamingQuestion,
    WhichQuestion,
    ordinals,
    with_repeats,
)
from stablellava_assets.tables.identity import choose
from stablellava_assets.tables.pair_rows import facts_of
from stablellava_assets.text.conversations import EXPECTED_SEPARATOR, IMAGE_MARK, Turn, exchange


@dataclass(frozen=True)
class WordedQuestion:
    """A question about a group of images.

    ``text`` has the ``<image>`` marks of the images that it shows; those of earlier turns are in ``history``. A right
    answer contains a keyword of each of ``accepted_groups``, in their order if ``in_order``, and none of ``refused``.
    """

    kind: QuestionKind
    text: str
    answer: str
    expected: str
    options: tuple[str, ...]
    accepted_groups: tuple[tuple[str, ...], ...]
    refused: tuple[str, ...]
    in_order: bool = False
    history: tuple[Turn, ...] = ()
    name: str = ""
    """Distinguishes the questions of one kind about a group, together with the next two."""
    present: bool | None = None
    number: int | None = None


_OWN_SLOTS: Mapping[str, tuple[str, ...]] = {
    "what": (),
    "yes_no": ("candidate", "a_candidate", "nth", "told", "a_told", "evidence"),
    "which": ("candidate", "a_candidate", "nth"),
    "either_or": (
        *("first", "a_first", "evidence_first", "second", "a_second", "evidence_second", "right", "a_right", "nth"),
    ),
}
"""Slots that a kind of question has besides those of the group."""

_Option = tuple[int, str, str]
"""What a question may be about: an image's index, a value, and a wrong one, if any."""


@dataclass(frozen=True)
class _Form:
    """One way to ask a question of a group; ``present`` as in ``questions.py``."""

    question: AnyGroupQuestion
    present: bool | None = None
    number: int | None = None
    """Index of the image that is asked about; None if all are."""
    turns: tuple[DialogueTurn, ...] = ()

    @property
    def kind(self) -> QuestionKind:
        return "either_or" if isinstance(self.question, WhichQuestion) else self.question.kind


def training_dialogues(ability: MultiImageAbility, group: Sequence[Facts], *parts: object) -> list[WordedQuestion]:
    """Every question of the ability that suits the group, in training wordings.

    A question about one image is asked about each, and a yes-no question once for each answer that it may have.
    """
    images = GroupView(ability, group)
    forms = [form for form in _forms(images) if not _is_surplus_no(images, form, parts)]
    return [_worded(images, form, parts, benchmark=False) for form in forms]


def _is_surplus_no(group: GroupView, form: _Form, parts: tuple[object, ...]) -> bool:
    """Whether to leave out a question about a value that no image has.

    Images of which one has the value give a no as well, and there would be twice as many as yes.
    """
    question = form.question
    if not (isinstance(question, ClaimQuestion) and question.about == "all" and form.present is False):
        return False
    if question.of in ("aspect", "related", "verb") or "different" not in group.ability.images.values:
        return False
    return group.values == "same" and choose(range(4), *parts, question.name or "", "absent") != 0


def benchmark_question(
    ability: MultiImageAbility,
    group: Sequence[Facts],
    kind: QuestionKind,
    *parts: object,
    present: bool | None,
    name: str | None = None,
) -> WordedQuestion | None:
    """One question of a kind in a benchmark wording; None if the group does not suit any.

    ``present`` is the answer of a yes-no question, and None for other kinds. ``name`` is one of :func:`names_of`.
    """
    images = GroupView(ability, group)
    forms = [
        form
        for form in _forms(images)
        if (form.kind, form.present) == (kind, present)
        and name in (None, _name(form.question))
        and form.question.benchmark
    ]
    if not forms:
        return None
    return _worded(images, forms[choose(range(len(forms)), *parts, kind, "form")], parts, benchmark=True)


def benchmark_wording(ability: MultiImageAbility, kind: str, text: str) -> str | None:
    """The template of a benchmark question, the longest that fits; None if it was not worded by one."""
    templates = [
        template
        for question in ability.questions
        if _Form(question).kind == kind
        for template in question.benchmark
        if re.search(_pattern(template), text, re.IGNORECASE)
    ]
    return max(templates, key=lambda template: len(_pattern(template)), default=None)


def _pattern(template: str) -> str:
    parts = Formatter().parse(template)
    return "".join(re.escape(literal) + ("" if slot is None else ".+") for literal, slot, _, _ in parts)


def kinds_of(ability: MultiImageAbility) -> list[QuestionKind]:
    """The kinds of question that the ability asks, in their usual order."""
    return [kind for kind in QUESTION_KINDS if names_of(ability, kind)]


def names_of(ability: MultiImageAbility, kind: QuestionKind) -> list[str]:
    """What the questions of a kind that the benchmark asks are told apart by."""
    last = {turns[-1].ask for turns in ability.dialogues}
    return [
        _name(question)
        for question in ability.questions
        if _Form(question).kind == kind and question.benchmark and (not ability.dialogues or question.name in last)
    ]


def _name(question: AnyGroupQuestion) -> str:
    return question.name or question.ask[0]


def check_questions(ability: MultiImageAbility) -> None:
    """Word every question about a group of each kind that the ability draws.

    Raises:
        ValueError: a group cannot be drawn, a template cannot be filled, or a question suits no group. The message
            names it.
    """
    asked: set[int] = set()
    for compared in ability.images.compare:
        for values in ability.images.values:
            groups = ability.model_copy(
                update={"images": ability.images.model_copy(update={"compare": [compared], "values": [values]})}
            )
            facts = [facts_of(prompt) for prompt in draw_group(groups, "check", compared, values).prompts]
            images = GroupView(ability, facts)
            for form in _forms(images):
                for benchmark in (False, True) if form.question.benchmark else (False,):
                    _worded(images, form, ("check",), benchmark)
                for template in _templates(form):
                    _filled(images, form.question, template, dict.fromkeys(_OWN_SLOTS[form.question.kind], ""))
                earlier = {turn.ask for turn in form.turns}
                asked |= {number for number, question in enumerate(ability.questions) if question.name in earlier}
                asked.add(ability.questions.index(form.question))
    if never := [question.ask[0] for number, question in enumerate(ability.questions) if number not in asked]:
        raise ValueError(f"questions: no group suits the question {never[0]!r}: see its compare, values and of")


def _templates(form: _Form) -> Iterator[str]:
    """The templates that may word this form."""
    yield from form.question.ask
    yield from form.question.benchmark
    for key, templates in form.question.answers.items():
        if form.present is None or (key == "yes") == form.present:
            yield from templates


def _forms(group: GroupView) -> Iterator[_Form]:
    questions = {question.name: question for question in group.ability.questions}
    if not group.ability.dialogues:
        for question in group.ability.questions:
            yield from _forms_of(group, question, ())
        return
    for turns in group.ability.dialogues:
        if all(next(_forms_of(group, questions[turn.ask], ()), None) for turn in turns[:-1]):
            yield from _forms_of(group, questions[turns[-1].ask], tuple(turns))


def _forms_of(group: GroupView, question: AnyGroupQuestion, turns: tuple[DialogueTurn, ...]) -> Iterator[_Form]:
    if question.compare and group.compared not in question.compare:
        return
    if question.values and group.values not in question.values:
        return
    if isinstance(question, NamingQuestion):
        yield _Form(question, None, None, turns)
        return
    for present in (True, False) if isinstance(question, ClaimQuestion) else (None,):
        for number in sorted({option[0] for option in _options(group, question, present)}):
            yield _Form(question, present, number, turns)


def _options(
    group: GroupView, question: ClaimQuestion | ChoiceQuestion | WhichQuestion, present: bool | None
) -> list[_Option]:
    if isinstance(question, ClaimQuestion):
        return _claims(group, question, bool(present))
    return _offers(group, question) if isinstance(question, ChoiceQuestion) else _targets(group, question)


def _claims(group: GroupView, question: ClaimQuestion, present: bool) -> list[_Option]:
    """The claims of a truth value: an image's index and the value in question.

    A false claim is about what another image shows, or if none shows anything else, about what no image shows.
    """
    values = group.values_of(question.of)
    if question.of == "related":
        return [(0, "related", "")] if present == (group.values == "related") else []
    if question.of == "odd":
        odd = [] if group.odd is None else range(len(group.facts))
        return [(number, "odd", "") for number in odd if (number == group.odd) == present]
    if None in values:
        return []
    told = [value for value in values if value is not None]
    if question.about == "all":
        if present:
            return [(0, told[0], "")] if len({*told}) == 1 else []
        return [(0, value, "") for value in ({*told} if len({*told}) > 1 else group.absent(question.of))]
    if present:
        return [(number, value, "") for number, value in enumerate(told)]
    return [
        (number, other, "")
        for number, value in enumerate(told)
        for other in ({*told} - {value} or group.absent(question.of))
    ]


def _targets(group: GroupView, question: WhichQuestion) -> list[_Option]:
    """The images that can be asked for: those whose value no other image has."""
    if question.of == "odd":
        return [] if group.odd is None else [(group.odd, group.facts[group.odd][group.compared], "")]
    if question.of == "agent":
        return [(group.relation[0], group.facts[group.relation[0]]["subject"], "")] if group.relation else []
    values = group.values_of(question.of)
    return [(number, value, "") for number, value in enumerate(values) if value and values.count(value) == 1]


def _offers(group: GroupView, question: ChoiceQuestion) -> list[_Option]:
    """An image's index (0 if all are asked about), its value, and a wrong one."""
    values = group.values_of(question.of)
    if None in values or (question.about == "all" and len({*values}) > 1):
        return []
    if question.about == "all":
        values = values[:1]
    return [
        (number, value, other)
        for number, value in enumerate(values)
        if value is not None
        for other in ({held for held in values if held} - {value} or group.absent(question.of))
    ]


def _worded(group: GroupView, form: _Form, parts: tuple[object, ...], benchmark: bool) -> WordedQuestion:
    seed = (*parts, form.question.name or "", form.kind, form.present, form.number)
    asked = _ask(group, form, seed, benchmark)
    asked = replace(asked, name=_name(form.question), present=form.present, number=form.number)
    if not form.turns:
        marks = choose(group.ability.images.marks, *seed, "marks")
        return replace(asked, text=marks.replace("{question}", asked.text))
    questions = {question.name: question for question in group.ability.questions}
    history: list[Turn] = []
    for number, turn in enumerate(form.turns[:-1]):
        earlier = next(_forms_of(group, questions[turn.ask], ()))
        told = _ask(group, earlier, (*seed, number), benchmark)
        history += exchange(_shown(turn, told.text), told.answer)
    return replace(asked, text=_shown(form.turns[-1], asked.text), history=tuple(history))


def _shown(turn: DialogueTurn, text: str) -> str:
    return "".join(f"{IMAGE_MARK}\n" for _ in turn.shows) + text


def _ask(group: GroupView, form: _Form, seed: tuple[object, ...], benchmark: bool) -> WordedQuestion:
    question = form.question
    text = choose(question.benchmark if benchmark else question.ask, *seed, "wording")
    if isinstance(question, NamingQuestion):
        return _naming(group, question, text, seed)
    options = [each for each in _options(group, question, form.present) if each[0] == form.number]
    chosen = choose(sorted(options), *seed, "option")
    if isinstance(question, ClaimQuestion):
        return _claim(group, question, text, seed, chosen, bool(form.present))
    if isinstance(question, ChoiceQuestion):
        return _choice(group, question, text, seed, chosen)
    return _which(group, question, text, seed, chosen)


def _naming(group: GroupView, question: NamingQuestion, text: str, seed: tuple[object, ...]) -> WordedQuestion:
    words = [_filled(group, question, template, {}) for template in question.expected]
    accepted = [
        group.keywords_by_slot.get(template.strip("{}"), (word,))
        for template, word in zip(question.expected, words, strict=True)
    ]
    return WordedQuestion(
        kind="what",
        text=_sentence(_filled(group, question, text, {})),
        answer=_sentence(_filled(group, question, choose(question.answer, *seed, "answer"), {})),
        expected=EXPECTED_SEPARATOR.join(words),
        options=(),
        accepted_groups=tuple(accepted),
        refused=(),
        in_order=len(words) > 1,
    )


def _claim(
    group: GroupView, question: ClaimQuestion, text: str, seed: tuple[object, ...], claim: _Option, present: bool
) -> WordedQuestion:
    number, value, _ = claim
    plain, with_article = group.words(question.of, value)
    slots = {"candidate": plain, "a_candidate": with_article, "nth": ordinals(len(group.facts))[number]}
    of = group.compared if question.of == "odd" else question.of
    if (shown := group.facts[number].get(of)) is not None:
        slots["told"], slots["a_told"] = group.words(of, shown)
    if question.of == "aspect":
        slots["evidence"] = with_repeats(group.seen(cast("Aspect", value)))
    expected, opposite = ("yes", "no") if present else ("no", "yes")
    answer = choose(question.yes if present else question.no, *seed, "answer")
    return WordedQuestion(
        kind="yes_no",
        text=_sentence(_filled(group, question, text, slots)),
        answer=_sentence(_filled(group, question, answer, slots)),
        expected=expected,
        options=(),
        accepted_groups=((expected,),),
        refused=(opposite,),
    )


def _choice(
    group: GroupView, question: ChoiceQuestion, text: str, seed: tuple[object, ...], offer: _Option
) -> WordedQuestion:
    number, value, other = offer
    right_first = choose(("right first", "right second"), *seed, "order") == "right first"
    first, second = (value, other) if right_first else (other, value)
    right, right_with_article = group.words(question.of, value)
    slots = {"nth": ordinals(len(group.facts))[number], "right": right, "a_right": right_with_article}
    for name, offered in (("first", first), ("second", second)):
        slots[name], slots[f"a_{name}"] = group.words(question.of, offered)
        if question.of == "aspect":
            slots[f"evidence_{name}"] = with_repeats(group.seen(cast("Aspect", offered)))
    return WordedQuestion(
        kind="either_or",
        text=_sentence(_filled(group, question, text, slots)),
        answer=_sentence(_filled(group, question, choose(question.answer, *seed, "answer"), slots)),
        expected=right,
        options=(slots["first"], slots["second"]),
        accepted_groups=(group.keywords(question.of, value),),
        refused=group.keywords(question.of, other),
    )


def _which(
    group: GroupView, question: WhichQuestion, text: str, seed: tuple[object, ...], target: _Option
) -> WordedQuestion:
    number, value, _ = target
    names = ordinals(len(group.facts))
    plain, with_article = group.words(_fact_of(group, question), value)
    slots = {"nth": names[number], "candidate": plain, "a_candidate": with_article}
    return WordedQuestion(
        kind="either_or",
        text=_sentence(_filled(group, question, text, slots)),
        answer=_sentence(_filled(group, question, choose(question.answer, *seed, "answer"), slots)),
        expected=names[number],
        options=tuple(names),
        accepted_groups=((names[number],),),
        refused=tuple(name for name in names if name != names[number]),
    )


def _fact_of(group: GroupView, question: WhichQuestion) -> Aspect:
    if question.of == "odd":
        return group.compared
    return "subject" if question.of == "agent" else question.of


def _filled(group: GroupView, question: GroupQuestion, template: str, slots: dict[str, str]) -> str:
    """The template with its slots filled.

    Raises:
        ValueError: it uses a slot that groups with these facts lack.
    """
    known = {**group.slots, **slots}
    try:
        return template.format(**known)
    except (KeyError, ValueError, IndexError) as error:
        raise ValueError(
            f"template {template!r} cannot be filled for groups that compare {group.compared} ({group.values}): "
            f"{error}; these know {sorted(known)}. Limit the question with compare or values, or name other slots"
        ) from error


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
