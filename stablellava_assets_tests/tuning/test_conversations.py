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


@pytest.mark.parametrize(
    ("conversation", "text"),
    [
        (
            turns("<image>\n<image>\nWhat differs?", "Red.", "Is it?", "No."),
            "USER: <image>\n<image>\nWhat differs? ASSISTANT: Red.</s>USER: Is it? ASSISTANT: No.</s>",
        ),
        (
            turns("One: <image>\nTwo: <image>\nIs it?", "No."),
            "USER: One:<image>\nTwo:<image>\nIs it? ASSISTANT: No.</s>",
        ),
        (
            turns("What?\n<image>", "Red.", "<image>\nAnd this?", "Blue."),
            "USER: <image>\nWhat? ASSISTANT: Red.</s>USER: <image>\nAnd this? ASSISTANT: Blue.</s>",
        ),
    ],
)
def test_several_pictures_keep_their_places(conversation: list[Turn], text: str) -> None:
    _, processor = model_and_processor()
    assert processor.apply_chat_template(messages_of(conversation)) == text
    (row,) = tokenize([messages_of(conversation)], processor, VISION_TOKENS)
    assert row.tokens.count(processor.image_token_id) == 2 * VISION_TOKENS


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
        (turns("What?", "Red."), r"first question must hold .* \[0, 0\]"),
        (turns("What?", "Red.", "<image>\nWhat?", "Blue."), r"first question must hold"),
        (turns("<image>\nWhat?", "<image> Red."), r"no answer may hold one; the turns hold \[1, 1\]"),
        (turns("<image>\nWhat?", "Red.", "<image>", "Blue."), "human turn is empty"),
        (turns("<image>\n", "Red."), "human turn is empty"),
        (turns("<image>\nWhat?", " "), "gpt turn is empty"),
    ],
)
def test_a_malformed_conversation_is_refused(conversation: list[Turn], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        messages_of(conversation)
