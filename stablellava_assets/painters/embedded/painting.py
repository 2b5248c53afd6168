"""Paints images sequentially or, if there are many, in worker processes."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice

from stablellava_assets.painters.embedded.scene_plan import ScenePlan
from stablellava_assets.painters.processes import end_with_parent, without_main_module

_CHUNK = (8, 64)
"""Minimum and maximum number of orders sent to a worker at once."""
_WORTH_A_POOL = 512
"""Number of orders, over the life of a pool, from which starting workers (about half a second) pays off."""


@dataclass(frozen=True)
class Order:
    """An image to paint; ``prompt`` is used only in error messages."""

    order_id: str
    scene: ScenePlan
    seed: int
    size: int
    prompt: str


@dataclass(frozen=True)
class PaintedOrder:
    """A finished image."""

    order_id: str
    png: bytes
    perceptual_hash: str


def paint_order(order: Order) -> PaintedOrder:
    """Compose and encode one image.

    Raises:
        RuntimeError: composing failed. The message names the order and its prompt.
    """
    from stablellava_assets.painters.embedded.composition import paint_scene
    from stablellava_assets.pictures.encoding import encode_png, perceptual_hash

    try:
        picture = paint_scene(order.scene, order.seed, order.size)
    except Exception as error:
        raise RuntimeError(
            f"image {order.order_id}: composing {order.prompt!r} with seed {order.seed} failed: {error!r}"
        ) from error
    return PaintedOrder(order.order_id, encode_png(picture), perceptual_hash(picture))


class PaintingPool:
    """Worker processes that start once there is enough to paint, and are then kept."""

    def __init__(self, workers: int | None) -> None:
        self._workers = workers or os.cpu_count() or 1
        self._executor: ProcessPoolExecutor | None = None
        self._ordered = 0

    def paint(self, orders: Sequence[Order]) -> Iterator[PaintedOrder]:
        """Paint ``orders``, in any order.

        Raises:
            RuntimeError: an image could not be composed, or a worker process died.
        """
        self._ordered += len(orders)
        if self._workers == 1 or self._ordered < _WORTH_A_POOL:
            yield from map(paint_order, orders)
            return
        try:
            yield from self._paint_in_workers(orders)
        except BrokenProcessPool as error:
            self._executor = None
            raise RuntimeError(
                "a painting worker process died (out of memory, or killed); finished pictures are kept: "
                "run again, or set painter.workers to 1"
            ) from error

    def _paint_in_workers(self, orders: Sequence[Order]) -> Iterator[PaintedOrder]:
        fewest, most = _CHUNK
        size = min(max(math.ceil(len(orders) / (2 * self._workers)), fewest), most)
        chunks = (orders[start : start + size] for start in range(0, len(orders), size))
        # Two chunks per worker keep all of them busy, with few finished images in memory.
        waiting = {self._submit(chunk) for chunk in islice(chunks, 2 * self._workers)}
        try:
            while waiting:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                waiting |= {self._submit(chunk) for chunk in islice(chunks, len(finished))}
                for chunk in finished:
                    yield from chunk.result()
        finally:
            for chunk in waiting:
                chunk.cancel()

    def _submit(self, orders: Sequence[Order]) -> Future[list[PaintedOrder]]:
        if self._executor is None:
            import multiprocessing

            spawn = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(self._workers, spawn, initializer=end_with_parent)
        with without_main_module():
            return self._executor.submit(_paint_chunk, orders)


def _paint_chunk(orders: Sequence[Order]) -> list[PaintedOrder]:
    return [paint_order(order) for order in orders]
