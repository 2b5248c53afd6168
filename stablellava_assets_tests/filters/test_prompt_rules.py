from __future__ import annotations

import pytest

from stablellava_assets.abilities.prompt_format import keywords_of
from stablellava_assets.filters.rules.prompt_rules import check_prompt
from stablellava_assets.filters.settings import PromptRuleSettings


def found(prompt: str, settings: PromptRuleSettings | None = None) -> list[str]:
    return [finding.rule for finding in check_prompt(prompt, settings or PromptRuleSettings())]


@pytest.mark.parametrize(
    "prompt",
    [
        "((koala)), grove, realistic, 8k",
        "((koala)), grove, intricate",
        "((koala)), grove, detailed",
        "((koala)), grove, 10k",
        "((Salt-and-pepper mill)), kitchen, soft light",
        "koala, grove",
    ],
)
def test_a_whole_prompt_is_left_alone(prompt: str) -> None:
    assert found(prompt) == []


@pytest.mark.parametrize(
    "prompt",
    [
        "((koala)), grove, realistic,",
        "((koala)), grove, realistic, ",
        "((koala)), grove, highly",
        "((koala)), grove, dr",
        "((koala)), grove, intricate det",
        "((koala)), grove, 8",
        "((koala)), grove, volumetric.",
    ],
)
def test_a_dangling_end_is_cut_off(prompt: str) -> None:
    assert "cut_off_prompt" in found(prompt)


@pytest.mark.parametrize("prompt", ["", " ", "((", "(())"])
def test_a_prompt_of_nothing_is_cut_off(prompt: str) -> None:
    assert "cut_off_prompt" in found(prompt)


def test_a_prompt_that_ends_in_its_subject_is_cut_off_and_unbalanced() -> None:
    assert found("((Bread and bu") == ["cut_off_prompt", "unbalanced_brackets"]


@pytest.mark.parametrize("prompt", ["((koala)), grove, 8k)", "(koala)), grove", "))koala((, grove"])
def test_brackets_must_match(prompt: str) -> None:
    assert "unbalanced_brackets" in found(prompt)


def test_an_unfinished_tag_is_named_with_the_tag_it_begins() -> None:
    (finding,) = check_prompt("((koala)), grove, volumetric", PromptRuleSettings())
    assert finding.explanation == "The last keyword 'volumetric' is an unfinished 'volumetric light'."


@pytest.mark.parametrize("prompt", ["((koala)), grove, 8k\n", "((koala)), grove, 8k.", "((koala)),, grove, 8k"])
def test_stray_text_takes_nothing_away(prompt: str) -> None:
    assert found(prompt) == ["stray_prompt_text"]


def test_a_keyword_is_said_once() -> None:
    (finding,) = check_prompt("((koala)), Soft light, grove, soft light", PromptRuleSettings())
    assert finding.rule == "repeated_keyword"
    assert "'soft light'" in finding.explanation


def test_caps() -> None:
    settings = PromptRuleSettings(max_keywords=3, max_characters=30)
    assert found("((koala)), grove, dawn", settings) == []
    assert found("((koala)), grove, dawn, mist, dew, 8k", settings) == ["too_many_keywords", "prompt_too_long"]


def test_keywords_lose_brackets_and_spaces() -> None:
    assert keywords_of("((Koala)), grove ,, 8k)") == ["Koala", "grove", "8k"]
