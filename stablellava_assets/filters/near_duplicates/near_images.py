"""Finds images that look alike: their perceptual hashes differ in a few bits.

A perceptual hash ignores colour: red hair in a park looks like blue hair in a park. Images are therefore compared
only within a group, which is a subject.
"""

from __future__ import annotations

from collections import defaultdict
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
        self._by_slice: defaultdict[tuple[str, int, int], dict[int, str]] = defaultdict(dict)

    def add(self, group: str, perceptual_hash: str, owner: str) -> None:
        """Add a hash (16 hex digits). The first owner of a hash is kept."""
        value = int(perceptual_hash, 16)
        for key in self._keys(group, value):
            self._by_slice[key].setdefault(value, owner)

    def nearest(self, group: str, perceptual_hash: str) -> tuple[str, int] | None:
        """The owner of the nearest hash of ``group`` within ``bits``, and its distance.
        The first one added wins a tie."""
        value = int(perceptual_hash, 16)
        best: tuple[str, int] | None = None
        for key in self._keys(group, value):
            for other, owner in self._by_slice.get(key, {}).items():
                distance = (value ^ other).bit_count()
                if distance <= self._bits and (best is None or distance < best[1]):
                    best = owner, distance
        return best

    def _keys(self, group: str, value: int) -> list[tuple[str, int, int]]:
        return [(group, index, (value >> low) & mask) for index, (low, mask) in enumerate(_slices(self._bits))]


def slices_of(perceptual_hash: str, bits: int) -> list[int]:
    """The ``bits + 1`` slices of a hash; two hashes within ``bits`` bits of each other share at least one."""
    value = int(perceptual_hash, 16)
    return [(value >> low) & mask for low, mask in _slices(bits)]


@cache
def _slices(bits: int) -> list[tuple[int, int]]:
    """The first bit and the mask of each slice."""
    edges = [_HASH_BITS * index // (bits + 1) for index in range(bits + 2)]
    return [(low, (1 << (high - low)) - 1) for low, high in pairwise(edges)]
