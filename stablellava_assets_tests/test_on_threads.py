"""Images that threads work on: in order, a few at a time, and whatever goes wrong is raised."""

from __future__ import annotations

from collections.abc import Iterator
from threading import current_thread, main_thread

import pytest

from stablellava_assets.pictures.on_threads import on_threads


def test_results_come_in_order_and_few_images_are_taken_ahead() -> None:
    taken = 0

    def images() -> Iterator[tuple[str, bytes]]:
        nonlocal taken
        for number in range(100):
            taken += 1
            yield str(number), bytes(number)

    for done, found in enumerate(on_threads(images(), lambda name, encoded: len(encoded), 2)):
        assert found == (str(done), done)
        assert taken - done <= 6


def test_small_images_start_no_thread() -> None:
    images = [("small", b"1"), ("large", b"123")]
    seen = dict(on_threads(images, lambda name, encoded: current_thread() is main_thread(), 2, 2))
    assert seen == {"small": True, "large": False}


def test_a_fault_is_raised() -> None:
    def fail(name: str, encoded: bytes) -> None:
        raise ValueError(name)

    with pytest.raises(ValueError, match="first"):
        list(on_threads([("first", b""), ("second", b"")], fail, 2))
