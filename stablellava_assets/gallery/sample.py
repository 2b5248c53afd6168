"""Samples the pairs of a batch for the gallery so that every kind of verdict is represented."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from stablellava_assets.filters.review.overrule import WithFindings, was_reviewed
from stablellava_assets.gallery.entries import names_of
from stablellava_assets.tables.findings import REJECTS, rules_with


class Named(WithFindings):
    """The columns of a verdict that sampling needs."""

    pair_id: str


def sample(pairs: Sequence[Named], borderline: Sequence[bool], count: int | None) -> list[int]:
    """Indices of the pairs to show, in the order of their ids.

    First comes one pair for every rule with a finding, rarest rule first and reasons before notes; rules for
    which there is no room are left out. Then half of ``count`` are kept pairs. The other half are rejected pairs
    by their first reason, alternating with each other and with borderline ones. Unused room of either half goes
    to the other. Reviewed pairs are always shown in addition. Ids are hashes, so taking the first ones is a
    random but deterministic sample.

    Args:
        pairs: the verdicts.
        borderline: for each of them, whether a score is close to its threshold.
        count: maximum number to show; None for all of them.
    """
    order = sorted(range(len(pairs)), key=lambda position: pairs[position]["pair_id"])
    if count is None or len(pairs) <= count:
        return order
    reviewed = [position for position in order if was_reviewed(pairs[position])]
    undecided = [position for position in order if not was_reviewed(pairs[position])]
    informative = _one_of_every_rule(pairs, undecided, reviewed)[:count]
    kept: list[int] = []
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for position in undecided:
        rules = rules_with(REJECTS, pairs[position]["findings"])
        if borderline[position]:
            groups["borderline"].append(position)
        elif rules:
            groups[rules[0]].append(position)
        else:
            kept.append(position)
    is_kept = set(kept)
    informative_kept = [position for position in informative if position in is_kept]
    informative_others = [position for position in informative if position not in is_kept]
    kept = list(dict.fromkeys([*informative_kept, *kept]))
    others = list(dict.fromkeys([*informative_others, *_round_robin([groups[name] for name in sorted(groups)])]))
    of_kept = max(count - count // 2, count - len(others), len(informative_kept))
    of_kept = min(of_kept, count - len(informative_others), len(kept))
    chosen = {*reviewed, *kept[:of_kept], *others[: count - of_kept]}
    return [position for position in order if position in chosen]


def _one_of_every_rule(pairs: Sequence[Named], undecided: Sequence[int], reviewed: Sequence[int]) -> list[int]:
    """Unreviewed pairs that together cover every rule, except rules already covered by a reviewed pair."""
    naming: defaultdict[str, list[int]] = defaultdict(list)
    for position in undecided:
        for rule in names_of(pairs[position]):
            naming[rule].append(position)
    rejecting = {rule for position in undecided for rule in rules_with(REJECTS, pairs[position]["findings"])}
    named = {rule for position in reviewed for rule in names_of(pairs[position])}
    found = []
    for rule in sorted(naming, key=lambda rule: (rule not in rejecting, len(naming[rule]), rule)):
        if rule not in named:
            found.append(naming[rule][0])
            named |= names_of(pairs[naming[rule][0]])
    return found


def _round_robin(groups: Sequence[Sequence[int]]) -> list[int]:
    """One of every group, then the next of every group, and so on."""
    longest = max(map(len, groups), default=0)
    return [group[turn] for turn in range(longest) for group in groups if turn < len(group)]
