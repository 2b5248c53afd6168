"""Answers do not depend on what else is in the batch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GenerationMixin, LlavaProcessor

from stablellava_assets.evaluation.answers.generation import ImageQuestion, answer, answers_of
from stablellava_assets.models.checkpoints import save_checkpoint
from stablellava_assets_tests.fakes.tuning_checkpoints import save_llava
from stablellava_assets_tests.tuning.tiny import model_and_processor, picture


@pytest.fixture(name="checkpoint")
def _checkpoint(tmp_path: Path) -> Path:
    save_checkpoint(*model_and_processor(), tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def test_a_batch_of_unequal_questions_answers_as_each_alone(checkpoint: Path) -> None:
    questions = [
        ImageQuestion(picture("red"), "What color is it?"),
        ImageQuestion(picture("blue"), "Is it red or blue, and if it is neither, what is it?"),
        ImageQuestion(picture("lime"), "Is it?"),
    ]
    together = answer(checkpoint, questions, batch_size=3, max_new_tokens=6, progress=lambda line: None)
    alone = [answer(checkpoint, [asked], 1, 6, lambda line: None)[0] for asked in questions]
    assert together == alone
    assert all(together)


def test_an_undecodable_picture_is_named(checkpoint: Path) -> None:
    questions = [ImageQuestion(picture("red"), "What is it?"), ImageQuestion(b"nothing", "What is it, then?")]
    with pytest.raises(ValueError, match="picture of question 1 cannot be decoded"):
        answer(checkpoint, questions, batch_size=2, max_new_tokens=4, progress=lambda line: None)


def test_no_questions_no_answers(checkpoint: Path) -> None:
    assert answer(checkpoint, [], batch_size=2, max_new_tokens=4, progress=lambda line: None) == []


def test_a_first_token_that_the_template_writes_is_not_put_twice(tmp_path: Path) -> None:
    plain = save_llava(tmp_path / "plain")
    writing = shutil.copytree(plain, tmp_path / "writing")
    template = writing / "chat_template.jinja"
    template.write_text("<s>" + template.read_text())
    questions = [ImageQuestion(picture(color), "What color is it?") for color in ("red", "blue")]
    answers = [answer(folder, questions, 2, 12, lambda line: None) for folder in (plain, writing)]
    assert answers[0] == answers[1]
    assert all(answers[0])


def test_it_is_greedy_whatever_the_checkpoint_says_of_generation(tmp_path: Path) -> None:
    plain = save_llava(tmp_path / "plain")
    own = shutil.copytree(plain, tmp_path / "own")
    settings = json.loads((own / "generation_config.json").read_text())
    changed = {**settings, "num_beams": 3, "no_repeat_ngram_size": 1, "repetition_penalty": 4.0, "min_new_tokens": 9}
    (own / "generation_config.json").write_text(json.dumps(changed))
    questions = [ImageQuestion(picture(color), "What color is it?") for color in ("red", "blue")]
    answers = [answer(folder, questions, 2, 12, lambda line: None) for folder in (plain, own)]
    assert answers[0] == answers[1]


def test_another_template_is_asked_in_where_it_is_given(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call, texts = LlavaProcessor.__call__, []

    def noted(self: Any, **inputs: Any) -> Any:
        texts.extend(inputs["text"])
        return call(self, **inputs)

    monkeypatch.setattr(LlavaProcessor, "__call__", noted)
    own = (checkpoint / "chat_template.jinja").read_text()
    for template in (None, "It is polite." + own):
        list(
            answers_of(
                checkpoint, [ImageQuestion(picture("red"), "Is it?")], 1, 2, lambda line: None, chat_template=template
            )
        )
    assert texts[1] == f"It is polite.{texts[0]}"


def test_a_batch_that_memory_does_not_hold_is_halved(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate, sizes = GenerationMixin.generate, []

    def in_little_memory(self: Any, **inputs: Any) -> Any:
        sizes.append(len(inputs["input_ids"]))
        if sizes[-1] > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return generate(self, **inputs)

    questions = [ImageQuestion(picture("red"), f"What color is it? {'Is it? ' * number}") for number in range(7)]
    undisturbed = answer(checkpoint, questions, 5, 4, lambda line: None)
    monkeypatch.setattr(GenerationMixin, "generate", in_little_memory)
    lines: list[str] = []
    assert answer(checkpoint, questions, 5, 4, lines.append) == undisturbed
    assert sizes == [5, 2, 2, 1, 2]
    assert lines == ["out of memory at 5 questions at once; going on with 2"]
