"""Which tokens a conversation becomes, and which of them are learned."""

from __future__ import annotations

import pytest

from stablellava_assets.text.conversations import Turn
from stablellava_assets.tuning.conversations import IGNORED, messages_of, tokenize
from stablellava_assets_tests.tuning.tiny import model_and_processor, turns

VISION_TOKENS = 4


def test_learned_are_the_answers_and_their_end_tokens_and_nothing_else() -> None:
    _, processor = model_and_processor()
    conversation = turns("<image>\nWhat color is it?", "It is red.", "Is it lime?", "No.")
    (row,) = tokenize([messages_of(conversation)], processor, VISION_TOKENS)
    shown = processor.tokenizer.convert_ids_to_tokens(row.tokens)
    learned = [token for token, label in zip(shown, row.labels, strict=True) if label != IGNORED]
    assert learned == ["ĠIt", "Ġis", "Ġred", ".", "</s>", "ĠNo", ".", "</s>"]
    assert all(label in (IGNORED, token) for token, label in zip(row.tokens, row.labels, strict=True))
    assert processor.tokenizer.decode(row.tokens) == (
        "USER: <image><image><image><image>\nWhat color is it? ASSISTANT: It is red.</s>"
        "USER: Is it lime? ASSISTANT: No.</s>"
    )


@pytest.mark.parametrize("question", ["<image>\nWhat color is it?", "What color is it?\n<image>"])
def test_the_picture_stands_first_wherever_its_mark_was(question: str) -> None:
    _, processor = model_and_processor()
    rows = tokenize([messages_of(turns(question, "It is red."))], processor, VISION_TOKENS)
    assert rows == tokenize([messages_of(turns("<image> What color is it?", "It is red."))], processor, VISION_TOKENS)


def test_the_prompt_of_an_answer_is_what_generation_is_given() -> None:
    _, processor = model_and_processor()
    messages = messages_of(turns("<image>\nWhat color is it?", "It is red."))
    asked = processor.apply_chat_template(messages[:1], add_generation_prompt=True)
    assert asked == "USER: <image>\nWhat color is it? ASSISTANT:"
    assert processor.apply_chat_template(messages) == f"{asked} It is red.</s>"


def test_any_text_survives_the_tokenizer() -> None:
    _, processor = model_and_processor()
    text = 'Ceci n\'est pas une pipe — 这不是烟斗 🪈\n"unseenword"  two  spaces'
    assert processor.tokenizer.decode(processor.tokenizer(text)["input_ids"]) == text
    assert len(processor.tokenizer(" yellow")["input_ids"]) == 1


@pytest.mark.parametrize(
    ("conversation", "reason"),
    [
        ([], "alternate"),
        (turns("<image>\nWhat?", "Red.")[:1], "alternate"),
        (list(reversed(turns("<image>\nWhat?", "Red."))), "alternate"),
        (turns("What?", "Red."), "there are 0"),
        (turns("<image><image>\nCompare.", "Red."), "there are 2"),
        (turns("<image>\nWhat?", "Red.", "<image>", "Blue."), "there are 2"),
        (turns("<image>\n", "Red."), "human turn is empty"),
        (turns("<image>\nWhat?", " "), "gpt turn is empty"),
    ],
)
def test_a_malformed_conversation_is_refused(conversation: list[Turn], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        messages_of(conversation)
