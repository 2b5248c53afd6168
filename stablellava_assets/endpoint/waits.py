"""How long an endpoint asks to wait: Retry-After and the rate-limit headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from ``retry-after-ms`` or ``retry-after`` (seconds or an HTTP date); None if neither makes sense."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    given = headers.get("retry-after")
    seconds = _number(given)
    if seconds is not None or given is None:
        return seconds
    try:
        at = parsedate_to_datetime(given)
    except ValueError:
        return None
    return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds())


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
    """Seconds of ``6m0s``, ``20ms`` or a bare number."""
    if text is None:
        return None
    parts = _PART.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text.strip():
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    return _number(text)
