"""Something that is done now and then, as a line about how far a stage is."""

from __future__ import annotations

import time


class Pace:
    """Says when it is time again; the first time is ``seconds`` after it was made, or at once."""

    def __init__(self, seconds: float = 5.0, *, at_once: bool = False) -> None:
        self._seconds = seconds
        self._last = float("-inf") if at_once else time.monotonic()

    def is_due(self, *, last: bool = False) -> bool:
        """Whether it is time, or the ``last`` chance; then the wait begins anew."""
        if not last and time.monotonic() - self._last < self._seconds:
            return False
        self._last = time.monotonic()
        return True
