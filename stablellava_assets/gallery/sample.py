"""Which pairs of a batch people are shown where not all of them are: a fair share of everything that can be said of a pair."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from stablellava_assets.filters.overrule import was_reviewed


def sample(pairs: Sequence[Mapping[str, Any]], borderline: Sequence[bool], count: int | None) -> list[int]:
    """Positions of the pairs to show, in the order of their ids.

    Half of ``count`` are kept pairs. The others are a pair of every reason, and then rejected pairs by their first
    reason, taking turns with each other and with borderline ones. What either half does not fill goes to the other. Pairs
    that a person decided about are always shown, on top. An id is a hash, so that taking the first ids is a draw, and the
    same draw every time.

    Args:
        pairs: verdicts with at least ``pair_id``, ``reasons`` and ``notes``.
        borderline: for each of them, whether a score is close to its threshold.
        count: how many to show at most; all of them if None.
    """
    order = sorted(range(len(pairs)), key=lambda position: str(pairs[position]["pair_id"]))
    if count is None or len(pairs) <= count:
        return order
    reviewed: list[int] = []
    kept: list[int] = []
    groups: defaultdict[str, list[int]] = defaultdict(list)
    first_with: dict[str, int] = {}
    for position in order:
        reasons = pairs[position]["reasons"]
        if was_reviewed(pairs[position]):
            reviewed.append(position)
            continue
        for reason in reasons:
            first_with.setdefault(reason, position)
        if borderline[position]:
            groups["borderline"].append(position)
        elif reasons:
            groups[reasons[0]].append(position)
        else:
            kept.append(position)
    others = list(dict.fromkeys([*first_with.values(), *_in_turns([groups[name] for name in sorted(groups)])]))
    of_kept = min(len(kept), max(count - count // 2, count - len(others)))
    chosen = {*reviewed, *kept[:of_kept], *others[: count - of_kept]}
    return [position for position in order if position in chosen]


def _in_turns(groups: Sequence[Sequence[int]]) -> list[int]:
    """One of every group, then the next of every group, and so on."""
    longest = max(map(len, groups), default=0)
    return [group[turn] for turn in range(longest) for group in groups if turn < len(group)]
