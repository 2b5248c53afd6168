"""Rate limiting of progress lines and similar periodic actions."""

from __future__ import annotations

import time


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
