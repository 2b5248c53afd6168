"""Rules for the prompts of a pair about several images, as a group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from stablellava_assets.abilities.groups import aspects_that_differ
from stablellava_assets.filters.findings import Finding
from stablellava_assets.tables.pair_rows import SpecToJudge, facts_of


def check_differences(specs: Sequence[SpecToJudge]) -> Iterator[Finding]:
    """The first two prompts that are meant to differ in one fact, since they have one seed, and differ in several.

    Only prompts whose facts are all known are compared: a chat model's prompts say more than their facts do.
    """
    for (at, one), (other_at, other) in combinations(enumerate(specs, 1), 2):
        if one["seed"] != other["seed"]:
            continue
        facts = [facts_of(spec) for spec in (one, other)]
        differ = sorted(aspects_that_differ(facts)) if all("answer" in known for known in facts) else []
        if len(differ) > 1:
            explanation = f"Pictures {at} and {other_at} have one seed and differ in {' and '.join(differ)}."
            yield Finding("several_differences", explanation)
            return
