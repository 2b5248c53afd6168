"""What decides whether a request can be answered at all, and shapes no answer: when it
changes, failed rows are tried again."""

from __future__ import annotations

from stablellava_assets.endpoint.replies.verdicts import reader_key
from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.tables.identity import content_key

_PACE_AND_MONEY = {
    *(
        "max_in_flight",
        "initial_in_flight",
        "requests_per_minute",
        "tokens_per_minute",
        "timeout_s",
        "attempts",
        "backoff_s",
    ),
    *("max_backoff_s", "batch_requests", "batch_bytes", "batch_poll_s", "budget_usd", "prices"),
}
"""Settings that make no answer possible or impossible."""


def failing_key(settings: EndpointSettings, *others: object) -> str:
    """A hash of an endpoint's settings, of ``others`` of the kind, and of how answers are read; for a planned row."""
    return content_key("failing", settings.model_dump(mode="json", exclude=_PACE_AND_MONEY), reader_key(), *others)
