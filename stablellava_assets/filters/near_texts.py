"""Finds texts that are nearly the same, among as many as there are, without comparing each with each.

Texts whose MinHash signatures (Broder, 1997; by datasketch) agree in one of several bands are proposed, as in locality-sensitive hashing
(Indyk and Motwani, 1998); the Jaccard index of their 5-character shingles, computed exactly, decides.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from functools import cached_property
from typing import Any

_PERMUTATIONS = 128
_SHINGLE = 5
_RECALL = 0.999


class NearTexts:
    """Texts by similarity; texts are only compared within their group.

    Args:
        threshold: Jaccard index, above 0.5 to 1, from which two texts are near. At 1 nothing but a text itself is.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._rows = _rows_a_band(threshold)
        self._neighbours: dict[tuple[str, str], list[tuple[str, float]]] = {}
        # datasketch's own index spends four times as long on byte order and storage back ends.
        self._by_band: defaultdict[tuple[str, int, bytes], list[str]] = defaultdict(list)

    def near(self, group: str, text: str) -> list[tuple[str, float]]:
        """The other texts of ``group`` asked about so far that are near ``text``, with their similarity."""
        if self._threshold >= 1:
            return []
        known = self._neighbours.get((group, text))
        return self._meet(group, text) if known is None else known

    def _meet(self, group: str, text: str) -> list[tuple[str, float]]:
        """Look for the neighbours of a new text. Neighbours are noted on both sides, so no text is looked up twice."""
        own = _shingles(text)
        bands = [(group, number, band) for number, band in enumerate(self._bands(own))]
        found = []
        for other in sorted({other for band in bands for other in self._by_band.get(band, ())}):
            theirs = _shingles(other)
            similarity = len(own & theirs) / len(own | theirs)
            if similarity >= self._threshold:
                found.append((other, similarity))
                self._neighbours[group, other].append((text, similarity))
        for band in bands:
            self._by_band[band].append(text)
        self._neighbours[group, text] = found
        return found

    def _bands(self, shingles: set[bytes]) -> list[bytes]:
        signature = self._empty_signature.copy()
        signature.update_batch(shingles)
        values = signature.hashvalues
        return [
            values[start : start + self._rows].tobytes()
            for start in range(0, _bands(self._rows) * self._rows, self._rows)
        ]

    @cached_property
    def _empty_signature(self) -> Any:
        from datasketch import MinHash

        return MinHash(num_perm=_PERMUTATIONS, hashfunc=zlib.crc32)


def _rows_a_band(threshold: float) -> int:
    """Signature rows a band: the most that still bring a pair at the threshold together with probability ``_RECALL``."""
    sharp = (rows for rows in range(1, _PERMUTATIONS + 1) if 1 - (1 - threshold**rows) ** _bands(rows) >= _RECALL)
    return max(sharp, default=1)


def _bands(rows: int) -> int:
    return _PERMUTATIONS // rows


def _shingles(text: str) -> set[bytes]:
    encoded = text.encode()
    return {encoded[start : start + _SHINGLE] for start in range(max(1, len(encoded) - _SHINGLE + 1))}
