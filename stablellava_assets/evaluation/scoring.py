"""Whether an answer is right, and what that makes of an ability: the paper's 0/1 keyword score."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from stablellava_assets.abilities.catalog import QUESTION_KINDS
from stablellava_assets.evaluation.statistics import mcnemar_p_value, paired_difference, wilson_interval
from stablellava_assets.evaluation.verdicts import ALL, with_verdicts
from stablellava_assets.tables.identity import content_key

__all__ = ["ALL", "is_correct", "score_answers"]

_WORD = re.compile(r"[^\W_]+")
_YES_OR_NO = ("yes", "no")
Span = tuple[int, int]


def is_correct(answer: str, accepted: Sequence[str], refused: Sequence[str], kind: str) -> bool:
    """Score one answer 0/1 by keywords.

    Case, hyphens and punctuation do not count, inflections are the same word (cactus and cacti, ski and skiing), and
    only whole words match, those of a longer keyword side by side. A yes-no answer is its first yes or no. Any other answer
    must hold an accepted keyword and no refused one, unless that is part of an accepted one, as hat is of top hat.
    """
    if kind == "yes_no":
        verdict = next((word for word in _words(answer) if word in _YES_OR_NO), None)
        return verdict in accepted
    words = _words(answer)
    right = [span for keyword in accepted for span in _find(keyword, words)]
    wrong = [span for keyword in refused for span in _find(keyword, words)]
    return bool(right) and all(any(start <= at and to <= end for start, end in right) for at, to in wrong)


def score_answers(answers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """``ability_scores`` rows, but for ``run_id``, from ``ability_answers`` rows of one or more checkpoints.

    A row for each model, ability and question kind that was asked, with ``all`` for the sums. Accuracies over
    ``all`` count every item alike; as a benchmark asks every ability equally often, they are macro means too. Difference,
    p-values and verdict compare base and tuned over the items both answered, and stand in both models' rows; they are
    null where there are none.
    """
    groups: dict[tuple[str, str, str, str], dict[str, dict[str, bool]]] = {}
    for row in answers:
        for ability in (row["ability"], ALL):
            for kind in (row["question_kind"], ALL):
                group = groups.setdefault((row["checkpoint_id"], row["benchmark"], ability, kind), {})
                group.setdefault(row["model"], {})[row["item_id"]] = row["correct"]
    return with_verdicts([score for key in sorted(groups, key=_order) for score in _scores(key, groups[key])])


def _order(key: tuple[str, str, str, str]) -> tuple[Any, ...]:
    checkpoint, benchmark, ability, kind = key
    return checkpoint, benchmark, ability == ALL, ability, (*QUESTION_KINDS, kind).index(kind)


def _scores(key: tuple[str, str, str, str], by_model: Mapping[str, Mapping[str, bool]]) -> Iterator[dict[str, Any]]:
    checkpoint, benchmark, ability, kind = key
    base, tuned = by_model.get("base", {}), by_model.get("tuned", {})
    compared = _compare(base, tuned)
    for model, results in sorted(by_model.items()):
        correct = sum(results.values())
        low, high = wilson_interval(correct, len(results))
        yield {
            "score_id": content_key("score", checkpoint, model, benchmark, ability, kind),
            "checkpoint_id": checkpoint,
            "model": model,
            "benchmark": benchmark,
            "ability": ability,
            "question_kind": kind,
            "n": len(results),
            "correct": correct,
            "accuracy": correct / len(results),
            "interval_low": low,
            "interval_high": high,
            **compared,
        }


def _compare(base: Mapping[str, bool], tuned: Mapping[str, bool]) -> dict[str, float | None]:
    both = base.keys() & tuned.keys()
    if not both:
        return dict.fromkeys(("difference", "difference_low", "difference_high", "p_value"))
    only_base = sum(base[item] and not tuned[item] for item in both)
    only_tuned = sum(tuned[item] and not base[item] for item in both)
    difference = paired_difference(only_base, only_tuned, len(both))
    return {
        "difference": difference.estimate,
        "difference_low": difference.low,
        "difference_high": difference.high,
        "p_value": mcnemar_p_value(only_base, only_tuned),
    }


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _find(keyword: str, words: Sequence[str]) -> list[Span]:
    """Where ``keyword`` stands among ``words``."""
    wanted = [_lemma(word) for word in _words(keyword)]
    found = [_lemma(word) for word in words]
    size = len(wanted)
    return [(at, at + size) for at in range(len(found) - size + 1) if size and found[at : at + size] == wanted]


@lru_cache(maxsize=100_000)
def _lemma(word: str) -> str:
    """The dictionary form, from simplemma's English word list; an unknown word stays as it is."""
    import simplemma

    lemma: str = simplemma.lemmatize(word, lang="en").casefold()
    return lemma
