"""Which batch of each ability comes next."""

from __future__ import annotations

from collections.abc import Iterable


def next_batches(
    batches: Iterable[str], published: Iterable[tuple[str, ...]], abilities: Iterable[str]
) -> dict[str, str]:
    """The first batch of each ability without filtered pairs; abilities whose batches are all done are left out."""
    done = set(published)
    keys = list(batches)
    upcoming = {ability: next((key for key in keys if (ability, key) not in done), None) for ability in abilities}
    return {ability: batch for ability, batch in upcoming.items() if batch is not None}
