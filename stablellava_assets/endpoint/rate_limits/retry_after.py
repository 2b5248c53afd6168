"""How long an endpoint asks to wait: Retry-After and the rate-limit headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_EPOCH_FROM = 1e9
"""Seconds that are a moment and no duration: thirty years."""
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from ``retry-after-ms`` or ``retry-after`` (seconds, a duration or a
    date); None if neither makes sense."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    given = headers.get("retry-after")
    seconds = _duration(given)
    if seconds is not None or given is None:
        return seconds
    try:
        return _until(parsedate_to_datetime(given))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def wait_for_capacity(headers: Mapping[str, str], tokens: int) -> float:
    """Seconds until the endpoint has room for another request of so many tokens; 0 if it does not say.

    Read from ``x-ratelimit-remaining-*`` and ``x-ratelimit-reset-*``, the latter being when everything is free again;
    where ``x-ratelimit-limit-*`` is given too, so much is not waited for.
    """
    return max(_wait(headers, "requests", 1), _wait(headers, "tokens", tokens))


def _wait(headers: Mapping[str, str], what: str, needed: int) -> float:
    remaining = _number(headers.get(f"x-ratelimit-remaining-{what}"))
    reset = _duration(headers.get(f"x-ratelimit-reset-{what}"))
    if remaining is None or reset is None or remaining >= needed:
        return 0.0
    most = _number(headers.get(f"x-ratelimit-limit-{what}"))
    if most is None or most <= needed:
        return reset
    return reset * (needed - remaining) / (most - remaining)


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else -1.0
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def _duration(text: str | None) -> float | None:
    """Seconds of ``6m0s``, ``20ms`` or a bare number; until a moment that is given in seconds
    since the epoch or as ISO 8601."""
    if text is None:
        return None
    parts = _PART.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text.strip():
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    number = _number(text)
    if number is not None:
        return number if number < _EPOCH_FROM else max(0.0, number - datetime.now(UTC).timestamp())
    try:
        return _until(datetime.fromisoformat(text.strip()))
    except ValueError:
        return None


def _until(moment: datetime) -> float:
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
