"""Answers do not depend on what else is in the batch."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stablellava_assets.evaluation.answering import Asked, answer
from stablellava_assets.tuning.checkpoints import save_checkpoint
from stablellava_assets_tests.tuning.pretrained.checkpoints import save_llava
from stablellava_assets_tests.tuning.tiny import model_and_processor, picture


@pytest.fixture(name="checkpoint")
def _checkpoint(tmp_path: Path) -> Path:
    save_checkpoint(*model_and_processor(), tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def test_a_batch_of_unequal_questions_answers_as_each_alone(checkpoint: Path) -> None:
    questions = [
        Asked(picture("red"), "What color is it?"),
        Asked(picture("blue"), "Is it red or blue, and if it is neither, what is it?"),
        Asked(picture("lime"), "Is it?"),
    ]
    together = answer(checkpoint, questions, batch_size=3, max_new_tokens=6, progress=lambda line: None)
    alone = [answer(checkpoint, [asked], 1, 6, lambda line: None)[0] for asked in questions]
    assert together == alone
    assert all(together)


def test_an_undecodable_picture_is_named(checkpoint: Path) -> None:
    questions = [Asked(picture("red"), "What is it?"), Asked(b"nothing", "What is it, then?")]
    with pytest.raises(ValueError, match="picture of question 1 cannot be decoded"):
        answer(checkpoint, questions, batch_size=2, max_new_tokens=4, progress=lambda line: None)


def test_no_questions_no_answers(checkpoint: Path) -> None:
    assert answer(checkpoint, [], batch_size=2, max_new_tokens=4, progress=lambda line: None) == []


def test_a_first_token_that_the_template_writes_is_not_put_twice(tmp_path: Path) -> None:
    plain = save_llava(tmp_path / "plain")
    writing = shutil.copytree(plain, tmp_path / "writing")
    template = writing / "chat_template.jinja"
    template.write_text("<s>" + template.read_text())
    questions = [Asked(picture(color), "What color is it?") for color in ("red", "blue")]
    answers = [answer(folder, questions, 2, 12, lambda line: None) for folder in (plain, writing)]
    assert answers[0] == answers[1]
    assert all(answers[0])
