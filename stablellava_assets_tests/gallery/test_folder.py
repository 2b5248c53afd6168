"""What the gallery puts on disk, what of it is written again, and which pairs it draws."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stablellava_assets.filters.review.reviews import Review
from stablellava_assets.filters.settings import FilterSettings
from stablellava_assets.gallery.entries import names_of
from stablellava_assets.gallery.folder import GalleryError
from stablellava_assets.gallery.sample import sample
from stablellava_assets.tables.findings import is_rejected
from stablellava_assets.tables.schemas import ALIGNMENT_SCORES
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets_tests.filters.pairs import of_group, picture_of, png
from stablellava_assets_tests.gallery.galleries import gallery_of, many_pairs
from stablellava_assets_tests.published_pairs import ANIMALS, animal, publish, publish_rows
from stablellava_assets_tests.tables.made_up import Row
from stablellava_assets_tests.verdicts import found


def manifest(folder: Path) -> dict[str, Any]:
    text = (folder / "manifest.js").read_text().strip()
    content: dict[str, Any] = json.loads(text.removeprefix("gallery.manifest(").removesuffix(");"))
    return content


def entries(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for path in sorted(folder.glob("batches/*/pairs.js")):
        arguments = path.read_text().strip().removeprefix("gallery.batch(").removesuffix(");")
        found += json.loads(f"[{arguments}]")[1]
    return found


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_every_pair_is_on_the_page_with_its_picture_and_scores(tmp_path: Path) -> None:
    pairs = [animal("koala"), animal("owl", answer="A tram stops.")]
    gallery = gallery_of(publish(tmp_path / "tables", pairs), tmp_path / "page")
    assert gallery.publish() == 1
    kept, rejected = entries(tmp_path / "page")
    assert (kept["id"], kept["verdict"], rejected["id"], rejected["verdict"]) == ("koala", "kept", "owl", "rejected")
    assert rejected["reasons"] == [["subject_not_named", "No word of the answer is a form of 'owl'."]]
    assert ["answer_words", 6, 120, "at most", False] in kept["scores"]
    (name,) = kept["pictures"]
    (picture,) = (tmp_path / "page/batches").glob(f"*/{name}")
    assert picture.read_bytes() == picture_of(pairs[0])
    (batch,) = manifest(tmp_path / "page")["batches"]
    assert (batch["shown"], batch["kept"], batch["rejected"]) == (2, 1, 1)
    assert batch["reasons"] == [["subject_not_named", 1, 1]]


def test_a_pair_about_several_images_has_all_of_them_and_their_prompts_in_order(tmp_path: Path) -> None:
    koala, owl = animal("koala"), animal("owl", picture=b"no picture")
    pair = of_group("pair", koala, owl)
    gallery_of(publish(tmp_path / "tables", [pair, koala]), tmp_path / "page").publish()
    alone, both = entries(tmp_path / "page")
    assert (alone["prompts"], both["prompts"]) == (["((koala)), meadow"], ["((koala)), meadow", "((owl)), meadow"])
    assert both["pictures"] == [alone["pictures"][0], None]
    assert both["reasons"][0][1].startswith("Picture 2: the picture cannot be decoded")


def test_an_unchanged_batch_is_not_written_again(tmp_path: Path) -> None:
    store = publish(tmp_path / "tables", [animal("koala")])
    publish(tmp_path / "tables", [animal("owl")], partition=("color", "0001"))
    gallery = gallery_of(store, tmp_path / "page")
    assert gallery.publish() == 2
    before = files(tmp_path / "page")
    assert gallery.publish() == 0
    assert files(tmp_path / "page") == before
    publish(tmp_path / "tables", [animal("owl"), animal("lynx")], partition=("color", "0001"))
    assert gallery.publish() == 1
    after = files(tmp_path / "page")
    assert {path for path in before if "animal-0001" in str(path)} <= {
        path for path, written in after.items() if before.get(path) == written
    }
    assert len(list((tmp_path / "page/batches").iterdir())) == 2


def test_other_thresholds_are_shown_anew(tmp_path: Path) -> None:
    store = publish(tmp_path / "tables", [animal("koala")])
    assert gallery_of(store, tmp_path / "page").publish() == 1
    assert gallery_of(store, tmp_path / "page", borderline=0.2).publish() == 1
    assert gallery_of(store, tmp_path / "page", borderline=0.2, every_pair=True).publish() == 1


def test_a_score_close_to_its_threshold_is_borderline(tmp_path: Path) -> None:
    tags = ", ".join(f"tag {number}" for number in range(13))
    pairs = [
        animal("koala"),
        animal("owl", prompt=f"((owl)), {tags}"),
        animal("lynx", prompt=f"((lynx)), {tags}, more, most"),
    ]
    gallery_of(publish(tmp_path / "tables", pairs), tmp_path / "page").publish()
    found = {pair["id"]: (pair["verdict"], pair["borderline"]) for pair in entries(tmp_path / "page")}
    assert found == {"koala": ("kept", False), "lynx": ("rejected", True), "owl": ("kept", True)}


def test_what_a_picture_scored_is_shown_and_may_be_borderline(tmp_path: Path) -> None:
    store = publish(tmp_path / "tables", [animal("koala"), animal("owl")])
    asked = {"subject": {"model": "previous", "min_score": 0.3, "of_ability": {"animal": 0.5}}}
    filters = FilterSettings.model_validate({"alignment": {"facts": {"ask": asked}}})
    gallery = gallery_of(store, tmp_path / "page", filters=filters)
    gallery.publish()
    assert not any(pair["borderline"] for pair in entries(tmp_path / "page"))
    publish_rows(
        store,
        ALIGNMENT_SCORES,
        ("animal", "0001"),
        [
            {"image_id": pair.image["image_id"], "scorer": "facts", "fact": fact, "claim": claim, "score": score}
            for pair, fact, claim, score in (
                (animal("koala"), "subject", "koala", 0.52),
                (animal("koala"), "scene", "meadow", 0.9),
                (animal("owl"), "subject", "owl", 0.99),
            )
        ],
    )
    assert gallery.publish() == 1
    koala, owl = entries(tmp_path / "page")
    assert (koala["borderline"], owl["borderline"]) == (True, False)
    assert koala["scores"][-1] == ["facts, subject: koala", 0.52, 0.5, "at least", True]
    assert owl["scores"][-1] == ["facts, subject: owl", 0.99, 0.5, "at least", False]


def test_large_pictures_are_scaled_and_broken_ones_left_out(tmp_path: Path) -> None:
    large = png(np.random.default_rng(0).integers(0, 256, (400, 800, 3), dtype=np.uint8))
    pairs = [animal("koala", picture=large), animal("owl", picture=b"no picture")]
    gallery_of(publish(tmp_path / "tables", pairs), tmp_path / "page", picture_side=64).publish()
    koala, owl = entries(tmp_path / "page")
    assert owl["pictures"] == [None]
    assert "broken_image" in dict(owl["reasons"])
    (path,) = (tmp_path / "page/batches").glob(f"*/{koala['pictures'][0]}")
    with Image.open(io.BytesIO(path.read_bytes())) as shown:
        assert shown.size == (64, 32)


def test_a_sample_shows_every_reason_and_all_that_people_decided_about(tmp_path: Path) -> None:
    owls = [
        animal(f"owl {number:02d}", subject="owl", prompt="((owl)), barn", answer="An owl.") for number in range(12)
    ]
    pairs = [*(animal(name) for name in ANIMALS), *owls, animal("zebra", answer="A tram stops.")]
    decided = Review(pair_id="owl 11", decision="keep", reviewer="Ada")
    store = publish(tmp_path / "tables", pairs, {"owl 11": decided})
    gallery_of(store, tmp_path / "page", pairs_per_batch=6).publish()
    shown = entries(tmp_path / "page")
    assert len(shown) == 7
    assert sum(pair["verdict"] == "kept" and not pair["reviewed"] for pair in shown) == 3
    assert {reason for pair in shown for reason, _ in pair["reasons"]} >= {"repeated_prompt", "subject_not_named"}
    assert [pair["id"] for pair in shown if pair["reviewed"]] == ["owl 11"]
    (batch,) = manifest(tmp_path / "page")["batches"]
    assert (batch["shown"], batch["kept"] + batch["rejected"]) == (7, len(pairs))


def test_what_one_group_does_not_fill_goes_to_the_others() -> None:
    kept: list[Row] = [named(f"k{n}") for n in range(8)]
    rejected: list[Row] = [named(f"r{n}", "x") for n in range(2)]
    pairs = kept + rejected
    nothing = [False] * len(pairs)
    assert [pairs[at]["pair_id"] for at in sample(pairs, nothing, 6)] == ["k0", "k1", "k2", "k3", "r0", "r1"]
    assert len(sample(rejected * 4, [False] * 8, 6)) == 6
    assert sample(pairs, nothing, None) == list(range(10))


def test_a_reason_that_never_comes_first_is_shown_as_well() -> None:
    pairs = [named(f"r{n:02d}", "x y" if n == 20 else "x") for n in range(30)]
    assert 20 in sample(pairs, [False] * 30, 4)


def named(pair_id: str, reasons: str = "", notes: str = "") -> Row:
    return {"pair_id": pair_id, "findings": found(reasons, notes)}


RULES = [
    *(named(f"a{n:02d}") for n in range(20)),
    *(named(f"b{n:02d}", "x") for n in range(20)),
    named("c", "x y"),
    named("d", "z"),
    named("e", "x w"),
    named("f", "v", "n"),
    *(named(f"g{n:02d}", notes="n") for n in range(3)),
    named("h", notes="m"),
]
"""Twenty kept, five reasons of which four are rare, two notes."""


@pytest.mark.parametrize(
    ("count", "shown"), [(1, "vn"), (2, "vnwx"), (3, "vnwxy"), (4, "vnwxyz"), (5, "vnwxyzm"), (30, "vnwxyzm")]
)
def test_every_reason_is_shown_and_every_note_as_far_as_there_is_room(count: int, shown: str) -> None:
    chosen = sample(RULES, [False] * len(RULES), count)
    assert len(chosen) == count
    assert {rule for at in chosen for rule in names_of(RULES[at])} == set(shown)


@pytest.mark.parametrize(("count", "kept"), [(5, 1), (6, 2), (9, 5), (10, 5), (30, 15), (45, 23)])
def test_half_of_a_sample_is_kept_where_reasons_leave_room(count: int, kept: int) -> None:
    chosen = sample(RULES, [False] * len(RULES), count)
    assert sum(not is_rejected(RULES[at]["findings"]) for at in chosen) == kept


def test_no_room_goes_to_a_reason_that_a_decided_pair_has() -> None:
    pairs = [named("a", "y"), named("b", "z"), named("c", "x"), named("i", "y rejected_by_review")]
    assert [pairs[at]["pair_id"] for at in sample(pairs, [False] * 4, 2)] == ["b", "c", "i"]


def test_a_page_of_other_batches_replaces_what_was_shown(tmp_path: Path) -> None:
    store = many_pairs(tmp_path / "tables", 64)
    gallery = gallery_of(store, tmp_path / "page")
    gallery.publish()
    gallery.publish([("food", "0001")])
    assert [batch["ability"] for batch in manifest(tmp_path / "page")["batches"]] == ["food"]
    assert len(list((tmp_path / "page/batches").iterdir())) == 1


def test_the_page_knows_its_project_by_where_the_tables_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def project(tables: str, page: str) -> str:
        gallery_of(ParquetStore(tables), tmp_path / page).publish()
        return str(manifest(tmp_path / page)["project"])

    monkeypatch.chdir(tmp_path)
    one = project("one/tables", "page")
    assert one == project(str(tmp_path / "one/tables"), "everything")
    assert one != project("other/tables", "page")
    assert str(tmp_path) not in (tmp_path / "page/manifest.js").read_text()


def test_a_manifest_that_cannot_be_read_is_written_anew(tmp_path: Path) -> None:
    gallery = gallery_of(publish(tmp_path / "tables", [animal("koala")]), tmp_path / "page")
    gallery.publish()
    (tmp_path / "page/manifest.js").write_text("gallery.manifest({")
    assert gallery.publish() == 1
    assert len(manifest(tmp_path / "page")["batches"]) == 1


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "page").write_text("a file")
    store = ParquetStore(str(tmp_path / "tables"))
    with pytest.raises(GalleryError, match=r"page: the gallery cannot be written"):
        gallery_of(store, tmp_path / "page").publish()


@pytest.mark.parametrize("name", ["thesis.txt", "batches/mine/thesis.txt"])
def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path, name: str) -> None:
    precious = tmp_path / "page" / name
    precious.parent.mkdir(parents=True)
    precious.write_text("years of work")
    store = publish(tmp_path / "tables", [animal("koala")])
    with pytest.raises(GalleryError, match="holds something other than a gallery"):
        gallery_of(store, tmp_path / "page").publish()
    assert [path for path in (tmp_path / "page").rglob("*") if path.is_file()] == [precious]
