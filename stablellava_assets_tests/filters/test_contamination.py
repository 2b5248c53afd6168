"""Training pairs held against images that the profile names, by hash and by embedding, and what is reported of it."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from stablellava_assets.evaluation.fingerprints import benchmark_fingerprints
from stablellava_assets.filters import kept_prints
from stablellava_assets.filters.avoided import AvoidedError
from stablellava_assets.filters.benchmark_fingerprints import BenchmarkFingerprints
from stablellava_assets.filters.contamination import contamination_of, contamination_report
from stablellava_assets.filters.embeddings.embeddings import Embeddings
from stablellava_assets.filters.embeddings.encoders import ImageEncoder
from stablellava_assets.filters.rules.examine import settings_key
from stablellava_assets.filters.settings import DuplicateSettings, FilterSettings
from stablellava_assets.pictures.decoding import upright
from stablellava_assets.pictures.encoding import perceptual_hash
from stablellava_assets.profiles.profile import BUILT_IN_PROFILES, Profile
from stablellava_assets.tables.schemas import CONTAMINATION
from stablellava_assets_tests.filters.pairs import candidate, images_of, judge, noise_png, png
from stablellava_assets_tests.filters.published_pairs import Published
from stablellava_assets_tests.tables.made_up import Row
from stablellava_assets_tests.verdicts import explanations, notes, reasons


def photo(name: str, side: int = 96) -> Image.Image:
    """A picture with large shapes, one for every name."""
    with Image.open(io.BytesIO(noise_png(f"photo {name}", 6))) as few:
        return few.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)


def encoded(picture: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, quality=85)
    return buffer.getvalue()


def pair(name: str, picture: bytes, **changes: Any) -> Any:
    place: Row = {"side": 96, "prompt": f"((koala)), {name}, 8k", "answer": f"A koala by the {name}."}
    return candidate(name, picture=picture, looks=perceptual_hash(upright(picture)), **{**place, **changes})


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A folder with pictures of someone's benchmark, one of them a training picture, recompressed and a little
    smaller."""
    folder = tmp_path / "theirs"
    (folder / "val").mkdir(parents=True)
    (folder / "README.md").write_text("ours")
    (folder / "val" / "planted.jpg").write_bytes(encoded(photo("river").resize((88, 88)), "JPEG"))
    (folder / "other.png").write_bytes(encoded(photo("other")))
    return folder


def avoiding(*entries: Row, **more: Any) -> FilterSettings:
    return FilterSettings.model_validate({"avoid": list(entries), **more})


def prints(settings: FilterSettings, folder: Path, embeddings: Embeddings | None = None) -> BenchmarkFingerprints:
    return benchmark_fingerprints([], lambda wanted: iter(()), [], settings, folder / "prints", embeddings)


def test_a_recompressed_and_resized_training_picture_is_found_and_no_other(planted: Path, tmp_path: Path) -> None:
    settings = avoiding({"name": "theirs", "images": planted})
    pairs = [pair("river", encoded(photo("river"))), pair("meadow", encoded(photo("meadow")))]
    found, unrelated = judge(pairs, [], prints(settings, tmp_path), settings).rows
    assert reasons(found) == ["contaminated_image"]
    assert "theirs val/planted.jpg" in explanations(found)[0]
    assert reasons(unrelated) == []


def test_parquet_files_of_the_hub_are_read_with_their_questions(tmp_path: Path) -> None:
    rows: list[Row] = [
        {"image": {"bytes": encoded(photo("river"), "JPEG"), "path": None}, "question": "What is going on here??"},
        {"image": None, "question": None},
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "test-00000.parquet")
    pq.write_table(pa.table({"picture": [encoded(photo("sea"))]}), tmp_path / "plain.parquet")
    settings = avoiding({"name": "theirs", "images": tmp_path})
    pairs = [pair(name, encoded(photo(name))) for name in ("river", "sea", "meadow")]
    river, sea, meadow = judge(pairs, [], prints(settings, tmp_path / "kept"), settings).rows
    assert "theirs test-00000.parquet: row 1:" in explanations(river)[0]
    assert "theirs plain.parquet: row 1:" in explanations(sea)[0]
    assert reasons(meadow) == []
    assert notes(meadow)[-1].startswith("benchmark_question: Benchmark item theirs test-00000.parquet: row 1")


def test_each_image_is_decoded_once_whatever_is_touched_or_added(
    planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[bytes] = []

    def noting(picture: bytes) -> Any:
        decoded.append(picture)
        return upright(picture)

    monkeypatch.setattr(kept_prints, "upright", noting)
    pq.write_table(pa.table({"image": [encoded(photo("sea"))]}), planted / "more.parquet")
    settings = avoiding({"name": "theirs", "images": planted})
    before = prints(settings, tmp_path).sizes
    assert (before, len(decoded)) == ({"theirs": 3}, 3)
    for file in planted.rglob("*.*"):
        os.utime(file, (1, 1))
    assert prints(settings, tmp_path).sizes == before
    assert len(decoded) == 3
    (planted / "later.png").write_bytes(encoded(photo("later")))
    (planted / "other.png").write_bytes(encoded(photo("replaced")))
    assert prints(settings, tmp_path).sizes == {"theirs": 4}
    assert len(decoded) == 5


def test_what_is_avoided_is_part_of_no_row_key_and_finds_what_was_kept(planted: Path, tmp_path: Path) -> None:
    settings = avoiding({"name": "theirs", "images": planted})
    assert settings_key(settings) == settings_key(FilterSettings())
    pairs = [pair("river", encoded(photo("river")))]
    kept = judge(pairs, [], prints(FilterSettings(), tmp_path), FilterSettings())
    again = judge(pairs, [], prints(settings, tmp_path), settings, previous=kept.rows)
    assert (reasons(kept.rows[0]), reasons(again.rows[0])) == ([], ["contaminated_image"])
    assert (again.reused, again.rows[0]["row_key"]) == (1, kept.rows[0]["row_key"])


def test_what_cannot_be_read_is_told_in_a_sentence_that_names_the_setting(planted: Path, tmp_path: Path) -> None:
    (planted / "cut.png").write_bytes(encoded(photo("cut"))[:90])
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
    pq.write_table(pa.table({"question": ["Why?"]}), tmp_path / "texts.parquet")
    for path, reason in {
        planted: "the image cut.png cannot be decoded",
        tmp_path / "none": "there is no folder or file",
        tmp_path / "empty": "holds neither images nor .parquet files",
        tmp_path / "bad.parquet": "cannot be read as Parquet",
        tmp_path / "texts.parquet": "has no column of images",
    }.items():
        with pytest.raises(AvoidedError, match=f"^filters.avoid, theirs: .*{reason}") as told:
            prints(avoiding({"name": "theirs", "images": path}), tmp_path)
        assert "\n" not in str(told.value)


def test_two_benchmarks_never_share_a_name() -> None:
    for names in (["theirs", "theirs"], ["ai"]):
        document = yaml.safe_load((BUILT_IN_PROFILES / "embedded.yaml").read_text())
        document["filters"] = {"avoid": [{"name": name, "images": "theirs"} for name in names]}
        with pytest.raises(ValueError, match="is taken; give it another name"):
            Profile.model_validate(document)


@pytest.fixture(scope="module")
def tower(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A CLIP with random weights."""
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    torch.manual_seed(0)
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = {**small, "image_size": 32, "patch_size": 8}
    folder = tmp_path_factory.mktemp("clip")
    CLIPModel(
        CLIPConfig(text_config={**small, "vocab_size": 64}, vision_config=vision, projection_dim=16)
    ).save_pretrained(folder)
    size = {"height": 32, "width": 32}
    CLIPImageProcessor(size=size, crop_size=size, do_center_crop=False).save_pretrained(folder)
    return str(folder)


def test_images_that_hashes_miss_are_found_by_embedding_and_encoded_once(
    tower: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The pairs' perceptual hashes are made up, so that none is near.
    ramp = np.linspace(20, 200, 24).astype(np.uint8)[None, :, None].repeat(24, 0).repeat(3, 2)
    theirs, ours = png(ramp), png(np.clip(ramp.astype(int) + 12, 0, 255).astype(np.uint8))
    (tmp_path / "theirs.png").write_bytes(theirs)
    model = {"model": tower, "near_benchmark_image": 0.999}
    settings = avoiding({"name": "theirs", "images": tmp_path / "theirs.png"}, duplicates={"embedded_images": model})
    pairs = [
        candidate("tilted", picture=ours),
        candidate("noise", picture=noise_png("any"), answer="A koala by the noise."),
    ]
    encoded_images: list[bytes] = []
    encode = ImageEncoder.encode

    def noting(self: ImageEncoder, some: list[bytes]) -> Any:
        encoded_images.extend(some)
        return encode(self, some)

    monkeypatch.setattr(ImageEncoder, "encode", noting)
    for _ in range(2):
        embeddings = Embeddings(settings.duplicates, tmp_path / "vectors")
        embeddings.load([each.compared for each in pairs], images_of(pairs))
        known = prints(settings, tmp_path, embeddings)
        found, unrelated = judge(pairs, [], known, settings, embeddings=embeddings).rows
        assert reasons(found) == ["contaminated_image"]
        assert explanations(found)[0].startswith(
            "The picture shows what that of benchmark item theirs theirs.png does: their cosine is "
        )
        assert reasons(unrelated) == []
        (row,) = CONTAMINATION.rows(contamination_of(("animal", "0001"), [found, unrelated], known, embeddings))
        assert row["images"] == found["image_ids"]
    assert sorted(encoded_images) == sorted({theirs, ours, noise_png("any")})
    without = FilterSettings(avoid=settings.avoid, duplicates=DuplicateSettings())
    assert reasons(judge(pairs, [], prints(without, tmp_path), without).rows[0]) == []


def test_the_report_counts_images_questions_and_items_of_every_benchmark(planted: Path, tmp_path: Path) -> None:
    rows = [
        {"image": encoded(photo("sea")), "question": question} for question in ("What is it?", "Where is this koala?")
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "asked.parquet")
    settings = avoiding({"name": "theirs", "images": planted}, {"name": "asked", "images": tmp_path / "asked.parquet"})
    known = prints(settings, tmp_path)
    store = Published(tmp_path, settings).store
    shared = [
        pair("river", encoded(photo("river"))),
        pair("river again", encoded(photo("river")), question="<image>\nWhere is this koala?"),
        pair("meadow", encoded(photo("meadow")), question="<image>\nWhat is  it?"),
    ]
    for partition, pairs in {
        ("animal", "0001"): shared,
        ("animal", "0002"): [pair("sea", encoded(photo("sea"), "JPEG"))],
    }.items():
        published = Published(tmp_path, settings)
        verdicts = published.judge(partition, pairs)
        store.publish(CONTAMINATION, partition, contamination_of(partition, verdicts, known))
    report = contamination_report(store, ["asked", "added since"])
    assert {each.benchmark: each.counts for each in report.overlaps} == {
        "asked": [2, 1, 2, 2, 2],
        "theirs": [2, 2, 1, 0, 0],
    }
    assert report.uncompared == [("added since", [("animal", "0001"), ("animal", "0002")])]
