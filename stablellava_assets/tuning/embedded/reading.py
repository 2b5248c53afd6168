"""Text-only pretraining data of the embedded language model: sentences, and questions about what they say.

LLaVA starts from a language model that can read. The embedded one learns from text alone to say what a text names,
whether it names a given thing, and, of several things, where each is named, whether they are alike and which one is
not. No sentence is about an image, and no wording occurs in the catalog.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.abilities.multi_image import listed, with_repeats
from stablellava_assets.tables.identity import choose, content_key, derive_seed
from stablellava_assets.text.conversations import ChatMessage
from stablellava_assets.tuning.embedded.several import ORDINALS, in_order

_FRAMES = (
    ("Somebody wrote {told}. Did they write {asked}?", "They wrote {told}, so {verdict}."),
    ("The word is {told}. Is the word {asked}?", "The word is {told}, so {verdict}."),
    ("You hear {told}. Do you hear {asked}?", "You hear {told}, so {verdict}."),
    ("On the list stands {told}. Is {asked} on the list?", "On the list stands {told}, so {verdict}."),
)
_SEVERAL_TOLD = (
    "Somebody wrote {told}.",
    "The words are {told}.",
    "You hear {told}.",
    "On the list stands {told}.",
)
_SEVERAL_ASKED = {
    "place": ("Where is {asked}?", "They wrote {asked} {place}."),
    "there": ("Did they write {asked} {place}?", "They wrote {place} {there}: {verdict}."),
    "all": ("Did they write nothing but {asked}?", "This is {verdict}."),
    "any": ("Did they write {asked} anywhere?", "This is {verdict}."),
    "alike": ("Are the words alike?", "This is {verdict}."),
    "odd": ("Which word is unlike the others?", "They wrote {repeats}, so unlike them is the {place}."),
    "is_odd": (
        "Unlike the others, is it the {place}?",
        "They wrote {repeats}, so unlike them is the {odd}: {verdict}.",
    ),
}
"""Questions about several things and their answers."""
_KINDS = ("place", "place", "place", "there", "there", "all", "any", "alike", "odd", "odd", "odd", "is_odd", "is_odd")
_SEVERAL_SHARE = 3
"""One text of so many names one thing only."""


def reading_texts() -> Iterator[str]:
    """The fixed texts of the sentences, whose words the tokenizer needs in addition to those of the catalog."""
    for question, answer in _FRAMES:
        for verdict in ("yes", "no"):
            words = {"told": "", "asked": "", "verdict": verdict}
            yield question.format(**words)
            yield answer.format(**words)
    slots = dict.fromkeys(("told", "asked", "there", "repeats", "place", "odd", "verdict"), "")
    for text in (*_SEVERAL_TOLD, *(text for texts in _SEVERAL_ASKED.values() for text in texts)):
        yield f" {text.format(**slots)}"
    yield from (said([""] * len(ORDINALS)) for said in (in_order, listed, with_repeats))
    yield from (f" the {ordinal}." for ordinal in ORDINALS)


def reading_conversations(catalog: Catalog, count: int) -> list[list[ChatMessage]]:
    """Chat messages, cycling through the abilities; two thirds are about several things."""
    abilities = list(catalog.single.values())
    return [
        _about_several(ability, index) if index // len(abilities) % _SEVERAL_SHARE != 2 else _about_one(ability, index)
        for index in range(count)
        for ability in [abilities[index % len(abilities)]]
    ]


def _about_one(ability: Ability, index: int) -> list[ChatMessage]:
    """Every second question asks for what the text names."""
    parts = (content_key("reading", ability.ability, index),)
    statement = choose(ability.answers, *parts, "told")
    same = choose(("same", "other"), *parts, "verdict") == "same"
    asked = (
        statement if same else choose([answer for answer in ability.answers if answer != statement], *parts, "asked")
    )
    question, answer = choose(_FRAMES, *parts, "frame")
    return _exchange(question, answer, {"told": statement, "asked": asked, "verdict": "yes" if same else "no"})


def _about_several(ability: Ability, index: int) -> list[ChatMessage]:
    """Every second yes-no question is answered yes."""
    draw = Random(derive_seed("reading several", ability.ability, index))
    kind = draw.choice(_KINDS)
    verdict = draw.choice(("yes", "no"))
    named, at, asked = _drawn(ability.answers, kind, verdict == "yes", draw)
    alone = [place for place, name in zip(ORDINALS, named, strict=False) if named.count(name) == 1]
    words = {
        "told": in_order(named) if "odd" in kind else listed(named),
        "asked": asked,
        "there": named[at],
        "repeats": with_repeats(named),
        "place": ORDINALS[at],
        "odd": alone[0] if alone else "",
        "verdict": verdict,
    }
    asking, answer = _SEVERAL_ASKED[kind]
    return _exchange(f"{asking} {draw.choice(_SEVERAL_TOLD)}", answer, words)


def _drawn(options: Sequence[str], kind: str, holds: bool, draw: Random) -> tuple[list[str], int, str]:
    """Two or three things, the index of the one in question, and what is asked for; ``holds`` is the answer."""
    count = 3 if "odd" in kind else draw.choice((2, 2, 3))
    usual, other = draw.sample(options, 2)
    at = draw.randrange(count)
    if kind in ("place", "there"):
        named = draw.sample(options, count)
        return named, at, named[at if holds or kind == "place" else (at + 1) % count]
    alike = [usual] * count
    one_unlike = [other if place == at else usual for place in range(count)]
    if kind in ("alike", "all"):
        return (alike if holds else one_unlike), at, usual
    if kind == "any":
        return (one_unlike, at, draw.choice((usual, other))) if holds else (alike, at, other)
    if kind == "is_odd" and not holds:
        return one_unlike, (at + draw.choice((1, 2))) % count, other
    return one_unlike, at, other


def _exchange(question: str, answer: str, words: Mapping[str, str]) -> list[ChatMessage]:
    return [
        {"role": "user", "content": [{"type": "text", "text": question.format(**words)}]},
        {"role": "assistant", "content": [{"type": "text", "text": answer.format(**words)}]},
    ]
