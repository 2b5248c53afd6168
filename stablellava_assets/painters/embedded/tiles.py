"""Divides an image into cells, for styles that paint it piece by piece. Results are cached per size."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

Pixels = np.ndarray[Any, np.dtype[Any]]


def cell_means(pixels: Pixels, cells: Pixels) -> Pixels:
    """Mean colour of every cell, shape (cells, 3); ``cells`` has each pixel's cell number."""
    flat = cells.ravel()
    count = int(flat.max()) + 1
    sums = [np.bincount(flat, weights=pixels[..., channel].ravel(), minlength=count) for channel in range(3)]
    means: Pixels = np.stack(sums, axis=-1) / np.maximum(np.bincount(flat, minlength=count), 1)[:, None]
    return means


@lru_cache(maxsize=8)
def tile_grid(size: int, step: int) -> tuple[Pixels, Pixels]:
    """Square cells of ``step`` pixels: each pixel's cell, and whether it lies in the gap between cells."""
    axis = np.arange(size)
    along = axis // step
    cells = along[:, None] * (along[-1] + 1) + along[None, :]
    gap = axis % step < max(1, step // 5)
    return cells, gap[:, None] | gap[None, :]


@lru_cache(maxsize=32)
def jittered_cells(size: int, across: int, variant: int) -> tuple[Pixels, Pixels]:
    """Voronoi cells of a jittered grid of points: each pixel's cell, and whether it lies on a border."""
    _, nearest = _nearest(size, across, variant)
    border = np.zeros((size, size), dtype=bool)
    for shift in range(1, max(1, size // 72) + 1):
        border[:, shift:] |= nearest[:, shift:] != nearest[:, :-shift]
        border[shift:] |= nearest[shift:] != nearest[:-shift]
    return nearest, border


@lru_cache(maxsize=32)
def dots(size: int, across: int, variant: int) -> tuple[Pixels, Pixels]:
    """Round cells about a jittered grid of points: each pixel's cell, and whether it lies within the dot."""
    distance, nearest = _nearest(size, across, variant)
    return nearest, distance < (0.5 * size / across) ** 2


@lru_cache(maxsize=8)
def stitches(size: int, step: int) -> Pixels:
    """Thread coverage of each pixel, 0 to 1: a diagonal cross in every square of ``step`` pixels."""
    axis = (np.arange(size) % step + 0.5) / step
    falling = np.abs(axis[:, None] - axis[None, :])
    rising = np.abs(axis[:, None] + axis[None, :] - 1)
    cover: Pixels = np.clip(1.5 - np.minimum(falling, rising) / 0.17, 0, 1).astype(np.float32)
    return cover


def _nearest(size: int, across: int, variant: int) -> tuple[Pixels, Pixels]:
    """Squared distance to the nearest point, and its index, for every pixel."""
    rng = np.random.default_rng((size, across, variant))
    step = size / across
    grid = np.stack(np.meshgrid(np.arange(across), np.arange(across), indexing="ij"), axis=-1).reshape(-1, 2)
    points = ((grid + 0.5 + rng.uniform(-0.36, 0.36, grid.shape)) * step).astype(np.float32)
    axis = np.arange(size, dtype=np.float32) + np.float32(0.5)
    best = np.full((size, size), np.inf, dtype=np.float32)
    nearest = np.zeros((size, size), dtype=np.int64)
    for number, (row, column) in enumerate(points):
        distance = (axis - row)[:, None] ** 2 + (axis - column)[None, :] ** 2
        closer = distance < best
        best[closer] = distance[closer]
        nearest[closer] = number
    return best, nearest
