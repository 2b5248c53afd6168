"""The findings of a verdict row as tests compare them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stablellava_assets.tables.findings import NOTES, REJECTS, StoredFinding, finding, label_of, rules_with


def reasons(row: Mapping[str, Any]) -> list[str]:
    """The rules that reject the pair."""
    return rules_with(REJECTS, row["findings"])


def explanations(row: Mapping[str, Any]) -> list[str]:
    """What they say, one sentence each."""
    return [found["explanation"] for found in row["findings"] if found["outcome"] == REJECTS]


def notes(row: Mapping[str, Any]) -> list[str]:
    """What was found and rejects nothing: ``rule: explanation``, or ``overruled rule: explanation``."""
    return [f"{label_of(found)}: {found['explanation']}" for found in row["findings"] if found["outcome"] != REJECTS]


def nearest(row: Mapping[str, Any]) -> str | None:
    """The first pair that this one is said to repeat."""
    return next((found["pair_id"] for found in row["findings"] if found["pair_id"]), None)


def found(rejecting: str = "", noting: str = "") -> list[StoredFinding]:
    """Findings of rules given by their names, separated by blanks."""
    return [
        *(finding(rule, REJECTS, "It is.") for rule in rejecting.split()),
        *(finding(rule, NOTES, "It is.") for rule in noting.split()),
    ]
