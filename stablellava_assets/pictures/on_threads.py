"""Work on a stream of images by threads, of which only a few are in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def on_threads(
    images: Iterable[tuple[str, bytes]], work: Callable[[str, bytes], T], threads: int, least_bytes: int = 0
) -> Iterator[tuple[str, T]]:
    """Each image's id and the result of ``work`` on id and bytes; smaller ones than ``least_bytes`` start no thread.

    Decoding releases the GIL, so threads use every core and no image is copied to another process.
    """
    waiting: deque[tuple[str, Future[T]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for image_id, encoded in images:
            if len(encoded) < least_bytes:
                yield image_id, work(image_id, encoded)
                continue
            waiting.append((image_id, pool.submit(work, image_id, encoded)))
            if len(waiting) > 2 * threads:
                done, result = waiting.popleft()
                yield done, result.result()
        for done, result in waiting:
            yield done, result.result()
