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


def wait_for_capacity(headers: Mapping[str, str]) -> float:
    """Seconds until the endpoint has room for another request, by ``x-ratelimit-remaining-*`` and ``-reset-*``; else 0."""
    return max(_wait(headers, "requests"), _wait(headers, "tokens"))


def _wait(headers: Mapping[str, str], what: str) -> float:
    remaining = _number(headers.get(f"x-ratelimit-remaining-{what}"))
    if remaining is None or remaining > 0:
        return 0.0
    return _duration(headers.get(f"x-ratelimit-reset-{what}")) or 0.0


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
