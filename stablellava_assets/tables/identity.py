"""Content hashes: row ids, row keys, seeds, and choices that are stable when options are added or removed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from math import log
from typing import Any, TypeVar

OptionT = TypeVar("OptionT")
NameT = TypeVar("NameT", bound=str)


def content_key(*parts: object) -> str:
    """A 128-bit hex digest of JSON-serializable ``parts``, equal on every machine and Python version."""
    return hashlib.blake2b(_CANONICAL.encode(parts).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def pairs_key(row_keys: Iterable[str]) -> str:
    """Id of a set of pairs, independent of the order of their ``row_key``."""
    return content_key("pairs", sorted(row_keys))


def derive_seed(*parts: object) -> int:
    """A seed in [0, 2**63) derived from ``parts``, which therefore does not depend on the other rows of a batch."""
    return int(content_key("seed", *parts)[:16], 16) >> 1


def choose(options: Sequence[OptionT], *parts: object) -> OptionT:
    """Choose one of ``options`` by rendezvous hashing (Thaler and Ravishankar, 1996) of ``parts`` with each option.

    Editing one option changes only the choices of the old or the new one: the other rows of a batch stay the same.
    """
    if not options:
        raise ValueError(f"nothing to choose from for {parts!r}")
    salt = content_key(*parts)
    return max(options, key=lambda option: _weight(salt, option))


def choose_weighted(options: Sequence[NameT], weights: Mapping[str, float], *parts: object) -> NameT:
    """Like :func:`choose`, with options in proportion to their ``weights``, which are above zero; unnamed ones have 1.

    A changed weight changes only choices of that option (weighted rendezvous hashing, Schindelhauer and Schomaker,
    2005). Equal weights give the choice without weights.
    """
    if not weights or not options:
        return choose(options, *parts)
    salt = content_key(*parts)

    def score(option: NameT) -> tuple[float, bytes]:
        digest = _weight(salt, option)
        share = (int.from_bytes(digest[:8]) + 1) / 2**64
        return log(share) / weights.get(option, 1.0), digest

    return max(options, key=score)


def ranked(options: Sequence[OptionT], *parts: object) -> list[OptionT]:
    """``options`` in the order in which :func:`choose` would prefer them: a stable shuffle."""
    if not options:
        raise ValueError(f"nothing to choose from for {parts!r}")
    salt = content_key(*parts)
    return sorted(options, key=lambda option: _weight(salt, option), reverse=True)


def _weight(salt: str, option: object) -> bytes:
    text = option if isinstance(option, str) else content_key(option)
    return hashlib.blake2b(f"{salt}{text}".encode(), digest_size=16).digest()


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} cannot be part of a content key")


_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_plain)
