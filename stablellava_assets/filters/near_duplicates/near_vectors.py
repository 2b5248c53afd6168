"""Finds embeddings with a high cosine similarity: all pairs within a group, as one matrix product."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]
"""An embedding of unit length, shape (width,)."""

_FIRST_ROOM = 16


class NearVectors:
    """Unit vectors by cosine similarity, compared only within their group.

    Args:
        threshold: cosine similarity from which two vectors are near.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._groups: dict[str, tuple[NDArray[np.float32], list[str]]] = {}

    def add(self, group: str, vector: Vector, owner: str) -> None:
        """Add a vector."""
        matrix, owners = self._groups.get(group) or (np.empty((_FIRST_ROOM, len(vector)), np.float32), [])
        if len(owners) == len(matrix):
            matrix = np.concatenate([matrix, np.empty_like(matrix)])
        matrix[len(owners)] = vector
        owners.append(owner)
        self._groups[group] = matrix, owners

    def near(self, group: str, vector: Vector) -> list[tuple[str, float]]:
        """Owners of the near vectors of ``group`` with their cosine similarity, nearest
        first, ties in the order added."""
        if group not in self._groups:
            return []
        matrix, owners = self._groups[group]
        cosines = matrix[: len(owners)] @ vector
        (found,) = np.nonzero(cosines >= self._threshold)
        return sorted(((owners[index], float(cosines[index])) for index in found), key=lambda item: -item[1])
