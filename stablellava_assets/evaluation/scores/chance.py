"""How often a guess without any image is right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from stablellava_assets.tables.score_rows import AnswerColumns

_FEWEST_OPTIONS = 2
_Label = tuple[str, ...]


def chances_of(answers: Iterable[AnswerColumns]) -> dict[str, float]:
    """The expected accuracy of guessing, by item id: one of the options, yes or no, or always the ability's commonest
    answer. Open questions have none.

    A choice that is asked in every rotation of its options is guessed right in all of them less often than this.
    """
    items = {row["item_id"]: row for row in answers if row["question_kind"] != "open"}
    labels: dict[tuple[str, str], Counter[_Label]] = {}
    for row in items.values():
        if row["question_kind"] == "what":
            labels.setdefault((row["benchmark"], row["ability"]), Counter())[_label(row)] += 1
    chances = {}
    for item_id, row in items.items():
        if row["question_kind"] == "what":
            counts = labels[row["benchmark"], row["ability"]]
            chances[item_id] = counts.most_common(1)[0][1] / counts.total()
        else:
            chances[item_id] = 1 / max(_FEWEST_OPTIONS, len(row.get("options") or ()))
    return chances


def _label(row: AnswerColumns) -> _Label:
    return tuple(word for group in row.get("accepted_groups") or (row["accepted"],) for word in group)
