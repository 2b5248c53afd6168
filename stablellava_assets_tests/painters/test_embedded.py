import hashlib
import io
from typing import Any

import imagehash
import numpy as np
import pytest
from PIL import Image

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.painters.embedded.lexicon import Lexicon, LexiconError
from stablellava_assets.tables.schemas import IMAGES
from stablellava_assets_tests.painters.specs import CATALOG, SIZE, painted, painter, spec
from stablellava_assets_tests.tables.made_up import but

PROMPT = "((elephant)), beach, on the left, far away, vibrant, 8k"


def with_another_elephant(change: dict[str, Any]) -> Ability:
    """The ability animal with ``change`` made to its elephant."""
    content = CATALOG.single["animal"].model_dump()
    content["subjects"] = [
        subject | change if subject["name"] == "elephant" else subject for subject in content["subjects"]
    ]
    return Ability.model_validate(content)


def test_rows_fit_the_table_and_hold_a_picture_of_the_given_size() -> None:
    (row,) = painted(spec(PROMPT))
    IMAGES.from_rows([but(row, run_id="a run")])
    picture = Image.open(io.BytesIO(row["image"]["bytes"]))
    assert (picture.format, picture.size, picture.mode) == ("PNG", (SIZE, SIZE), "RGB")
    assert (row["width"], row["height"]) == (SIZE, SIZE)
    assert row["image"]["path"] == f"{row['image_id']}.png"
    assert row["sha256"] == hashlib.sha256(row["image"]["bytes"]).hexdigest()
    assert row["perceptual_hash"] == str(imagehash.phash(picture))
    assert row["status"] == "made"


def test_a_picture_is_the_same_alone_and_in_a_batch() -> None:
    specs = [spec(PROMPT, seed) for seed in range(8)] + [spec("((watercolor)), car", 3), spec("((red hair))", 4)]
    together = painted(*reversed(specs))[::-1]
    alone = [painted(each)[0] for each in specs]
    assert together == alone


def test_seeds_give_different_pictures() -> None:
    pictures = {row["sha256"] for row in painted(*(spec("((turtle))", seed) for seed in range(20)))}
    assert len(pictures) == 20


def test_what_cannot_be_drawn_is_a_failed_row_that_names_it() -> None:
    roujiamo, turtle = painted(spec("((Roujiamo)), kitchen, 8k"), spec("((turtle))"))
    assert (roujiamo["status"], roujiamo["reason"]) == ("failed", "no sprite for 'Roujiamo'")
    assert roujiamo["image"] is roujiamo["sha256"] is roujiamo["width"] is None
    IMAGES.from_rows([but(roujiamo, run_id="a run")])
    assert turtle["status"] == "made"


def test_a_style_without_anything_to_show_fails() -> None:
    (row,) = painted(spec("((pixel art)), vibrant"))
    assert row["status"] == "failed"
    assert "nothing to show" in row["reason"]


def test_only_keywords_without_effect_are_listed_as_ignored() -> None:
    (row,) = painted(
        spec("((Elephants)), in the forest, long trunk, on the right, soft light, Highly Detailed, giraffe")
    )
    assert row["ignored_keywords"] == ["long trunk", "giraffe"]


@pytest.mark.parametrize(
    "prompt", ["((elephant, beach", "(elephant)), beach", "elephant, beach", "((elephant)) , beach"]
)
def test_a_subject_is_found_where_the_brackets_are_not_in_order(prompt: str) -> None:
    assert (
        painted(spec(prompt, spec_id="x"))[0]["sha256"]
        == painted(spec("((elephant)), beach", spec_id="x"))[0]["sha256"]
    )


@pytest.mark.parametrize("prompt", ["", "((", "(()), beach", "apple) ((pie, kitchen"])
def test_a_prompt_without_a_clear_subject_fails(prompt: str) -> None:
    assert painted(spec(prompt))[0]["status"] == "failed"


def test_position_words_move_the_subject() -> None:
    def center_of_mass(place: str) -> float:
        shift = []
        for row in painted(*(spec(f"((black umbrella)), far away, {place}", seed) for seed in range(12))):
            grey = np.asarray(Image.open(io.BytesIO(row["image"]["bytes"])).convert("L"), dtype=float)
            dark = np.clip(110 - grey, 0, None).sum(axis=0)
            shift.append((dark * np.arange(SIZE)).sum() / dark.sum())
        return float(np.mean(shift))

    left, middle, right = (center_of_mass(place) for place in ("on the left", "in the center", "on the right"))
    assert left + 10 < middle < right - 10


def test_changing_one_sprite_moves_only_the_keys_of_its_pictures() -> None:
    specs = [spec("((elephant)), beach"), spec("((lion)), beach"), spec("((beach)), elephant"), spec("((beach)), lion")]
    changed = Catalog({**CATALOG, "animal": with_another_elephant({"sprites": ["🦣"]})})
    before, after = painter().plan(specs), painter(catalog=changed).plan(specs)
    assert [old.row_id for old in before] == [new.row_id for new in after]
    assert [old.row_key == new.row_key for old, new in zip(before, after, strict=True)] == [False, True, False, True]


def test_size_and_seed_are_part_of_the_key() -> None:
    (small,), (large,) = painter(size=72).plan([spec(PROMPT)]), painter(size=144).plan([spec(PROMPT)])
    assert small.row_key != large.row_key
    first, second = painter().plan([spec(PROMPT, 1), spec(PROMPT, 2)])
    assert first.row_key != second.row_key


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sprites": None, "effect": "marquetry"}, "no effect 'marquetry'.*watercolor"),
        ({"sprites": ["🐘🐘"]}, "has no picture of '🐘🐘' \\(U\\+1F418 U\\+1F418\\)"),
        ({"name": "Lions"}, "reads like 'lion'|reads like 'Lions'"),
    ],
)
def test_a_catalog_that_cannot_be_drawn_is_refused_at_once(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(LexiconError, match=reason) as error:
        Lexicon(Catalog({"animal": with_another_elephant(change)}))
    assert "ability 'animal'" in str(error.value)


@pytest.mark.parametrize("ability", list(CATALOG.single))
def test_every_subject_of_every_ability_is_painted(ability: str) -> None:
    shows = ", elephant" if ability == "style" else ""
    subjects = [subject.name for subject in CATALOG.single[ability].drawn_subjects]
    rows = painted(*(spec(f"(({name})){shows}") for name in subjects))
    assert {row["reason"] for row in rows} == {None}


def test_spellings_of_a_phrase_are_one() -> None:
    lexicon = Lexicon(CATALOG)
    for phrase in (
        "cactus",
        "Cactus",
        "cacti",
        "the cactus",
        "pine-tree",
        "Pine trees",
        "t shirts",
        "in the city street",
    ):
        assert phrase in lexicon
    for phrase in ("cactuses and more", "treehouse", ""):
        assert phrase not in lexicon
