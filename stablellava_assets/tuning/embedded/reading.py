"""What the embedded language model reads before it sees a picture: sentences, and questions about what they say.

LLaVA starts from a language model that can read. The embedded one learns from text alone to say what a text names, and
whether that is what it was asked about. No sentence is about a picture, and no wording is one of the catalog's.
"""

from __future__ import annotations

from collections.abc import Iterator

from stablellava_assets.abilities.catalog import Ability, Catalog
from stablellava_assets.tables.identity import choose, content_key
from stablellava_assets.tuning.conversations import ChatMessage

_FRAMES = (
    ("Somebody wrote {told}. Did they write {asked}?", "They wrote {told}, so {verdict}."),
    ("The word is {told}. Is the word {asked}?", "The word is {told}, so {verdict}."),
    ("You hear {told}. Do you hear {asked}?", "You hear {told}, so {verdict}."),
    ("On the list stands {told}. Is {asked} on the list?", "On the list stands {told}, so {verdict}."),
)


def reading_texts() -> Iterator[str]:
    """Every word of the sentences that is not the catalog's, for the tokenizer."""
    for question, answer in _FRAMES:
        for verdict in ("yes", "no"):
            words = {"told": "", "asked": "", "verdict": verdict}
            yield question.format(**words)
            yield answer.format(**words)


def reading_conversations(catalog: Catalog, count: int) -> list[list[ChatMessage]]:
    """Chat messages, the abilities in turn; every second question asks for what the text names."""
    abilities = list(catalog.values())
    return [_conversation(abilities[index % len(abilities)], index) for index in range(count)]


def _conversation(ability: Ability, index: int) -> list[ChatMessage]:
    parts = (content_key("reading", ability.ability, index),)
    told = choose(ability.answers, *parts, "told")
    same = choose(("same", "other"), *parts, "verdict") == "same"
    asked = told if same else choose([answer for answer in ability.answers if answer != told], *parts, "asked")
    question, answer = choose(_FRAMES, *parts, "frame")
    words = {"told": told, "asked": asked, "verdict": "yes" if same else "no"}
    return [
        {"role": "user", "content": [{"type": "text", "text": question.format(**words)}]},
        {"role": "assistant", "content": [{"type": "text", "text": answer.format(**words)}]},
    ]
