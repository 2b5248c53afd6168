"""MinHash (Broder, 1997) band keys of many short texts: only texts that share a key need to be compared.

A text is the set of its 5-byte shingles. rensa computes the signatures; shingling and folding bands into numbers
are array operations.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHINGLE = 5
"""Bytes per shingle; a shorter text is a single shingle."""

PERMUTATIONS = 128
_SEED = 42
_RECALL = 0.999
_CHUNK = 10_000
_CACHED = 2 * _CHUNK
_signature_cache: dict[str, NDArray[np.uint64]] = {}
"""Signatures of the most recent texts, because a batch needs its own three times: to look up, to compare and to
store."""

_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


class MinHashBands:
    """Locality-sensitive hashing (Indyk and Motwani, 1998) of texts by the Jaccard index of their shingles.

    Args:
        threshold: Jaccard index at which two texts share at least one key with a probability of 0.999.
    """

    def __init__(self, threshold: float) -> None:
        self._rows = _rows_per_band(threshold)
        self.count = _bands(self._rows)
        """Keys per text."""

    def keys(self, groups: Sequence[str], texts: Sequence[str]) -> NDArray[np.uint64]:
        """The keys, shape (texts, :attr:`count`). Texts of different groups share no keys."""
        if not texts:
            return np.empty((0, self.count), np.uint64)
        chunks = [self._keys(texts[start : start + _CHUNK]) for start in range(0, len(texts), _CHUNK)]
        salts = np.array([salt_of(group) for group in groups], np.uint64)
        keys: NDArray[np.uint64] = mixed(np.concatenate(chunks) ^ salts[:, None])
        return keys

    def _keys(self, texts: Sequence[str]) -> NDArray[np.uint64]:
        bands = _signatures(texts)[:, : self.count * self._rows].reshape(len(texts), self.count, self._rows)
        keys = np.broadcast_to(np.arange(self.count, dtype=np.uint64), (len(texts), self.count))
        for row in range(self._rows):
            keys = mixed(keys ^ bands[:, :, row])
        return keys


def _signatures(texts: Sequence[str]) -> NDArray[np.uint64]:
    new = [text for text in dict.fromkeys(texts) if text not in _signature_cache]
    if new:
        _signature_cache.update(zip(new, _computed(new), strict=True))
    signatures = np.stack([_signature_cache[text] for text in texts])
    for text in list(islice(_signature_cache, max(0, len(_signature_cache) - _CACHED))):
        del _signature_cache[text]
    return signatures


def _computed(texts: Sequence[str]) -> NDArray[np.uint64]:
    from rensa import RMinHash

    tokens, starts = _shingles(texts)
    matrix: Any = RMinHash.digest_matrix_from_flat_token_hashes(tokens, starts, PERMUTATIONS, _SEED)
    return np.array(matrix.to_rows(), np.uint64)


def _shingles(texts: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The shingles of all texts, concatenated, as mixed 64-bit numbers, and the start of each text."""
    # Texts shorter than 5 bytes are padded, so that every text has a shingle.
    encoded = [text.encode().ljust(SHINGLE, b"\0") for text in texts]
    lengths = np.array([len(text) for text in encoded])
    flat = b"".join([*encoded, bytes(8 - SHINGLE)])
    # The eight bytes from every position as one number, of which the first five are used.
    windows: NDArray[np.uint64] = np.ndarray(len(flat) - 7, ">u8", flat, strides=(1,))
    values = windows >> np.uint64(8 * (8 - SHINGLE))
    ends = np.cumsum(lengths)
    # Shingles that reach into the next text are dropped.
    inside = np.ones(len(values), bool)
    for back in range(1, SHINGLE):
        inside[ends[:-1] - back] = False
    starts = np.concatenate([[0], np.cumsum(lengths - SHINGLE + 1)]).astype(np.uint64)
    return mixed(values[inside]), starts


def mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread numbers over 64 bits with the finalizer of SplitMix64 (Steele, Lea and Flood, 2014)."""
    for shift, factor in zip((30, 27), _MIX, strict=True):
        values = (values ^ (values >> np.uint64(shift))) * factor
    return values ^ (values >> np.uint64(31))


@lru_cache(maxsize=100_000)
def salt_of(group: str) -> int:
    """A 64-bit hash of a group's name."""
    return int.from_bytes(hashlib.blake2b(group.encode(), digest_size=8).digest(), "little")


def _rows_per_band(threshold: float) -> int:
    """Signature rows per band: the most with which a pair at the threshold still shares a
    key with probability ``_RECALL``."""
    candidates = (rows for rows in range(1, PERMUTATIONS + 1) if 1 - (1 - threshold**rows) ** _bands(rows) >= _RECALL)
    return max(candidates, default=1)


def _bands(rows: int) -> int:
    return PERMUTATIONS // rows
