"""Parses a prompt in the paper's keyword form into what to paint and which keywords are ignored."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from stablellava_assets.abilities.placements import DISTANCES, NUMBERS, POSITIONS
from stablellava_assets.abilities.prompt_format import AmbiguousPromptError, split_prompt
from stablellava_assets.painters.embedded.lexicon import Entry, Lexicon
from stablellava_assets.painters.embedded.lights import LIGHTS, QUALITY_WORDS
from stablellava_assets.painters.embedded.scene_plan import ScenePlan

_COUNTS = {keyword: count for count, keyword in enumerate(NUMBERS.values(), 1)}


class UnpaintablePromptError(ValueError):
    """The prompt asks for something that this painter cannot draw. The message is the row's reason."""


@dataclass
class Reading:
    """A parsed prompt. ``drawings`` holds the keys of the artwork of every phrase that is drawn."""

    plan: ScenePlan = field(default_factory=ScenePlan)
    drawings: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def read_prompt(prompt: str, lexicon: Lexicon) -> Reading:
    """Resolve the subject, then every other keyword.

    Raises:
        UnpaintablePromptError: there is no clear subject, it is not drawable, or a style has nothing to apply to.
    """
    try:
        subject, keywords = split_prompt(prompt)
    except AmbiguousPromptError as error:
        raise UnpaintablePromptError(str(error)) from error
    entry = lexicon.find(subject)
    if entry is None:
        raise UnpaintablePromptError(f"no sprite for {subject!r}")
    reading = Reading()
    _add(reading, entry)
    reading.plan = replace(reading.plan, in_scene=entry.backdrop is not None)
    for keyword in keywords:
        _read_keyword(reading, keyword, lexicon)
    if entry.effect and not reading.plan.drawing and reading.plan.backdrop is None:
        raise UnpaintablePromptError(
            f"style {subject!r} has nothing to show: no keyword names a drawable thing or scene"
        )
    return reading


def _read_keyword(reading: Reading, keyword: str, lexicon: Lexicon) -> None:
    plan, word = reading.plan, keyword.casefold()
    if word in QUALITY_WORDS:
        return
    if word in LIGHTS:
        reading.plan = replace(plan, lights=tuple(dict.fromkeys([*plan.lights, word])))
    elif word in POSITIONS and plan.position is None:
        reading.plan = replace(plan, position=word)
    elif word in DISTANCES and plan.distance is None:
        reading.plan = replace(plan, distance=word)
    elif word in _COUNTS and plan.number is None:
        reading.plan = replace(plan, number=_COUNTS[word])
    else:
        entry = lexicon.find(keyword)
        if entry is None or not _add(reading, entry):
            reading.ignored.append(keyword)


def _add(reading: Reading, entry: Entry) -> bool:
    """Add what ``entry`` draws to the scene; False if its place is taken."""
    plan = reading.plan
    if entry.drawing and not plan.drawing:
        reading.plan = replace(plan, drawing=entry.drawing)
    elif entry.backdrop and plan.backdrop is None:
        reading.plan = replace(plan, backdrop=entry.backdrop)
    elif entry.effect and plan.effect is None:
        reading.plan = replace(plan, effect=entry.effect)
    else:
        return False
    reading.drawings.append(entry.key)
    return True
