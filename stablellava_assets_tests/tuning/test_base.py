"""The base model is built once for what determines it, and never asked what the benchmark asks."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stablellava_assets.abilities.catalog import Catalog, load_catalog
from stablellava_assets.abilities.new_ability import draft
from stablellava_assets.models.checkpoints import load_checkpoint
from stablellava_assets.models.folders import ModelFolders
from stablellava_assets.painters.base import FinishedImages, nothing_finished
from stablellava_assets.painters.embedded.painter import EmbeddedPainter
from stablellava_assets.painters.settings import EmbeddedPainterSettings
from stablellava_assets.tables.pair_rows import ImageRow
from stablellava_assets.tables.rows import AnyPlanned
from stablellava_assets.tuning.embedded.alignment import AlignmentCorpus
from stablellava_assets.tuning.embedded.base import prepare_base
from stablellava_assets.tuning.embedded.continuing import is_start
from stablellava_assets.tuning.embedded.reading import reading_conversations
from stablellava_assets.tuning.embedded.training_set import TrainingExample, as_seen, prepare
from stablellava_assets.tuning.settings import TuningSettings
from stablellava_assets_tests.tuning.tiny import MODEL, SETTINGS, model_and_processor, turns


@pytest.fixture(name="catalog", scope="module")
def _catalog() -> Catalog:
    return load_catalog()


def _painter(catalog: Catalog, size: int = 48) -> EmbeddedPainter:
    return EmbeddedPainter(EmbeddedPainterSettings(kind="embedded", size=size, workers=1), catalog)


def test_a_base_is_built_once(catalog: Catalog, tmp_path: Path) -> None:
    lines: list[str] = []
    first = prepare_base(SETTINGS, catalog, _painter(catalog), ModelFolders(tmp_path), lines.append)
    said = len(lines)
    assert prepare_base(SETTINGS, catalog, _painter(catalog), ModelFolders(tmp_path), lines.append) == first
    assert len(lines) == said > 0
    model, processor = load_checkpoint(first)
    assert model.config.image_seq_length == 4
    words = {word for ability in catalog.single.values() for answer in ability.answers for word in answer.split()}
    assert all(len(processor.tokenizer(f" {word}")["input_ids"]) == 1 for word in words if word.isalpha())


def test_another_model_or_another_picture_is_another_base(catalog: Catalog, tmp_path: Path) -> None:
    wider = TuningSettings(model=MODEL.model_copy(update={"text_width": 48}), stage=SETTINGS.stage)
    retuned = SETTINGS.model_copy(update={"stage": SETTINGS.stage.model_copy(update={"passes": 2})})
    paths = [
        prepare_base(settings, catalog, _painter(catalog, size), ModelFolders(tmp_path), lambda line: None)
        for settings, size in ((SETTINGS, 48), (wider, 48), (SETTINGS, 64), (retuned, 48))
    ]
    assert len(set(paths[:3])) == 3
    assert paths[3] == paths[0]


def test_an_ability_that_a_user_adds_gives_the_base_its_words_and_costs_no_training(tmp_path: Path) -> None:
    lines: list[str] = []
    models, own = ModelFolders(tmp_path), tmp_path / "own"
    own.mkdir()
    catalog = load_catalog(own=own)
    first = prepare_base(SETTINGS, catalog, _painter(catalog), models, lines.append)
    sprites = {"violin": "🎻", "saxophone": "🎷", "trumpet": "🎺", "drum": "🥁", "banjo": "🪕"}
    (own / "instrument.yaml").write_text(draft("instrument", sprites, catalog))
    larger = load_catalog(own=own)
    assert [*larger.own] == ["instrument"]
    assert {**larger.without_own}.keys() == {**catalog}.keys()
    said = len(lines)
    second = prepare_base(SETTINGS, larger, _painter(larger), models, lines.append)
    assert len(lines) == said
    assert second != first
    assert not is_start(second.name)
    known, knows_more = (load_checkpoint(each) for each in (first, second))
    assert len(known[1].tokenizer(" saxophone")["input_ids"]) > 1
    weights, larger_weights = (each[0].get_input_embeddings().weight for each in (known, knows_more))
    assert torch.equal(larger_weights[: len(weights)], weights)
    assert len(larger_weights) > len(weights)


class LastFirst(EmbeddedPainter):
    """Finishes its pictures in the opposite order, as several workers may."""

    def paint(self, planned: Sequence[AnyPlanned], finished: FinishedImages = nothing_finished) -> Iterable[ImageRow]:
        return reversed(list(super().paint(planned)))


def test_the_order_in_which_pictures_are_finished_changes_no_weight(catalog: Catalog, tmp_path: Path) -> None:
    settings = EmbeddedPainterSettings(kind="embedded", size=48, workers=1)
    weights = []
    for painter in (EmbeddedPainter(settings, catalog), LastFirst(settings, catalog)):
        folder = prepare_base(
            SETTINGS, catalog, painter, ModelFolders(tmp_path / type(painter).__name__), lambda line: None
        )
        weights.append((folder / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]


def _asked_by_abilities(catalog: Catalog) -> set[str]:
    single = {
        template
        for ability in catalog.single.values()
        for kind in ("what", "yes_no", "either_or")
        for template in (*getattr(ability.questions, kind).ask, *getattr(ability.benchmark, kind))
    }
    several = {
        template
        for ability in catalog.multi_image.values()
        for question in ability.questions
        for template in (*question.ask, *question.benchmark)
    }
    return single | several


def test_alignment_never_asks_what_the_benchmark_asks(catalog: Catalog) -> None:
    corpus = AlignmentCorpus(catalog, _painter(catalog), 60)
    examples = list(corpus.examples(lambda image_id, encoded: encoded))
    questions = {example.conversations[0]["value"].replace("<image>\n", "") for example in examples}
    assert all("picture" in asked or "caption" in asked for asked in questions)
    assert not questions & _asked_by_abilities(catalog)

    unlike = [each for each in examples if "unlike" in each.conversations[0]["value"]]

    def answers(several: bool, fit: bool) -> list[str]:
        chosen = [each for each in examples if (len(each.image_ids) > 1) is several and each not in unlike]
        turns = [each.conversations for each in chosen]
        return [turn[1]["value"] for turn in turns if ("fit" in turn[0]["value"]) is fit]

    verdicts = [said.rsplit(maxsplit=1)[-1] for said in answers(several=False, fit=True)]
    captions = answers(several=False, fit=False)
    short, whole = captions[::2], captions[1::2]
    assert len(short) == len(whole) == len(verdicts) == 60
    assert all(said.startswith(caption.rstrip(".")) for caption, said in zip(short, whole, strict=True))
    assert sum(said != caption for caption, said in zip(short, whole, strict=True)) > 40
    assert 20 < verdicts.count("yes.") < 40
    assert {len(example.image_ids) for example in examples} == {1, 2, 3}
    assert all(said.count(", then ") in (1, 2) for said in answers(several=True, fit=False))
    assert all(" first, " in said and " second" in said for said in answers(several=True, fit=True))
    of_several = {said.rsplit(maxsplit=1)[-1] for said in answers(several=True, fit=True)}
    assert of_several == {"yes.", "no.", "first.", "second.", "third."}
    assert len(unlike) > 20
    for example in unlike:
        said = re.fullmatch(r"This is (.+), so unlike them is the (\w+)\.", example.conversations[1]["value"])
        assert said is not None
        told, place = said.groups()
        assert len(re.findall(r"(.+?) (first|second|third)(?:, |$)", told)) == 3
        assert len(re.findall(rf"\b{place}\b", told)) == 1


@pytest.mark.parametrize("size", [(704, 704), (200, 300), (40, 500), (48, 48)])
def test_images_of_any_size_are_kept_as_the_model_sees_them(size: tuple[int, int]) -> None:
    model, processor = model_and_processor()
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    png = io.BytesIO()
    Image.fromarray(pixels).save(png, "PNG")
    kept = as_seen(processor)("p1", png.getvalue())
    assert len(kept) < 4 * 3 * MODEL.image_size**2
    both = [
        prepare([TrainingExample(["p1"], [encoded], turns("<image>\nWhat?", "Red"))], processor, model.config, 2).pixels
        for encoded in (png.getvalue(), kept)
    ]
    assert torch.equal(*both)
    with pytest.raises(ValueError, match="picture p1 cannot be decoded"):
        as_seen(processor)("p1", b"no image")


def test_the_language_model_reads_nothing_that_the_catalog_asks(catalog: Catalog) -> None:
    conversations = reading_conversations(catalog, 390)
    said = [[part["content"][0]["text"] for part in messages] for messages in conversations]
    openings = {template.split("{")[0] for template in _asked_by_abilities(catalog)}
    assert not any(question.startswith(tuple(openings)) for question, _ in said)
    verdicts = [answer.rsplit(maxsplit=1)[-1] for _, answer in said if answer.endswith(("yes.", "no."))]
    assert len(verdicts) > 200
    assert 0.4 < verdicts.count("yes.") / len(verdicts) < 0.6
    of_several = [answer for question, answer in said if len(re.findall(r", then | first, | second[,.]", question)) > 1]
    assert 200 < len(of_several) <= 260
    assert {answer.rsplit(maxsplit=1)[-1] for answer in of_several} == {"yes.", "no.", "first.", "second.", "third."}
    assert reading_conversations(catalog, 500)[:390] == conversations
