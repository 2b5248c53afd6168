"""Renders content as one self-contained HTML file without scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from stablellava_assets.evaluation.rounds import ROUND_HEADER, round_line
from stablellava_assets.evaluation.scoreboard import gain_text, p_value_text
from stablellava_assets.evaluation.scores.verdicts import ALL, could_not_show
from stablellava_assets.report import radar
from stablellava_assets.report.content import BenchmarkResults, Content
from stablellava_assets.report.outcomes import BROKEN, FIXED, shortened
from stablellava_assets.report.paper import SOURCE
from stablellava_assets.tables.score_rows import Checkpoint

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).parent / "page"
_BENCHMARKS = {"ai": "synthesized images", "photos": "real photographs"}


def report_html(content: Content) -> bytes:
    """The page of one checkpoint. Text by models, people or files is escaped, never interpreted as markup."""
    names = {"content": content, "fixed": FIXED, "broken": BROKEN, "paper_source": SOURCE, "radar": radar}
    names |= {"round_header": ROUND_HEADER, "round_lines": [round_line(one) for one in content.rounds]}
    return _rendered("report.html", names)


def index_html(listed: Sequence[tuple[Checkpoint, str, Sequence[BenchmarkResults]]]) -> bytes:
    """The list of pages: the row of each checkpoint, its page's name and its scores."""
    return _rendered("index.html", {"listed": listed})


def _rendered(template: str, names: Mapping[str, object]) -> bytes:
    text = _environment().get_template(template).render(names)
    # Lone surrogates cannot be encoded and are shown as escapes.
    return text.encode("utf-8", "backslashreplace")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": lambda count: f"{count:,}",
        "percent": lambda share: f"{100 * share:.2f}%",
        "share": lambda share: f"{share:.3f}",
        "figure": lambda share: "none" if share is None else f"{share:.3f}",
        "rough": lambda share: f"{share:.2f}",
        "signed": lambda difference: f"{difference:+.3f}".replace("-", "−"),
        "rough_signed": lambda difference: f"{difference:+.2f}".replace("-", "−"),
        "dollars": lambda dollars: f"{dollars:,.4f}",
        "shortened": shortened,
        "p_value": lambda p: p_value_text(p) or "unknown",
        "gain": gain_text,
        "described": lambda benchmark: _BENCHMARKS.get(benchmark, ""),
        "words": lambda name: name.replace("_", " "),
        "css_class": lambda verdict: (verdict or "unknown").split()[0],
    }
    environment.globals |= {"ALL": ALL, "could_not_show": could_not_show}
    return environment
