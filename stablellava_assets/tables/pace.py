"""Lines about work in progress, and rate limiting of such lines and of similar periodic actions."""

from __future__ import annotations

import time
from typing import Self


class Progress(str):
    """A line about work in progress, with its numbers for whoever draws a bar.

    Attributes:
        done: finished parts of the work.
        total: all parts.
    """

    done: int
    total: int

    def __new__(cls, line: str, done: int, total: int) -> Self:
        """The line ``line``."""
        made = super().__new__(cls, line)
        made.done, made.total = done, total
        return made


class Pace:
    """Timer for an action every ``seconds``; the first time is ``seconds`` after creation, or at once."""

    def __init__(self, seconds: float = 5.0, *, at_once: bool = False) -> None:
        self._seconds = seconds
        self._last = float("-inf") if at_once else time.monotonic()

    def is_due(self, *, last: bool = False) -> bool:
        """Whether the time is up, or this is the ``last`` chance; if so, the timer restarts."""
        if not last and time.monotonic() - self._last < self._seconds:
            return False
        self._last = time.monotonic()
        return True
