"""Finds near-duplicate texts without comparing every text with every other one.

Candidates share a MinHash band. The exact Jaccard index of their 5-byte shingles decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache

from stablellava_assets.filters.near_duplicates.minhash import SHINGLE, MinHashBands


class NearTexts:
    """Texts by similarity, compared only within their group.

    Args:
        threshold: Jaccard index, above 0.5 and up to 1, from which two texts are near. At 1 only equal texts are.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._bands = MinHashBands(threshold)
        self._expected: dict[tuple[str, str], list[int]] = {}
        self._neighbours: dict[tuple[str, str], list[tuple[str, float]]] = {}
        # Most bands hold one text, and a million single-element lists would dominate the cost.
        self._first_of_band: dict[int, str] = {}
        self._later_of_band: defaultdict[int, list[str]] = defaultdict(list)

    def expect(self, texts: Iterable[tuple[str, str]]) -> None:
        """Hash (group, text) pairs that will be queried. Hashing them together takes a tenth of the time."""
        if self._threshold >= 1:
            return
        new = [item for item in dict.fromkeys(texts) if item not in self._neighbours and item not in self._expected]
        keys = self._bands.keys([group for group, _ in new], [text for _, text in new])
        self._expected.update(zip(new, keys.tolist(), strict=True))

    def near(self, group: str, text: str) -> list[tuple[str, float]]:
        """The texts of ``group`` queried so far that are near ``text``, with their similarity; not ``text`` itself."""
        if self._threshold >= 1:
            return []
        known = self._neighbours.get((group, text))
        return self._find_neighbours(group, text) if known is None else known

    def _find_neighbours(self, group: str, text: str) -> list[tuple[str, float]]:
        """Find the neighbours of a new text. They are recorded on both sides, so no text is looked up twice."""
        if (group, text) not in self._expected:
            self.expect([(group, text)])
        bands = self._expected.pop((group, text))
        found = []
        # Few texts share a band; only those are cut into shingles.
        for other in sorted(self._join(bands, text)):
            similarity = _jaccard(text, other)
            if similarity >= self._threshold:
                found.append((other, similarity))
                self._neighbours[group, other].append((text, similarity))
        self._neighbours[group, text] = found
        return found

    def _join(self, bands: Iterable[int], text: str) -> set[str]:
        """Add a text to its bands; returns the texts that are there already."""
        compared: set[str] = set()
        for band in bands:
            first = self._first_of_band.setdefault(band, text)
            if first != text:
                later = self._later_of_band[band]
                compared.update((first, *later))
                later.append(text)
        return compared


def _jaccard(one: str, other: str) -> float:
    own, theirs = _shingles(one), _shingles(other)
    shared = len(own & theirs)
    return shared / (len(own) + len(theirs) - shared)


@lru_cache(maxsize=4096)
def _shingles(text: str) -> frozenset[bytes]:
    encoded = text.encode()
    return frozenset(encoded[start : start + SHINGLE] for start in range(max(1, len(encoded) - SHINGLE + 1)))
