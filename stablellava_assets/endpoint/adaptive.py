"""How many requests may be under way: as many as the endpoint takes, which is found by trying."""

from __future__ import annotations

from collections.abc import Mapping

from stablellava_assets.endpoint.waits import wait_for_capacity

_KEPT_AFTER_CONGESTION = 0.5
_WORTH_GROWING_FOR = 1.1
_ROUNDS_HELD = 10


class AdaptiveLimit:
    """Grows while the endpoint answers, halves when it is congested, pauses when it asks for a pause.

    Growth is doubling a round of answers at first. After a congestion at W requests it approaches W in ever smaller
    steps, then leaves it in ever larger ones. Growth that brings no throughput, as when a server merely queues, is taken
    back.

    Times are seconds of a monotonic clock.

    Args:
        initial: requests under way at first.
        most: requests under way at most.
    """

    def __init__(self, initial: int, most: int) -> None:
        self._most = float(most)
        self._limit = float(min(initial, most))
        self._congested_at: float | None = None
        self._epoch = 0
        self._paused_until = 0.0
        self._round = _Round(0.0, self._limit)
        self._best: tuple[float, float] | None = None
        self._held_rounds = 0

    @property
    def limit(self) -> int:
        """Requests that may be under way now, at least 1."""
        return max(1, int(self._limit))

    @property
    def epoch(self) -> int:
        """Which congestion event a request was sent after; hand it back to :meth:`congested`."""
        return self._epoch

    def pause(self, now: float) -> float:
        """Seconds until anything may be sent."""
        return max(0.0, self._paused_until - now)

    def pause_for(self, now: float, seconds: float) -> None:
        """Send nothing for so long."""
        self._paused_until = max(self._paused_until, now + seconds)

    def congested(self, epoch: int) -> None:
        """The endpoint is overloaded. Requests sent before the last such event say nothing new."""
        if epoch != self._epoch:
            return
        self._epoch += 1
        self._congested_at = self._limit
        self._limit = max(1.0, self._limit * _KEPT_AFTER_CONGESTION)
        self._best = None
        self._round = _Round(0.0, self._limit)

    def answered(self, now: float, in_flight: int, headers: Mapping[str, str]) -> None:
        """A request was answered while ``in_flight`` were under way; its rate-limit headers are heeded."""
        self.pause_for(now, wait_for_capacity(headers))
        if in_flight >= self.limit:
            self._grow(now)

    def _grow(self, now: float) -> None:
        if self._held_rounds == 0:
            self._limit = min(self._most, self._limit + self._step() / self._limit)
        self._round.answers += 1
        if self._round.started == 0.0:
            self._round = _Round(now, self._limit)
        elif self._round.answers >= self._round.limit:
            self._judge_round(self._round.answers / max(now - self._round.started, 1e-6))
            self._round = _Round(now, self._limit)

    def _step(self) -> float:
        """Requests by which the limit grows in a round of answers."""
        if self._congested_at is None:
            return self._limit
        return max(1.0, abs(self._limit - self._congested_at) / 4)

    def _judge_round(self, throughput: float) -> None:
        if self._held_rounds:
            self._held_rounds -= 1
            return
        if self._best is None or throughput > self._best[1] * _WORTH_GROWING_FOR:
            self._best = (self._round.limit, throughput)
        elif self._round.limit >= 1.5 * self._best[0]:
            self._limit = self._best[0]
            self._held_rounds = _ROUNDS_HELD


class _Round:
    """As many answers as there were requests under way when it began."""

    def __init__(self, started: float, limit: float) -> None:
        self.started = started
        self.limit = limit
        self.answers = 0
