"""Rules for a text-to-image prompt.

A prompt that is cut off or has unbalanced brackets is rejected by default. Its image and dialogue may be fine, but the
prompt is the only record of what the image should show, the missing part is unknown, and such prompts are a few in
a thousand. A stray space, a final full stop or a repeated keyword loses nothing, so these are only noted.
"""

from __future__ import annotations

from collections.abc import Iterator

from stablellava_assets.abilities.prompt_format import keywords_of
from stablellava_assets.filters.findings import Finding, quoted
from stablellava_assets.filters.settings import PromptRuleSettings


def check_prompt(prompt: str, settings: PromptRuleSettings) -> Iterator[Finding]:
    """All violations by ``prompt``, in the order of ``findings.RowRule``."""
    if (cut := _cut_off(prompt, settings)) is not None:
        yield Finding("cut_off_prompt", cut)
    opened, closed = prompt.count("("), prompt.count(")")
    if opened != closed or _closes_early(prompt):
        yield Finding(
            "unbalanced_brackets", f"The prompt opens {opened} and closes {closed} brackets: {_tail(prompt)}."
        )
    if (stray := _stray_text(prompt)) is not None:
        yield Finding("stray_prompt_text", stray)
    keywords = [keyword.casefold() for keyword in keywords_of(prompt)]
    repeated = sorted({keyword for keyword in keywords if keywords.count(keyword) > 1})
    if repeated:
        yield Finding("repeated_keyword", f"The prompt says {quoted(repeated)} more than once.")
    if len(keywords) > settings.max_keywords:
        yield Finding(
            "too_many_keywords", f"The prompt has {len(keywords)} keywords; {settings.max_keywords} are allowed."
        )
    if len(prompt) > settings.max_characters:
        yield Finding(
            "prompt_too_long", f"The prompt has {len(prompt)} characters; {settings.max_characters} are allowed."
        )


def _cut_off(prompt: str, settings: PromptRuleSettings) -> str | None:
    if not keywords_of(prompt):
        return "The prompt names nothing."
    if prompt.count("(") > prompt.count(")"):
        return f"The prompt ends inside its brackets: {_tail(prompt)}."
    ending = prompt.rpartition(",")[2].strip().casefold().rstrip(".")
    if not ending:
        return f"The prompt ends in a comma: {_tail(prompt)}."
    if ending in settings.whole_tags or ending in settings.closing_tags:
        return None
    begun = [tag for tag in settings.closing_tags if tag.startswith(ending)]
    return f"The last keyword {ending!r} is an unfinished {begun[0]!r}." if begun else None


def _closes_early(prompt: str) -> bool:
    depth = 0
    for character in prompt:
        depth += (character == "(") - (character == ")")
        if depth < 0:
            return True
    return False


def _stray_text(prompt: str) -> str | None:
    if prompt != prompt.strip():
        return "The prompt begins or ends with white space."
    if prompt.endswith((".", ";", ":")):
        return f"The prompt ends in {prompt[-1]!r}, which is part of no keyword."
    if any(not part.strip() for part in prompt.split(",")[:-1]):
        return "The prompt has an empty keyword."
    return None


def _tail(prompt: str) -> str:
    return repr(prompt if len(prompt) <= 40 else f"...{prompt[-37:]}")
