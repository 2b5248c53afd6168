"""How many tokens an answer took, by whatever name and as whatever kind of number servers tell it."""

from __future__ import annotations

from collections.abc import Mapping


class TokenCounts:
    """Token counts from the ``usage`` of a response; None where it does not say."""

    def __init__(self, sent: object) -> None:
        usage = sent if isinstance(sent, Mapping) else {}
        self.prompt_tokens = _first_count(usage, "prompt_tokens", "input_tokens", "promptTokens")
        self.completion_tokens = _first_count(usage, "completion_tokens", "output_tokens", "completionTokens")
        total = _first_count(usage, "total_tokens", "totalTokens")
        if self.prompt_tokens is not None and total is not None:
            # Some count what was thought in the total alone; it is paid.
            self.completion_tokens = max(self.completion_tokens or 0, total - self.prompt_tokens)
        details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
        details = details if isinstance(details, Mapping) else {}
        cached = _first_count(details, "cached_tokens") or _first_count(usage, "prompt_cache_hit_tokens") or 0
        self.cached_tokens = min(cached, self.prompt_tokens or 0)


def _first_count(usage: Mapping[str, object], *names: str) -> int | None:
    return next((count for name in names if (count := _count(usage.get(name))) is not None), None)


def _count(value: object) -> int | None:
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
    except (ValueError, OverflowError):
        return None
    return int(number) if 0 <= number < 1e15 else None
