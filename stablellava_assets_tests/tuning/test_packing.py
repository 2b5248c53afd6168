"""Rows packed behind one picture are trained as if each had a sequence of its own."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image

from stablellava_assets.tuning.batches import normalized
from stablellava_assets.tuning.conversations import TokenizedRow, messages_of, tokenize
from stablellava_assets.tuning.embedded.training_set import TrainingExample, prepare
from stablellava_assets.tuning.packing import answer_loss, collate, pack
from stablellava_assets_tests.tuning.tiny import examples, model_and_processor, picture, turns

CONVERSATIONS = [
    turns("<image>\nWhat color is it?", "It is red."),
    turns("<image>\nIs it lime?", "No, it is red.", "Is it red?", "Yes."),
    turns("Is it red?\n<image>", "Yes, it is red."),
]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_loss_and_gradient_equal_those_of_rows_by_themselves(attention: str) -> None:
    model, processor = model_and_processor()
    model.model.language_model.set_attn_implementation(attention)
    together = [TrainingExample(["red"], [picture("red")], turns_) for turns_ in CONVERSATIONS]
    apart = [TrainingExample([str(index)], [picture("red")], turns_) for index, turns_ in enumerate(CONVERSATIONS)]
    results = []
    for rows in (together, apart):
        training_set = prepare(rows, processor, model.config, 3)
        batch = collate(training_set.packs, processor.tokenizer.pad_token_id)
        pixels = training_set.pixels_of(range(len(training_set.packs)))
        assert pixels is not None
        model.zero_grad()
        loss = answer_loss(model, batch, normalized(pixels, processor))
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
        results.append((len(training_set.packs), loss.item(), gradients))
    (packs, packed_loss, packed), (rows_alone, loss_alone, alone) = results
    assert (packs, rows_alone) == (1, 3)
    assert packed_loss == pytest.approx(loss_alone, rel=1e-5)
    for name, gradient in packed.items():
        assert torch.allclose(gradient, alone[name], rtol=1e-4, atol=1e-5), name


SEVERAL = [
    (["red", "blue"], turns("<image>\n<image>\nWhat color is it?", "It is red.")),
    (["red", "blue", "lime"], turns("<image>\n<image>\nIs it lime?", "No.", "Is it\n<image>\nred?", "Yes.")),
    (["red", "blue"], turns("<image>\nWhat color is it?", "It is red.", "<image>\nIs it lime?", "No.")),
    (["red", "lime"], turns("<image>\nIs it lime?", "No.", "<image>\nIs it red?", "No, it is lime.")),
    (["red"], turns("<image>\nIs it lime?", "No.")),
    (["blue", "red"], turns("Is it red: <image>\nIs it blue: <image>\nIs it?", "No.")),
]


def test_rows_about_several_images_are_packed_behind_those_they_begin_with() -> None:
    model, processor = model_and_processor()
    model.model.language_model.set_attn_implementation("eager")

    def rows(*chosen: int) -> list[TrainingExample]:
        return [TrainingExample(SEVERAL[at][0], [picture(c) for c in SEVERAL[at][0]], SEVERAL[at][1]) for at in chosen]

    def loss(examples: list[TrainingExample]) -> float:
        training_set = prepare(examples, processor, model.config, 4)
        batch = collate(training_set.packs, processor.tokenizer.pad_token_id)
        pixels = training_set.pixels_of(range(len(training_set.packs)))
        assert pixels is not None
        return answer_loss(model, batch, normalized(pixels, processor)).item()

    everything = range(len(SEVERAL))
    training_set = prepare(rows(*everything), processor, model.config, 4)
    assert len(training_set.pixels) == 3, "an image of several dialogues is kept once"
    assert training_set.pictures == [[0, 1, 2], [0, 1, 2], [1, 0]]
    assert loss(rows(*everything)) == pytest.approx(sum(loss(rows(at)) for at in everything), rel=1e-5)


def test_images_that_are_read_from_elsewhere_give_the_same_pixels(tmp_path: Path) -> None:
    model, processor = model_and_processor()
    held = examples()
    apart = [TrainingExample(each.image_ids, None, each.conversations) for each in held]
    pictures = {each.image_ids[0]: each.encoded[0] for each in held if each.encoded}

    def images(wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        return ((image_id, pictures[image_id]) for image_id in sorted(wanted, reverse=True))

    one = prepare(held, processor, model.config, 2)
    other = prepare(apart, processor, model.config, 2, images, tmp_path)
    assert len(one.pixels) == len(pictures)
    assert torch.equal(one.pixels, other.pixels)
    assert list(tmp_path.iterdir()) == [], "the file of the pixels has no name"
    with pytest.raises(ValueError, match=f"{len(pictures)} pictures are gone, the first is {held[0].image_ids[0]}"):
        prepare(apart, processor, model.config, 2, lambda wanted: iter(()), tmp_path)


def test_the_loss_is_that_of_the_model_itself() -> None:
    model, processor = model_and_processor()
    training_set = prepare(examples()[:1], processor, model.config, 1)
    pixels = normalized(training_set.pixels, processor)
    batch = collate(training_set.packs, processor.tokenizer.pad_token_id)
    expected = model(input_ids=batch.tokens, pixel_values=pixels, labels=batch.labels).loss
    count = sum(label != -100 for label in training_set.packs[0].labels)
    torch.testing.assert_close(answer_loss(model, batch, pixels) / count, expected)


def test_no_row_sees_another_and_positions_go_on_from_the_picture() -> None:
    _, processor = model_and_processor()
    rows = tokenize([messages_of(conversation) for conversation in CONVERSATIONS], processor, 4)
    packed = pack(rows, processor.image_token_id)
    batch = collate([packed], processor.tokenizer.pad_token_id)
    owner = torch.tensor(packed.rows)
    visible = batch.visible[0, 0]
    foreign = (owner[:, None] != owner[None, :]) & (owner[None, :] != 0)
    assert not (visible & foreign).any()
    assert not visible.triu(1).any()
    shared = packed.rows.count(0)
    for number, row in enumerate(rows, start=1):
        positions = [at for at, of in zip(packed.positions, packed.rows, strict=True) if of == number]
        assert positions == list(range(shared, len(row.tokens)))


def test_rows_that_begin_differently_cannot_share_a_picture() -> None:
    with pytest.raises(ValueError, match="begin alike"):
        pack([TokenizedRow([5, 2, 7], [-100] * 3), TokenizedRow([6, 2, 7], [-100] * 3)], image_token=2)


def test_pixels_are_those_of_the_checkpoints_own_preprocessing() -> None:
    model, processor = model_and_processor()
    training_set = prepare(examples(), processor, model.config, 2)
    expected = processor.image_processor(Image.open(io.BytesIO(picture("red"))), return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(normalized(training_set.pixels[:1], processor), expected, rtol=0, atol=1e-4)
