"""Finds texts that are nearly the same, among as many as there are, without comparing each with each.

Texts that share a MinHash band are proposed; the Jaccard index of their 5-byte shingles, computed exactly, decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache

from stablellava_assets.filters.near_duplicates.minhash import SHINGLE, MinHashBands


class NearTexts:
    """Texts by similarity; texts are only compared within their group.

    Args:
        threshold: Jaccard index, above 0.5 to 1, from which two texts are near. At 1 nothing but a text itself is.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._bands = MinHashBands(threshold)
        self._expected: dict[tuple[str, str], list[int]] = {}
        self._neighbours: dict[tuple[str, str], list[tuple[str, float]]] = {}
        # Most bands hold one text, and a million lists of one would cost more than all that is done with them.
        self._first_of_band: dict[int, str] = {}
        self._later_of_band: defaultdict[int, list[str]] = defaultdict(list)

    def expect(self, texts: Iterable[tuple[str, str]]) -> None:
        """Hash (group, text) pairs that will be asked about; together this takes a tenth of the time it takes one by one."""
        if self._threshold >= 1:
            return
        new = [item for item in dict.fromkeys(texts) if item not in self._neighbours and item not in self._expected]
        keys = self._bands.keys([group for group, _ in new], [text for _, text in new])
        self._expected.update(zip(new, keys.tolist(), strict=True))

    def near(self, group: str, text: str) -> list[tuple[str, float]]:
        """The other texts of ``group`` asked about so far that are near ``text``, with their similarity."""
        if self._threshold >= 1:
            return []
        known = self._neighbours.get((group, text))
        return self._meet(group, text) if known is None else known

    def _meet(self, group: str, text: str) -> list[tuple[str, float]]:
        """Look for the neighbours of a new text. Neighbours are noted on both sides, so no text is looked up twice."""
        if (group, text) not in self._expected:
            self.expect([(group, text)])
        bands = self._expected.pop((group, text))
        found = []
        # Few texts meet another; only those are cut into shingles.
        for other in sorted(self._join(bands, text)):
            similarity = _jaccard(text, other)
            if similarity >= self._threshold:
                found.append((other, similarity))
                self._neighbours[group, other].append((text, similarity))
        self._neighbours[group, text] = found
        return found

    def _join(self, bands: Iterable[int], text: str) -> set[str]:
        """Enter a text into its bands; returns the texts that are there already."""
        met: set[str] = set()
        for band in bands:
            first = self._first_of_band.setdefault(band, text)
            if first != text:
                later = self._later_of_band[band]
                met.update((first, *later))
                later.append(text)
        return met


def _jaccard(one: str, other: str) -> float:
    own, theirs = _shingles(one), _shingles(other)
    shared = len(own & theirs)
    return shared / (len(own) + len(theirs) - shared)


@lru_cache(maxsize=4096)
def _shingles(text: str) -> frozenset[bytes]:
    encoded = text.encode()
    return frozenset(encoded[start : start + SHINGLE] for start in range(max(1, len(encoded) - SHINGLE + 1)))
