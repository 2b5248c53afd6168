"""Which tokens a row becomes and which of them are learned, against LLaVA-1.5's own rules and over families."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import ExifTags, Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from stablellava_assets.text.conversations import Turn
from stablellava_assets.tuning.conversations import IGNORED
from stablellava_assets.tuning.pretrained.encoding import Encoder, with_system
from stablellava_assets.tuning.pretrained.errors import PretrainedTuningError
from stablellava_assets.tuning.pretrained.pictures import broken_pictures, picture_size
from stablellava_assets.tuning.pretrained.rows import MIX, TuningRow
from stablellava_assets_tests.fakes.tuning_checkpoints import FAMILIES, save_paligemma
from stablellava_assets_tests.tuning.tiny import picture, turns

SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the user's questions."
)
"""LLaVA-1.5's system sentence: conv_vicuna_v1 of its conversation.py."""

ENDS = {
    "llava": "</s>",
    "llava_next": "<|im_end|>",
    "idefics2": "<end_of_utterance>",
    "idefics3": "<end_of_utterance>",
    "gemma3": "<end_of_turn>",
    "mllama": "<|eot_id|>",
}


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

    The conversation is ``SYSTEM USER: <image>\\nquestion ASSISTANT: answer</s>USER: ...``. Of a round, everything up to
    and including ``ASSISTANT:`` is masked, and so is the first token; the end token is learned.
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
    batch = Encoder(processor, 512).batch(rows)
    for number, each in enumerate(rows):
        learned = batch["input_ids"][number][batch["labels"][number] != IGNORED]
        said = processor.tokenizer.decode(learned).replace("\n", "")
        answers = [turn["value"] for turn in each.conversations if turn["from"] == "gpt"]
        assert [part.strip() for part in said.split(ENDS[family])] == [*answers, ""]
    loss = model(**batch).loss
    loss.backward()
    assert torch.isfinite(loss)


@pytest.mark.parametrize("family", ["llava", "llava_next", "gemma3"])
def test_pictures_stand_in_the_places_of_their_marks(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    processor = AutoProcessor.from_pretrained(folders[family])
    encoder = Encoder(processor, 512)
    texts = ["<image>\nWhat is it?", "It is red.", "And what is it now?\n<image>", "It is blue, not red."]
    there, back = (encoder.batch([row(tmp_path, colors, *texts)]) for colors in (["red", "blue"], ["blue", "red"]))
    assert torch.equal(there["input_ids"], back["input_ids"])
    pixels = there["pixel_values"].flatten(0, -4 if family == "gemma3" else 0)
    assert torch.equal(pixels, back["pixel_values"].flatten(0, -4 if family == "gemma3" else 0).flip(0))
    assert not torch.equal(pixels[0], pixels[1])
    written = processor.tokenizer.decode(there["input_ids"][0])
    token = processor.image_token
    asked, told = written.index("What is it?"), written.index("It is red.")
    assert [token in part for part in (written[:asked], written[asked:told], written[told:])] == [True, False, True]
    learned = there["input_ids"][0][there["labels"][0] != IGNORED]
    assert [part.strip() for part in processor.tokenizer.decode(learned).split(ENDS[family])][:2] == [
        texts[1],
        texts[3],
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_lengths_are_exact_where_the_limit_is_near(family: str, folders: dict[str, Path], tmp_path: Path) -> None:
    processor = AutoProcessor.from_pretrained(folders[family])
    first = row(tmp_path, ["red", "blue"], "What is in the pictures <image> and <image>?", "Red.")
    others = [
        row(tmp_path, ["blue", "red"], "<image>\nWhat is it?", "It is blue.", "<image>\nIs it?", "It is red."),
        row(tmp_path, ["blue", "red"], "<image><image>?", "It is blue."),
        row(tmp_path, ["blue", "red"], "Is it?", "No.", "<image>?<image>?", "It is blue."),
    ]
    lengths = Encoder(processor, 512).batch(others)["attention_mask"].sum(1).tolist()
    for other, length in zip(others, lengths, strict=True):
        for limit in (length - 1, length):
            encoder = Encoder(processor, limit)
            encoder.length(first)
            assert encoder.length(other) == length


def test_a_template_that_ends_answers_in_words_is_named(folders: dict[str, Path], tmp_path: Path) -> None:
    processor = AutoProcessor.from_pretrained(folders["llava"])
    processor.chat_template = (
        "{% for message in messages %}{{ message['role'] + ': ' + message['content'][0]['text'] + ' over. ' }}{% "
        "endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"
    )
    with pytest.raises(ValueError, match=r"chat template ends an answer with no special token: it writes ' over. '"):
        Encoder(processor, 512).length(row(tmp_path, [], "Is it red?", "No."))


def test_a_family_whose_processor_labels_itself_is_refused_at_the_first_picture(tmp_path: Path) -> None:
    processor = AutoProcessor.from_pretrained(save_paligemma(tmp_path / "paligemma"))
    with pytest.raises(PretrainedTuningError, match="family cannot be tuned: PaliGemmaProcessor itself labels"):
        Encoder(processor, 512).length(row(tmp_path, ["red"], "<image>\nWhat color is it?", "It is red."))


def test_a_processor_that_changes_what_is_said_is_found_out(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor = AutoProcessor.from_pretrained(folders["llava"])
    replaced = type(processor).get_text_with_replacements

    def louder(self: Any, text: list[str], *rest: Any) -> Any:
        texts, places = replaced(self, text, *rest)
        return [text.replace("red.", "RED.") for text in texts], places

    monkeypatch.setattr(type(processor), "get_text_with_replacements", louder)
    encoder = Encoder(processor, 512)
    assert encoder.length(row(tmp_path, ["blue"], "<image>\nWhat color is it?", "It is blue.")) > 0
    for use in (lambda row: Encoder(processor, 512).length(row), lambda row: encoder.batch([row])):
        with pytest.raises(ValueError, match=r"the checkpoint's processor changes what is said: .*It is red"):
            use(row(tmp_path, ["red"], "<image>\nWhat color is it?", "It is red."))


@pytest.mark.parametrize(("family", "token"), [("gemma3", "<image_soft_token>"), ("mllama", "<|image|>")])
def test_words_that_stand_for_a_picture_are_no_words(
    family: str, token: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    encoder = Encoder(AutoProcessor.from_pretrained(folders[family]), 512)
    for colors, texts in (
        ([], [f"What does {token} stand for?", "A picture."]),
        (["red"], ["<image>\nWhat color is it?", f"{token} is red."]),
    ):
        with pytest.raises(ValueError, match=rf"a token that stands for a picture.*: {re.escape(token)}"):
            encoder.length(row(tmp_path, colors, *texts))


def test_pictures_are_seen_upright(folders: dict[str, Path], tmp_path: Path) -> None:
    upright = Image.new("RGB", (64, 32), "red")
    upright.paste("blue", (0, 0, 32, 32))
    upright.save(tmp_path / "upright.png")
    turned = upright.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    rows = [
        TuningRow(name, MIX, "", (str(tmp_path / f"{name}.png"),), tuple(turns("<image>\nWhat is it?", "It is red.")))
        for name in ("upright", "turned")
    ]
    encoder = Encoder(AutoProcessor.from_pretrained(folders["llava_next"]), 2048)
    one, other = (encoder.batch([each]) for each in rows)
    assert torch.equal(one["pixel_values"], other["pixel_values"])
    assert encoder.length(rows[0]) == encoder.length(rows[1]) == one["input_ids"].shape[1]


def test_pictures_that_cannot_be_decoded_are_found_without_the_head_telling(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jpg"
    Image.effect_noise((96, 96), 64).convert("RGB").save(whole)
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    (tmp_path / "text.jpg").write_text("no picture")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.XResolution] = 6, 72.0
    of_no_kind = exif.tobytes().replace(b"\x01\x1a\x00\x05", b"\x01\x1a\x00\x01")
    Image.new("RGB", (96, 96)).save(tmp_path / "exif.jpg", exif=of_no_kind)
    paths = [str(tmp_path / f"{name}.jpg") for name in ("whole", "cut", "text", "exif", "gone")]
    assert picture_size(paths[1]) == (96, 96)
    broken = broken_pictures(paths, 2, print)
    assert list(broken) == paths[1:]
    assert all(str(reason).startswith(f"picture cannot be decoded: {path}: ") for path, reason in broken.items())


@pytest.mark.parametrize("name", ["llava", "llava_next"])
def test_special_tokens_in_texts_are_no_text(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), "teal").save(tmp_path / "a.png")
    processor = AutoProcessor.from_pretrained(folders[name])
    encoder, end = Encoder(processor, 400), processor.tokenizer.eos_token

    def row(question: str, answer: str) -> TuningRow:
        said: tuple[Turn, ...] = ({"from": "human", "value": f"<image>\n{question}"}, {"from": "gpt", "value": answer})
        return TuningRow("r", "mix", "", (str(tmp_path / "a.png"),), said)

    plain = encoder.batch([row("What?", "A lamp.")])
    for exported in (f"A lamp.{end}", f"A lamp.{end}\n", f"A lamp. {end}"):
        assert encoder.batch([row("What?", exported)])["labels"].equal(plain["labels"])
        assert encoder.length(row("What?", exported)) == plain["input_ids"].shape[1]
    special = sorted(set(processor.tokenizer.all_special_tokens) - {processor.image_token})
    assert end in special
    for token in special:
        for question, answer in (
            (f"What {token}?", "A lamp."),
            ("What?", f"A {token} lamp."),
            ("What?", f"A lamp.{token}{end}"),
        ):
            with pytest.raises(ValueError, match=r"a turn holds a special token of the checkpoint's tokenizer: "):
                encoder.length(row(question, answer))
    with pytest.raises(ValueError, match="a turn is empty"):
        encoder.length(row("What?", end))
