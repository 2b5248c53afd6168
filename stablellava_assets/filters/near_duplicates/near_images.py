"""Finds images that look alike: their perceptual hashes differ in a few bits.

A perceptual hash ignores colour: red hair in a park looks like blue hair in a park. Images are therefore compared
only within a group, which is a subject. Several images are compared as a whole, in any order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise

_HASH_BITS = 64


class NearImages:
    """An exact index of 64-bit hashes by Hamming distance.

    Hashes that differ in at most ``bits`` bits agree in at least one of ``bits + 1`` slices (the pigeonhole principle,
    as in Manku, Jain and Das Sarma, 2007), so that only hashes that share a slice are compared.
    """

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._by_slice: defaultdict[tuple[str, int, int], dict[tuple[int, ...], str]] = defaultdict(dict)

    def add(self, group: str, perceptual_hashes: str, owner: str) -> None:
        """Add the hashes of an owner's images: 16 hex digits each, separated by spaces. The first owner of the same
        hashes is kept."""
        values = _values(perceptual_hashes)
        for value in values:
            for key in self._keys(group, value):
                self._by_slice[key].setdefault(values, owner)

    def nearest(self, group: str, perceptual_hashes: str) -> tuple[str, int] | None:
        """The nearest owner in ``group`` whose images are within ``bits`` of these, each of another one, and the
        largest of their distances. The first one added wins a tie."""
        return min(self.near(group, perceptual_hashes), key=lambda found: found[1], default=None)

    def near(self, group: str, perceptual_hashes: str) -> Iterator[tuple[str, int]]:
        """Every owner in ``group`` whose images are that near, with the distance; one that shares several slices comes
        several times."""
        values = _values(perceptual_hashes)
        # Whatever is near all of them is near the first.
        for key in self._keys(group, values[0]):
            for others, owner in self._by_slice.get(key, {}).items():
                if (distance := _distance(values, others, self._bits)) is not None:
                    yield owner, distance

    def _keys(self, group: str, value: int) -> list[tuple[str, int, int]]:
        return [(group, index, (value >> low) & mask) for index, (low, mask) in enumerate(_slices(self._bits))]


def _values(perceptual_hashes: str) -> tuple[int, ...]:
    return tuple(sorted(int(text, 16) for text in perceptual_hashes.split()))


def _distance(values: Sequence[int], others: Sequence[int], bits: int) -> int | None:
    """The largest distance if each of ``values`` is matched with another of ``others``; None if that exceeds ``bits``,
    or one is left over."""
    if len(values) != len(others):
        return None
    if len(values) == 1:
        distance = (values[0] ^ others[0]).bit_count()
        return distance if distance <= bits else None
    found = []
    for at, other in enumerate(others):
        distance = (values[0] ^ other).bit_count()
        rest = _distance(values[1:], [*others[:at], *others[at + 1 :]], bits) if distance <= bits else None
        if rest is not None:
            found.append(max(distance, rest))
    return min(found, default=None)


def slices_of(perceptual_hash: str, bits: int) -> list[int]:
    """The ``bits + 1`` slices of a hash; two hashes within ``bits`` bits of each other share at least one."""
    value = int(perceptual_hash, 16)
    return [(value >> low) & mask for low, mask in _slices(bits)]


@cache
def _slices(bits: int) -> list[tuple[int, int]]:
    """The first bit and the mask of each slice."""
    edges = [_HASH_BITS * index // (bits + 1) for index in range(bits + 2)]
    return [(low, (1 << (high - low)) - 1) for low, high in pairwise(edges)]
