"""Keywords in answers: whole words, in any inflection, those of a longer keyword side by side."""

from __future__ import annotations

from collections.abc import Sequence

from stablellava_assets.filters.subject_naming import lemmas

Span = tuple[int, int]
ALL_OF = "<AND>"
"""Between keywords that are wanted together, as MM-Vet writes it."""


def find_keyword(keyword: str, answer: str) -> list[Span]:
    """Where ``keyword`` stands among the words of ``answer``, as (first, one after the last)."""
    wanted, found = lemmas(keyword), lemmas(answer)
    size = len(wanted)
    return [(at, at + size) for at in range(len(found) - size + 1) if size and found[at : at + size] == wanted]


def holds_keyword(answer: str, accepted: Sequence[str], refused: Sequence[str]) -> bool:
    """Whether an accepted keyword is there and no refused one, unless that is part of an accepted one, as hat is of top hat."""
    right = [span for keyword in accepted for span in _find_all(keyword, answer)]
    wrong = [span for keyword in refused for span in find_keyword(keyword, answer)]
    return bool(right) and all(any(start <= at and to <= end for start, end in right) for at, to in wrong)


def _find_all(keyword: str, answer: str) -> list[Span]:
    found = [find_keyword(part, answer) for part in keyword.split(ALL_OF)]
    return [span for spans in found for span in spans] if all(found) else []
