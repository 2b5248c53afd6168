"""A checkpoint that learns the words of a new ability."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from stablellava_assets.models.checkpoints import load_checkpoint, save_checkpoint
from stablellava_assets.tuning.embedded.continuing import is_start, rehearsed, with_words
from stablellava_assets_tests.tuning.tiny import model_and_processor


def test_new_words_are_tokens_and_the_others_stay_as_they_are(tmp_path: Path) -> None:
    model, processor = model_and_processor()
    save_checkpoint(model, processor, tmp_path / "tuned")
    assert len(processor.tokenizer.tokenize(" xylophone")) > 1
    texts = ["It is a xylophone.", " red"]
    start = with_words(tmp_path / "tuned", texts, tmp_path)
    assert is_start(f"models/{start.name}")
    assert not is_start("models/base-1")
    larger, its = load_checkpoint(start)
    assert [its.tokenizer.decode(token) for token in its.tokenizer(" xylophone")["input_ids"]] == [" xylophone"]
    assert its.tokenizer(" is red.")["input_ids"] == processor.tokenizer(" is red.")["input_ids"]
    assert its.tokenizer.eos_token_id == processor.tokenizer.eos_token_id
    known, weights = (each.get_input_embeddings().weight for each in (model, larger))
    assert torch.equal(weights[: len(known)], known)
    assert len(weights) == len(its.tokenizer) == larger.config.text_config.vocab_size
    assert torch.equal(larger.get_output_embeddings().weight, weights)
    # Twice the same, and none without need.
    again = with_words(tmp_path / "tuned", texts, tmp_path / "elsewhere")
    assert torch.equal(load_checkpoint(again)[0].get_input_embeddings().weight, weights)
    nothing_new = with_words(tmp_path / "tuned", [" red"], tmp_path)
    assert len(load_checkpoint(nothing_new)[1].tokenizer) == len(processor.tokenizer)


def test_whole_images_are_rehearsed_and_the_same_ones_when_others_come(tmp_path: Path) -> None:
    pairs: list[Any] = [{"image_ids": [f"image {number // 4}"], "pair": number} for number in range(400)]
    taken = rehearsed(pairs, 40)
    assert len(taken) == 40
    assert len({pair["image_ids"][0] for pair in taken}) == 10
    with_others = [*pairs, {"image_ids": ["another"], "pair": 400}]
    assert len([pair for pair in rehearsed(with_others, 40) if pair in taken]) >= 36
    assert len(rehearsed(pairs[:8], 40)) == 8
