"""How many requests may be under way: as many as the endpoint takes, which is found by trying."""

from __future__ import annotations

from dataclasses import dataclass

_CONGESTED_SHARE = 0.1
_FEWEST_RESULTS = 20
_KEPT = 0.5
_TRUSTED = 0.9
_WORTH_GROWING_FOR = 1.1
_GROWN = 1.5
_ROUNDS_HELD = 10


@dataclass(frozen=True)
class _Best:
    """The limit with the most answers a second so far; ``earned`` if a lower one was tried and had fewer."""

    limit: float
    answers_per_s: float
    earned: bool


class AdaptiveLimit:
    """Grows while the endpoint answers, halves when it is congested, pauses when it asks for a pause.

    A round is as many results as there may be requests under way. When the endpoint rejects a tenth of a round (two
    at least), that is a congestion: the limit halves, once, whatever else comes of requests sent before. Fewer are
    chance, and are only sent again. Growth is doubling a round at first. After a congestion at W it is fast up
    to 0.9 W, then slow, then ever faster. Growth by half that brings no more answers a second, as when a
    server merely queues, is taken back.

    Times are seconds of a monotonic clock.

    Args:
        initial: requests under way at first.
        most: requests under way at most.
    """

    def __init__(self, initial: int, most: int) -> None:
        self._most = float(most)
        self._limit = float(min(initial, most))
        self._ceiling: float | None = None
        self._epoch = 0
        self._paused_until = 0.0
        self._best: _Best | None = None
        self._rounds_to_hold = 0
        self._begin_round(None)

    @property
    def limit(self) -> int:
        """Requests that may be under way now, at least 1."""
        return int(self._limit)

    @property
    def epoch(self) -> int:
        """How many congestions there were when a request was sent; hand it back to :meth:`overloaded`."""
        return self._epoch

    def pause(self, now: float) -> float:
        """Seconds until anything may be sent."""
        return max(0.0, self._paused_until - now)

    def pause_for(self, now: float, seconds: float) -> None:
        """Send nothing for so long."""
        self._paused_until = max(self._paused_until, now + seconds)

    def answered(self, now: float, in_flight: int) -> None:
        """A request was answered while ``in_flight`` were under way, itself among them."""
        if not self.limit - 1 <= in_flight <= self.limit:
            return  # There is no demand for more, or what was under way before a congestion is still coming in.
        if not self._rounds_to_hold:
            self._limit = min(self._most, self._limit + self._growth() / self._limit)
        self._results += 1
        if self._since is None:
            self._begin_round(now)
        elif self._results >= self._size:
            self._judge_round(self._results / max(now - self._since, 1e-6))
            self._begin_round(now)

    def overloaded(self, epoch: int) -> None:
        """A request that was sent in ``epoch`` was not answered because the endpoint is overloaded."""
        if epoch != self._epoch:
            return
        self._results += 1
        self._rejected += 1
        if self._rejected < _CONGESTED_SHARE * max(self._size, _FEWEST_RESULTS):
            return
        self._epoch += 1
        self._ceiling = max(1.0, self._limit * _TRUSTED)
        self._limit = max(1.0, self._limit * _KEPT)
        self._best = None
        self._rounds_to_hold = 0
        self._begin_round(None)

    def _growth(self) -> float:
        """Requests by which the limit grows in a round."""
        if self._ceiling is None:
            return self._limit
        below = self._ceiling - self._limit
        return max(1.0, below if below > 0 else -below / 2)

    def _begin_round(self, now: float | None) -> None:
        self._since, self._size, self._results, self._rejected = now, self._limit, 0, 0

    def _judge_round(self, answers_per_s: float) -> None:
        if self._rounds_to_hold:
            self._rounds_to_hold -= 1
        elif self._best is None:
            self._best = _Best(self._size, answers_per_s, earned=False)
        elif answers_per_s > self._best.answers_per_s * _WORTH_GROWING_FOR:
            self._best = _Best(self._size, answers_per_s, earned=True)
        elif self._size >= _GROWN * self._best.limit:
            self._take_back(self._best)

    def _take_back(self, best: _Best) -> None:
        """Growth from ``best`` brought nothing. Unless growth to it did, even fewer may do."""
        if best.earned:
            self._limit, self._rounds_to_hold = best.limit, _ROUNDS_HELD
        else:
            self._limit, self._ceiling, self._best = max(1.0, best.limit * _KEPT), best.limit, None
