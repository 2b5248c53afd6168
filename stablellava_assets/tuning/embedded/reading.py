"""Text-only pretraining data of the embedded language model: sentences, and questions about what they say.

LLaVA starts from a language model that can read. The embedded one learns from text alone to say what a text names,
whether it names a given thing, and, of several things, in which order they come and which of them is alike. No sentence
is about an image, and no wording occurs in the catalog.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from random import Random

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.tables.identity import choose, content_key, derive_seed
from stablellava_assets.text.conversations import ChatMessage
from stablellava_assets.tuning.embedded.several import ORDINALS, in_order, odd_one_of

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
    "place": "Where is {asked}?",
    "all": "Is every word {asked}?",
    "any": "Is one of them {asked}?",
    "alike": "Are the words alike?",
    "odd": "Which word is unlike the others?",
    "nth": "Which is the {nth} word?",
    "nth_is": "Is the {nth} word {asked}?",
}
_ONE_SHARE = 3
"""One text of so many names one thing, the others several."""


def reading_texts() -> Iterator[str]:
    """The fixed texts of the sentences, whose words the tokenizer needs in addition to those of the catalog."""
    for question, answer in _FRAMES:
        for verdict in ("yes", "no"):
            words = {"told": "", "asked": "", "verdict": verdict}
            yield question.format(**words)
            yield answer.format(**words)
    for text in (*_SEVERAL_TOLD, *_SEVERAL_ASKED.values()):
        yield f" {text.format(told='', asked='', nth='')}"
    yield in_order([""] * len(ORDINALS))
    yield from (f" so the {ordinal}." for ordinal in ORDINALS)


def reading_conversations(catalog: Catalog, count: int) -> list[list[ChatMessage]]:
    """Chat messages, cycling through the abilities; two thirds are about several things."""
    abilities = list(catalog.single.values())
    return [
        _about_several(ability, index) if index // len(abilities) % _ONE_SHARE else _about_one(ability, index)
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
    draw = Random(derive_seed("reading several", ability.ability, index))
    number = draw.choice((2, 2, 3))
    named = [draw.choice(ability.answers)] * number
    if draw.random() < 0.75:
        named[draw.randrange(number)] = draw.choice(ability.answers)
    else:
        named = [draw.choice(ability.answers) for _ in named]
    odd = odd_one_of(named)
    kind = draw.choice(list(_SEVERAL_ASKED) if odd is None else [*_SEVERAL_ASKED, "odd", "odd"])
    asked = draw.choice(named) if draw.random() < 0.7 else draw.choice(ability.answers)
    nth = draw.randrange(number)
    if kind == "odd" and odd is None:
        kind = "alike"
    if kind == "place" and named.count(asked) != 1:
        kind = "all"
    verdict = {
        "place": f"the {ORDINALS[named.index(asked)]}" if asked in named else "",
        "all": "yes" if set(named) == {asked} else "no",
        "any": "yes" if asked in named else "no",
        "alike": "yes" if len(set(named)) == 1 else "no",
        "odd": "" if odd is None else f"the {ORDINALS[odd]}",
        "nth": named[nth],
        "nth_is": "yes" if named[nth] == asked else "no",
    }[kind]
    words = {"told": in_order(named), "asked": asked, "nth": ORDINALS[nth], "verdict": verdict}
    question = f"{draw.choice(_SEVERAL_TOLD)} {_SEVERAL_ASKED[kind]}"
    return _exchange(question, "They are {told}, so {verdict}.", words)


def _exchange(question: str, answer: str, words: Mapping[str, str]) -> list[ChatMessage]:
    return [
        {"role": "user", "content": [{"type": "text", "text": question.format(**words)}]},
        {"role": "assistant", "content": [{"type": "text", "text": answer.format(**words)}]},
    ]
