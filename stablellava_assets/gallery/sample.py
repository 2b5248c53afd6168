"""Which pairs of a batch people are shown where not all of them are: a fair share of everything that can be said of a pair."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from stablellava_assets.filters.review.overrule import Found, was_reviewed
from stablellava_assets.gallery.entries import names_of
from stablellava_assets.tables.findings import REJECTS, rules_with


class Named(Found):
    """A verdict, as far as which pair it is on and what was found."""

    pair_id: str


def sample(pairs: Sequence[Named], borderline: Sequence[bool], count: int | None) -> list[int]:
    """Positions of the pairs to show, in the order of their ids.

    First comes a pair of every rule that is named, as a reason or in a note, the rarest rule first and reasons before
    notes; more rules than there is room for are left out. Then half of ``count`` are kept pairs, and the others are
    rejected pairs by their first reason, taking turns with each other and with borderline ones. What either half does not
    fill goes to the other. Pairs that a person decided about are always shown, on top. An id is a hash, so that taking the
    first ids is a draw, and the same draw every time.

    Args:
        pairs: the verdicts.
        borderline: for each of them, whether a score is close to its threshold.
        count: how many to show at most; all of them if None.
    """
    order = sorted(range(len(pairs)), key=lambda position: pairs[position]["pair_id"])
    if count is None or len(pairs) <= count:
        return order
    reviewed = [position for position in order if was_reviewed(pairs[position])]
    undecided = [position for position in order if not was_reviewed(pairs[position])]
    telling = _one_of_every_rule(pairs, undecided, reviewed)[:count]
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
    telling_kept = [position for position in telling if position in is_kept]
    telling_others = [position for position in telling if position not in is_kept]
    kept = list(dict.fromkeys([*telling_kept, *kept]))
    others = list(dict.fromkeys([*telling_others, *_in_turns([groups[name] for name in sorted(groups)])]))
    of_kept = max(count - count // 2, count - len(others), len(telling_kept))
    of_kept = min(of_kept, count - len(telling_others), len(kept))
    chosen = {*reviewed, *kept[:of_kept], *others[: count - of_kept]}
    return [position for position in order if position in chosen]


def _one_of_every_rule(pairs: Sequence[Named], undecided: Sequence[int], reviewed: Sequence[int]) -> list[int]:
    """Undecided pairs that together name every rule; none for a rule that a reviewed pair names, which is shown anyway."""
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


def _in_turns(groups: Sequence[Sequence[int]]) -> list[int]:
    """One of every group, then the next of every group, and so on."""
    longest = max(map(len, groups), default=0)
    return [group[turn] for turn in range(longest) for group in groups if turn < len(group)]
