"""Composition of a batch: question kinds, answer lengths, and hedged answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from statistics import pstdev

from stablellava_assets.tables.findings import NOTES, StoredFinding, rules_with
from stablellava_assets.text.conversations import GPT, Turn

_SEVERAL_TURNS = "multi_turn"
_FEWEST = 10
"""Minimum number of conversations; with fewer, every measure is None."""


def quota_met(kinds: Sequence[str], quotas: Mapping[str, float]) -> float | None:
    """Of the least fulfilled quota, the actual fraction of the kind over the required one: at least 1 if all
    are met, and 1 without quotas.

    Conversations of several turns ask questions of several kinds; they count only if a quota names them.
    """
    counted = [kind for kind in kinds if kind != _SEVERAL_TURNS or kind in quotas]
    if len(counted) < _FEWEST:
        return None
    counts = Counter(counted)
    return min((counts[kind] / len(counted) / least for kind, least in quotas.items() if least), default=1.0)


def most_frequent_share(kinds: Sequence[str]) -> float | None:
    """The fraction of the most frequent kind."""
    return max(Counter(kinds).values()) / len(kinds) if len(kinds) >= _FEWEST else None


def share_of_kind(kinds: Sequence[str], kind: str) -> float | None:
    """The fraction of one kind."""
    return kinds.count(kind) / len(kinds) if len(kinds) >= _FEWEST else None


def answer_words(conversations: Iterable[Iterable[Turn] | None]) -> list[int]:
    """The number of words of every answer."""
    return [
        len((turn["value"] or "").split())
        for turns in conversations
        for turn in (turns if turns is not None else ())
        if turn["from"] == GPT
    ]


def length_spread(words: Sequence[int]) -> float | None:
    """The standard deviation of answer lengths, in words."""
    return pstdev(words) if len(words) >= _FEWEST else None


def hedged_share(findings: Sequence[Sequence[StoredFinding]]) -> float | None:
    """The fraction of kept pairs with a finding that their answer is hedged."""
    hedged = sum("hedged_answer" in rules_with(NOTES, of_pair) for of_pair in findings)
    return hedged / len(findings) if len(findings) >= _FEWEST else None
