"""What a chat model is told of the mistakes of the model that learns from its texts."""

from __future__ import annotations

from collections.abc import Mapping

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.abilities.brief import FailedQuestion

_MOST_NAMED = 12
_SAID = {
    "what": "asked what a picture of {shown} shows, it said {said}",
    "yes_no": "asked whether a picture of {shown} shows {said}, it said yes",
    "either_or": "asked whether a picture of {shown} shows {shown} or {said}, it chose {said}",
}


def briefing(ability: Ability, request: str) -> list[str]:
    """Lines about the ability's brief, which end with ``request``; none without a brief."""
    brief = ability.brief
    weak = sorted(
        (name for name, weight in brief.subjects.items() if weight > 1), key=lambda name: -brief.subjects[name]
    )
    named = {subject.answer: subject.with_article() for subject in reversed(ability.drawn_subjects)}
    confused = [f"{shown} with {other}" for shown, others in brief.confused.items() for other in others]
    lines = [
        *([f"- It often fails at: {', '.join(weak[:_MOST_NAMED])}."] if weak else []),
        *([f"- It confuses {', '.join(confused[:_MOST_NAMED])}."] if confused else []),
        *(f"- {_told(failed, named)}." for failed in brief.failed),
    ]
    return ["", "# What the model that learns from this gets wrong", *lines, request] if lines else []


def _told(failed: FailedQuestion, named: Mapping[str, str]) -> str:
    shown, other = (named.get(answer, answer) for answer in (failed.shown, failed.said))
    said = _SAID[failed.kind].format(shown=shown, said=other)
    return f"{said[0].upper()}{said[1:]}, {'once' if failed.times == 1 else f'{failed.times} times'}"
