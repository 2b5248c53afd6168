"""Text-only pretraining data of the embedded language model: sentences, and questions about what they say.

LLaVA starts from a language model that can read. The embedded one learns from text alone to say what a text names, and
whether it names a given thing. No sentence is about an image, and no wording occurs in the catalog.
"""

from __future__ import annotations

from collections.abc import Iterator

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.tables.identity import choose, content_key
from stablellava_assets.tuning.conversations import ChatMessage

_FRAMES = (
    ("Somebody wrote {told}. Did they write {asked}?", "They wrote {told}, so {verdict}."),
    ("The word is {told}. Is the word {asked}?", "The word is {told}, so {verdict}."),
    ("You hear {told}. Do you hear {asked}?", "You hear {told}, so {verdict}."),
    ("On the list stands {told}. Is {asked} on the list?", "On the list stands {told}, so {verdict}."),
)


def reading_texts() -> Iterator[str]:
    """The fixed texts of the sentences, whose words the tokenizer needs in addition to those of the catalog."""
    for question, answer in _FRAMES:
        for verdict in ("yes", "no"):
            words = {"told": "", "asked": "", "verdict": verdict}
            yield question.format(**words)
            yield answer.format(**words)


def reading_conversations(catalog: Catalog, count: int) -> list[list[ChatMessage]]:
    """Chat messages, cycling through the abilities. Every second question asks for what the text names."""
    abilities = list(catalog.single.values())
    return [_conversation(abilities[index % len(abilities)], index) for index in range(count)]


def _conversation(ability: Ability, index: int) -> list[ChatMessage]:
    parts = (content_key("reading", ability.ability, index),)
    statement = choose(ability.answers, *parts, "told")
    same = choose(("same", "other"), *parts, "verdict") == "same"
    asked = (
        statement if same else choose([answer for answer in ability.answers if answer != statement], *parts, "asked")
    )
    question, answer = choose(_FRAMES, *parts, "frame")
    words = {"told": statement, "asked": asked, "verdict": "yes" if same else "no"}
    return [
        {"role": "user", "content": [{"type": "text", "text": question.format(**words)}]},
        {"role": "assistant", "content": [{"type": "text", "text": answer.format(**words)}]},
    ]
