"""When the next request may be sent: what the endpoint takes, and the caps a profile sets."""

from __future__ import annotations

from stablellava_assets.endpoint.rate_limits.adaptive import AdaptiveLimit
from stablellava_assets.endpoint.rate_limits.pacing import Pace
from stablellava_assets.endpoint.settings import EndpointSettings


class Throttle:
    """What was learned of an endpoint's limits, and a profile's caps. It outlives a call.

    Times are seconds of a monotonic clock.
    """

    def __init__(self, settings: EndpointSettings) -> None:
        self.limit = AdaptiveLimit(settings.initial_in_flight, settings.max_in_flight)
        self._requests = Pace(settings.requests_per_minute)
        self._tokens = Pace(settings.tokens_per_minute)

    def delay(self, now: float) -> float:
        """Seconds until something may be sent."""
        return max(self.limit.pause(now), self._requests.delay(now), self._tokens.delay(now))

    def take(self, now: float, likely_tokens: int) -> None:
        """A request is sent that will probably take so many tokens."""
        self._requests.take(now, 1)
        self._tokens.take(now, likely_tokens)

    def correct(self, likely_tokens: int, tokens: int) -> None:
        """It took that many."""
        self._tokens.refund(likely_tokens - tokens)
