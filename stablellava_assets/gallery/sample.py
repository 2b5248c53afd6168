"""Which pairs of a batch people are shown where not all of them are: a fair share of everything that can be said of a pair."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from stablellava_assets.filters.overrule import was_reviewed


def sample(pairs: Sequence[Mapping[str, Any]], borderline: Sequence[bool], count: int | None) -> list[int]:
    """Positions of the pairs to show, in the order of their ids.

    Half of ``count`` are kept pairs; rejected ones take turns by their first reason with each other and with borderline
    ones. What one group does not fill goes to the others. Pairs that a person decided about are always shown, on
    top. An id is a hash, so that taking the first ids of a group is a draw, and the same draw every time.

    Args:
        pairs: verdicts with at least ``pair_id``, ``reasons`` and ``notes``.
        borderline: for each of them, whether a score is close to its threshold.
        count: how many to show at most; all of them if None.
    """
    order = sorted(range(len(pairs)), key=lambda position: str(pairs[position]["pair_id"]))
    if count is None or len(pairs) <= count:
        return order
    kept: list[int] = []
    groups: defaultdict[str, list[int]] = defaultdict(list)
    chosen: set[int] = set()
    for position in order:
        reasons = pairs[position]["reasons"]
        if was_reviewed(pairs[position]):
            chosen.add(position)
        elif borderline[position]:
            groups["borderline"].append(position)
        elif reasons:
            groups[reasons[0]].append(position)
        else:
            kept.append(position)
    rejected = _in_turns([groups[name] for name in sorted(groups)])
    of_kept = min(len(kept), max(count - count // 2, count - len(rejected)))
    return sorted(
        chosen | set(kept[:of_kept]) | set(rejected[: count - of_kept]),
        key=lambda position: str(pairs[position]["pair_id"]),
    )


def _in_turns(groups: Sequence[Sequence[int]]) -> list[int]:
    """One of every group, then the next of every group, and so on."""
    longest = max(map(len, groups), default=0)
    return [group[turn] for turn in range(longest) for group in groups if turn < len(group)]
