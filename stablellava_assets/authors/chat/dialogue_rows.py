"""Converts dialogues written by a model to row columns: plain text with one ``<image>`` mark, or
the reason for rejecting them."""

from __future__ import annotations

from typing import TypedDict

from pydantic import BaseModel

from stablellava_assets.authors.chat.cleaning import UnusableTextError, clean_sentence, clean_words
from stablellava_assets.authors.chat.dialogue_kinds import DialogueSlot
from stablellava_assets.authors.chat.dialogue_requests import (
    MOST_ANSWER_CHARACTERS,
    MOST_QUESTION_CHARACTERS,
    Picture,
    WrittenAnswer,
    WrittenClosedPair,
    WrittenPair,
    WrittenTurns,
)
from stablellava_assets.tables.identity import choose
from stablellava_assets.text.conversations import Turn, exchange, with_mark

RIGHT_WORDS = 6
_FEWEST_TURNS, _MOST_TURNS = 2, 10


class Conversation(TypedDict):
    """The columns of a ``dialogues`` row that hold the conversation."""

    conversations: list[Turn]
    expected: str | None


UNWRITTEN: Conversation = {"conversations": [], "expected": None}
"""The same columns of a row without a conversation."""


def dialogue_columns(pair_id: str, picture: Picture, part: DialogueSlot, written: BaseModel) -> Conversation:
    """The columns of a ``dialogues`` row that hold the conversation and what a right answer contains.

    Raises:
        UnusableTextError: the text is no valid conversation; the message is the row's reason.
    """
    turns = _turns(picture, written)
    mark_first = choose(("first", "last"), pair_id, "mark") == "first"
    conversations: list[Turn] = []
    for number, (question, answer) in enumerate(turns):
        if number == 0:
            question = with_mark(question, mark_first)
        conversations += exchange(question, answer)
    return {"conversations": conversations, "expected": _expected(picture, part, written)}


def _turns(picture: Picture, written: BaseModel) -> list[tuple[str, str]]:
    if isinstance(written, WrittenAnswer):
        return [(picture.describe_question, cleaned_answer(written.answer))]
    if isinstance(written, WrittenTurns):
        if not _FEWEST_TURNS <= len(written.turns) <= _MOST_TURNS:
            raise UnusableTextError(
                f"the conversation has {len(written.turns)} turns, not {_FEWEST_TURNS} to {_MOST_TURNS}"
            )
        return [(cleaned_question(turn.question), cleaned_answer(turn.answer)) for turn in written.turns]
    if isinstance(written, WrittenPair | WrittenClosedPair):
        return [(cleaned_question(written.question), cleaned_answer(written.answer))]
    raise TypeError(f"{type(written).__name__} is no dialogue")


def _expected(picture: Picture, part: DialogueSlot, written: BaseModel) -> str | None:
    if isinstance(written, WrittenClosedPair):
        return picture.answer or clean_words(written.right_words, max_words=RIGHT_WORDS)
    return part.expected_word


def cleaned_question(text: str) -> str:
    """A question as one line of plain text."""
    return clean_sentence(text, what="question", max_characters=MOST_QUESTION_CHARACTERS)


def cleaned_answer(text: str) -> str:
    """An answer as one line of plain text that ends like a sentence."""
    answer = clean_sentence(text, what="answer", max_characters=MOST_ANSWER_CHARACTERS)
    # A missing full stop does not justify paying for the answer again.
    return answer if answer.endswith((".", "!", "?", "…", '"', "'", "”", "’")) else f"{answer}."
