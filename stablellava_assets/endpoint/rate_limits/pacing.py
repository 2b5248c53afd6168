"""Caps on requests and tokens a minute that hold in every minute, not only on average."""

from __future__ import annotations

_MINUTE_S = 60.0
_CATCH_UP_S = 0.2


class Pace:
    """Spreads amounts evenly: in no minute more than ``per_minute``, give or take the one that crosses the line.

    Times are seconds of a monotonic clock.

    Args:
        per_minute: None for no cap.
    """

    def __init__(self, per_minute: int | None) -> None:
        # A sender that was late may catch up a little; the seconds for it are saved beforehand.
        self._seconds_each = (_MINUTE_S + _CATCH_UP_S) / per_minute if per_minute else 0.0
        self._next = 0.0

    def delay(self, now: float) -> float:
        """Seconds until something may be sent."""
        return max(0.0, self._next - now)

    def take(self, now: float, amount: float) -> None:
        """Something of this amount is sent."""
        self._next = max(self._next, now - _CATCH_UP_S) + amount * self._seconds_each

    def refund(self, amount: float) -> None:
        """It turned out to be less than was taken (or more, if negative)."""
        self._next -= amount * self._seconds_each
