"""What the ablations change about pairs: whose picture it is, how many there are, what they ask, and who wrote them.

Nothing here paints, tunes or scores. Draws are rendezvous hashes of the caller's parts, so that a seed repeats them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.abilities.absence import NOT_SHOWN, NotShown, not_shown_question
from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.abilities.prompts import draw_prompt
from stablellava_assets.abilities.questions import Question, absent_subjects, benchmark_question, training_question
from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.tables.identity import derive_seed, ranked
from stablellava_assets.tuning.embedded.training import TrainingExample

Kept: TypeAlias = tuple[dict[str, Any], TrainingExample]
"""A ``filtered_pairs`` row, or a ``dialogues`` row with its prompt's subject, and the same as the trainer takes it."""

_WORDINGS_TRIED = 50
_SPAN = 2**63


class DesignError(ValueError):
    """The pairs at hand are too few, or too much alike, for what is to be compared; the message says what to change."""


def swap_pictures(
    candidates: Sequence[Candidate], catalog: Catalog, share: float, *parts: Any
) -> tuple[list[Candidate], set[str]]:
    """Give ``share`` of the pictures of each ability, two by two, to each other's prompts and dialogues.

    The two of a pair have answers that exclude each other, so that every dialogue about either is wrong, while prompts
    and dialogues stay what they were and no picture is lost: only who looks at the picture can tell.

    Returns:
        The candidates in their order, and the ids of the images whose pictures are now wrong.

    Raises:
        DesignError: an ability has no two pictures with different answers left.
    """
    by_ability: dict[str, dict[str, Candidate]] = {}
    for candidate in candidates:
        by_ability.setdefault(candidate.dialogue["ability"], {})[candidate.image["image_id"]] = candidate
    painted: dict[str, dict[str, Any]] = {}
    for ability, pictures in by_ability.items():
        left = ranked(list(pictures), *parts)
        for _ in range(min(round(share * len(pictures) / 2), len(pictures) // 2)):
            one = left.pop(0)
            others = (each for each in left if _exclude(catalog.single[ability], pictures[one], pictures[each]))
            other = next(others, None)
            if other is None:
                raise DesignError(
                    f"ability {ability!r}: of {len(pictures)} pictures, none that is left has another answer than "
                    f"{pictures[one].spec['subject']!r}; give more --rows"
                )
            left.remove(other)
            painted[one], painted[other] = pictures[other].image, pictures[one].image
    return [
        _looking_at(each, painted[each.image["image_id"]]) if each.image["image_id"] in painted else each
        for each in candidates
    ], set(painted)


def share_of_pictures(rows: Sequence[Kept], share: float, *parts: Any) -> list[Kept]:
    """The pairs about ``share`` of the pictures of each ability, at least one; a larger share holds every smaller
    one."""
    by_ability: dict[str, dict[str, None]] = {}
    for row, example in rows:
        by_ability.setdefault(row["ability"], {})[example.image_ids[0]] = None
    chosen = {
        image_id
        for pictures in by_ability.values()
        for image_id in ranked(list(pictures), *parts)[: max(1, round(share * len(pictures)))]
    }
    return [(row, example) for row, example in rows if example.image_ids[0] in chosen]


def without_no(rows: Sequence[Kept]) -> list[Kept]:
    """The pairs less the yes-no questions that are answered no."""
    return [(row, example) for row, example in rows if not _says_no(row)]


def yes_for_no(rows: Sequence[Kept], catalog: Catalog) -> list[Kept]:
    """The pairs with another question that is answered yes in place of each that is answered no.

    Pictures, rows and looks at pictures stay as many as they were. The question is in a wording that the picture
    was not asked in, where the ability has one.
    """
    asked: dict[str, set[str]] = {}
    for _, example in rows:
        asked.setdefault(example.image_ids[0], set()).add(_question_of(example))
    replaced = []
    for row, example in rows:
        if _says_no(row):
            said = _affirmed(catalog.single[row["ability"]], row, asked[example.image_ids[0]])
            row = {**row, "expected": said.expected, "conversations": _reworded(row["conversations"], said)}
            example = TrainingExample(example.image_ids, example.encoded, row["conversations"])
        replaced.append((row, example))
    return replaced


def partly_not_shown(
    rows: Sequence[Kept], facts: Mapping[str, Mapping[str, str]], catalog: Catalog, share: float, *parts: Any
) -> list[Kept]:
    """The pairs with ``share`` of them replaced by a question about what the picture does not show, where its ability
    has any; at most one for each picture.

    Pictures, rows and looks at pictures stay as many as they were. ``facts`` are those of the prompts, by spec id.
    """
    replaced, asked = [], set()
    for row, example in rows:
        image_id, said = example.image_ids[0], None
        if image_id not in asked and derive_seed(row["pair_id"], "not shown", *parts) < share * _SPAN:
            ability = catalog.single[row["ability"]]
            said = not_shown_question(ability, facts[row["spec_ids"][0]], catalog.single, row["pair_id"], *parts)
        if said is not None:
            asked.add(image_id)
            row = {**row, "question_kind": NOT_SHOWN, "expected": said.expected}
            row["conversations"] = _reworded(row["conversations"], said)
            example = TrainingExample(example.image_ids, example.encoded, row["conversations"])
        replaced.append((row, example))
    return replaced


def false_premises(items: Sequence[dict[str, Any]], catalog: Catalog) -> list[dict[str, Any]]:
    """Questions about what the pictures of what-items do not show, in wordings of the benchmark."""
    asked = []
    for item in items:
        if item["question_kind"] == "what" and item["ability"] in catalog.single:
            ability, item_id = catalog.single[item["ability"]], f"{item['item_id']} not shown"
            facts = {fact["name"]: fact["value"] for fact in draw_prompt(ability, item["item_id"])["facts"]}
            said = not_shown_question(ability, facts, catalog.single, item_id, asking=benchmark_question)
            if said is not None:
                asked.append(
                    {**item, "item_id": item_id, "question": said.text, "accepted": [said.expected], "refused": []}
                )
    return asked


def half_replaced(
    rows: Sequence[Kept], others: Sequence[TrainingExample], *parts: Any
) -> tuple[list[TrainingExample], list[TrainingExample]]:
    """The pairs about half of the pictures with as many ``others`` as that left out, and those others alone.

    Raises:
        DesignError: there are too few others.
    """
    half = [example for _, example in share_of_pictures(rows, 0.5, *parts)]
    missing = len(rows) - len(half)
    if missing > len(others):
        raise DesignError(
            f"{missing} released dialogues are needed to replace half of {len(rows)} pairs, and {len(others)} can be "
            "used; give fewer --rows or more released files"
        )
    by_id = {example.image_ids[0]: example for example in others}
    drawn = [by_id[image_id] for image_id in ranked(list(by_id), *parts)[:missing]]
    return [*half, *drawn], drawn


def looks(examples: Iterable[TrainingExample], rows_per_look: int) -> int:
    """How often one pass looks at a picture: what a step is made of, whatever the number of rows."""
    rows = Counter(example.image_ids[0] for example in examples)
    return sum(math.ceil(count / rows_per_look) for count in rows.values())


def _exclude(ability: Ability, one: Candidate, other: Candidate) -> bool:
    """Whether the answer of ``other`` is wrong for the picture of ``one``."""
    shown, told = (ability.subject_named(each.spec["subject"]) for each in (one, other))
    return told.answer in {absent.answer for absent in absent_subjects(ability, shown)}


def _looking_at(candidate: Candidate, picture: dict[str, Any]) -> Candidate:
    """The candidate as if its prompt had been painted as ``picture``."""
    own = {name: candidate.image[name] for name in ("image_id", "spec_id")}
    return Candidate(candidate.dialogue, candidate.spec, {**picture, **own})


def _says_no(row: Mapping[str, Any]) -> bool:
    return bool(row["question_kind"] == "yes_no" and row["expected"] == "no")


def _affirmed(ability: Ability, row: dict[str, Any], asked: set[str]) -> Question:
    subject = ability.subject_named(row["subject"])
    tried = [
        training_question(ability, subject, "yes_no", row["pair_id"], "yes for no", number, present=True)
        for number in range(_WORDINGS_TRIED)
    ]
    return next((question for question in tried if question.text not in asked), tried[0])


def _question_of(example: TrainingExample) -> str:
    return example.conversations[0]["value"].replace("<image>", "").strip()


def _reworded(conversations: Sequence[Mapping[str, str]], said: Question | NotShown) -> list[dict[str, str]]:
    """One question and answer, the picture's mark where it was."""
    first = conversations[0]["value"].startswith("<image>")
    asked = f"<image>\n{said.text}" if first else f"{said.text}\n<image>"
    return [{"from": "human", "value": asked}, {"from": "gpt", "value": said.answer}]
