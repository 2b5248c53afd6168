"""Whatever a model writes ends up as plain words, plain sentences, or a reason."""

from __future__ import annotations

import re

import pytest

from stablellava_assets.authors.chat.cleaning import UnusableTextError, clean_sentence, clean_words


def sentence(text: str) -> str:
    return clean_sentence(text, what="answer", max_characters=200)


@pytest.mark.parametrize(
    ("written", "cleaned"),
    [
        ("  barn   owl ", "barn owl"),
        ("((barn owl))", "barn owl"),
        ("(barn owl:1.3)", "barn owl"),
        ("heart-shaped face", "heart-shaped face"),
        ("f/1.8 lens", "f 1.8 lens"),
        ("snow-covered hill.", "snow-covered hill"),
        ("caf\u00e9 table", "café table"),
        ("cafe\u0301 table", "café table"),
        ("<script>alert(1)</script>", "alert 1"),
        ("../../etc/passwd", "etc passwd"),
        ("'; DROP TABLE images; --", "DROP TABLE images"),
        ("=HYPERLINK(owl)", "HYPERLINK owl"),
        ("[owl](http)", "owl http"),
        ("owl\u202egnp\u200b", "owlgnp"),
        ("owl\x00\x1b[31m", "owl 31m"),
        ("owl\nbarn", "owl barn"),
        ("<image> owl", "owl"),
        ("<|im_start|>owl", "owl"),
        ("owl\ud800", "owl"),
        ("100% wool", "100% wool"),
    ],
)
def test_words(written: str, cleaned: str) -> None:
    assert clean_words(written, max_words=6) == cleaned


@pytest.mark.parametrize("written", ["", "   ", "(())", "...", "\u200b", "<image>", "8", "a b c d e f g", "x" * 81])
def test_no_words(written: str) -> None:
    with pytest.raises(UnusableTextError):
        clean_words(written, max_words=6)


@pytest.mark.parametrize(
    ("written", "cleaned"),
    [
        ("It is  a\nkoala.", "It is a koala."),
        ("**It** is a `koala`.", "It is a koala."),
        ("A: It is a koala.", "It is a koala."),
        ("USER: ASSISTANT: It is a koala.", "It is a koala."),
        ("It is a <b>koala</b> .", "It is a koala."),
        ("<image>\nIt is a koala.</s>", "It is a koala."),
        ("<|im_end|>It is a koala.<|endoftext|>", "It is a koala."),
        ("[INST] It is a koala. [/INST]", "It is a koala."),
        ("It is a koala. USER: What? ASSISTANT: Yes.", "It is a koala. What? Yes."),
        ("It's 5 o'clock: \u201ctea\u201d, isn't it?", "It's 5 o'clock: \u201ctea\u201d, isn't it?"),
        ("![koala](koala.png)", "! koala (koala.png)"),
        ("# Koala | tree", "Koala tree"),
        ("<image", "image"),
        ("< image >", "image"),
        ("<im<image>age>", "im age"),
    ],
)
def test_sentences(written: str, cleaned: str) -> None:
    assert sentence(written) == cleaned


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "the answer is empty"),
        ("<image>", "the answer is empty"),
        ("a" * 201, "the answer has 201 characters; 200 are allowed"),
        ("See https://example.org/owl.", "the answer holds an address"),
        ("javascript:alert(1)", "the answer holds an address"),
        ("As the prompt says, it is an owl.", "the answer says 'the prompt'"),
        ("The bracketed owl.", "the answer says 'bracketed'"),
    ],
)
def test_sentences_that_cannot_be_put_right(written: str, reason: str) -> None:
    with pytest.raises(UnusableTextError, match=re.escape(reason)):
        sentence(written)
