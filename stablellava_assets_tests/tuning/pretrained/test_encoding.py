"""Which tokens a row becomes and which of them are learned, against LLaVA-1.5's own rules and over families."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from stablellava_assets.tuning.packing import IGNORED
from stablellava_assets.tuning.pretrained.encoding import Encoder, with_system
from stablellava_assets.tuning.pretrained.rows import MIX, TuningRow
from stablellava_assets_tests.tuning.pretrained.checkpoints import FAMILIES
from stablellava_assets_tests.tuning.tiny import picture, turns

SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and "
    "polite answers to the user's questions."
)
"""LLaVA-1.5's system sentence: conv_vicuna_v1 of its conversation.py."""


@pytest.fixture(name="folders", scope="module")
def _folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("families")
    return {name: save(root / name) for name, save in FAMILIES.items()}


def row(folder: Path, colors: Sequence[str], *texts: str) -> TuningRow:
    paths = []
    for color in colors:
        path = folder / f"{color}.png"
        path.write_bytes(picture(color))
        paths.append(str(path))
    return TuningRow("row", MIX, "", tuple(paths), tuple(turns(*texts)))


def prescribed(example: TuningRow, tokenizer: Any, vision_tokens: int) -> tuple[list[int], list[int]]:
    """LLaVA-1.5's preprocess_v1, from its rules: text and marks are tokenized apart, rounds are told by ``</s>``.

    The conversation is ``SYSTEM USER: <image>\\nquestion ASSISTANT: answer</s>USER: ...``. Of a round, everything up to and
    including ``ASSISTANT:`` is masked, and so is the first token; the end token is learned.
    """

    def tokens(text: str) -> list[int]:
        chunks = [tokenizer(chunk)["input_ids"] for chunk in text.split("<image>")]
        ids = list(chunks[0])
        for chunk in chunks[1:]:
            ids += [image_token] * vision_tokens + chunk[1:]
        return ids

    image_token = tokenizer.convert_tokens_to_ids("<image>")
    conversation = f"{SYSTEM} "
    for turn in example.conversations:
        if turn["from"] == "human":
            question = turn["value"].replace("<image>", "").strip()
            mark = "<image>\n" if "<image>" in turn["value"] else ""
            conversation += f"USER: {mark}{question} "
        else:
            conversation += f"ASSISTANT: {turn['value']}</s>"
    ids = tokens(conversation)
    labels = list(ids)
    labels[0] = IGNORED
    at = 1
    for one_round in conversation.split("</s>")[:-1]:
        instruction = one_round.split(" ASSISTANT: ")[0] + " ASSISTANT: "
        # Less the first token and the blank that the answer's first token swallows.
        masked = len(tokens(instruction)) - 2
        labels[at : at + masked] = [IGNORED] * masked
        # The first token stands in for the end token that the split took away.
        at += len(tokens(one_round))
    assert at == len(ids)
    return ids, labels


@pytest.mark.parametrize(
    ("colors", "texts"),
    [
        (["red"], ["<image>\nWhat color is it?", "It is red."]),
        (["blue"], ["What color is it?\n<image>", "It is blue.", "Is it red?", "No, it is not."]),
        ([], ["Is it yellow?", "Yes, it is.", "Is it blue?", "No.", "What is it?", "It is yellow."]),
    ],
    ids=["one turn", "two turns", "text alone"],
)
def test_tokens_and_labels_are_those_of_the_original_recipe(
    colors: list[str], texts: list[str], folders: dict[str, Path], tmp_path: Path
) -> None:
    processor = AutoProcessor.from_pretrained(folders["llava"])
    with_system(processor, SYSTEM)
    example = row(tmp_path, colors, *texts)
    batch = Encoder(processor, 512).batch([example])
    ids, labels = prescribed(example, processor.tokenizer, vision_tokens=4)
    assert batch["input_ids"][0].tolist() == ids
    assert batch["labels"][0].tolist() == labels
    assert ids[0] == processor.tokenizer.bos_token_id
    assert ids[-1] == labels[-1] == processor.tokenizer.eos_token_id


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_learns_answers_and_their_ends_alone(
    family: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    processor = AutoProcessor.from_pretrained(folders[family])
    model = AutoModelForImageTextToText.from_pretrained(folders[family])
    rows = [
        row(tmp_path, ["red"], "<image>\nWhat color is it?", "It is red.", "Is it blue?", "No, it is not."),
        row(tmp_path, [], "Is it blue?", "Yes."),
        row(tmp_path, ["red", "blue"], "What is in the pictures <image> and <image>?", "Red.", "Is it?", "Yes, it is."),
        row(tmp_path, ["blue", "red"], "<image>\nWhat is it?", "It is blue.", "<image>\nIs it?", "It is red."),
    ]
    encoder = Encoder(processor, 512)
    batch = encoder.batch(rows)
    ends = {"llava": "</s>", "llava_next": "<|im_end|>", "idefics3": "<end_of_utterance>"}
    for number, each in enumerate(rows):
        learned = batch["input_ids"][number][batch["labels"][number] != IGNORED]
        said = processor.tokenizer.decode(learned).replace("\n", "")
        answers = [turn["value"] for turn in each.conversations if turn["from"] == "gpt"]
        assert [part.strip() for part in said.split(ends[family])] == [*answers, ""]
        assert encoder.length(each) == int(batch["attention_mask"][number].sum())
    loss = model(**batch).loss
    loss.backward()
    assert torch.isfinite(loss)


def test_a_row_longer_than_allowed_is_no_batch(folders: dict[str, Path], tmp_path: Path) -> None:
    encoder = Encoder(AutoProcessor.from_pretrained(folders["llava"]), 20)
    with pytest.raises(ValueError, match=r"row has .* tokens, and tuning.model.max_length is 20"):
        encoder.batch([row(tmp_path, ["red"], "<image>\nWhat color is it?", "It is red. " * 5)])
