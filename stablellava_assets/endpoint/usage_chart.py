"""Spending over time, as a small picture for a web page's metadata."""

from __future__ import annotations

from itertools import accumulate

from stablellava_assets.endpoint.usage import Usage
from stablellava_assets.pictures.figures import png_of

_MOST_BARS = 60


def usage_chart(usage: Usage) -> bytes:
    """A PNG: requests per second, and above them the dollars (where a cost is unknown, the tokens) so far."""
    from matplotlib.figure import Figure

    first, last = min(usage.by_second), max(usage.by_second)
    width = max(1, -(-(last - first + 1) // _MOST_BARS))
    bars = range(0, last - first + 1, width)
    requests, amounts = [0] * len(bars), [0.0] * len(bars)
    priced = usage.total.cost_usd is not None
    for second, spent in usage.by_second.items():
        bar = (second - first) // width
        requests[bar] += spent.requests
        amounts[bar] += float(spent.known_usd) if priced else spent.prompt_tokens + spent.completion_tokens
    figure = Figure(figsize=(6.5, 2.4), layout="constrained")
    axes = figure.subplots()
    axes.bar(bars, [count / width for count in requests], width, align="edge", color="#9aa5b1")
    axes.set_xlabel("seconds")
    axes.set_ylabel("requests per second")
    above = axes.twinx()
    ends = [start + width for start in bars]
    above.plot([0, *ends], [0.0, *accumulate(amounts)], color="#2f6fde")
    above.set_ylabel("US dollars so far" if priced else "tokens so far", color="#2f6fde")
    above.set_ylim(bottom=0)
    return png_of(figure, dpi=80)
