"""What the ablations under benchmarks/ change about pairs, and what else they leave as it is."""

from __future__ import annotations

import importlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from stablellava_assets.abilities.catalog import BUILT_IN_ABILITIES, Catalog, load_catalog
from stablellava_assets.abilities.questions import absent_subjects
from stablellava_assets.authors.embedded.author import EmbeddedAuthor
from stablellava_assets.evaluation.scores.statistics import paired_difference
from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.tuning.embedded.training import TrainingExample
from stablellava_assets_tests.filters.pairs import picture_of
from stablellava_assets_tests.project import ROOT
from stablellava_assets_tests.tables.made_up import Row

PICTURES = 20


@pytest.fixture(scope="module")
def benchmarks() -> Iterator[None]:
    """The folder from which the benchmarks' modules are imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield


@pytest.fixture(scope="module")
def designs(benchmarks: None) -> ModuleType:
    return importlib.import_module("ablation_designs")


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog(BUILT_IN_ABILITIES)


@pytest.fixture(scope="module")
def written(catalog: Catalog) -> list[Candidate]:
    """A batch of two abilities; in one of them another thing may have the same answer."""
    author, candidates = EmbeddedAuthor(), []
    for ability in (catalog.single["animal"], catalog.single["color"]):
        specs: list[Row] = list(author.write_prompts(author.plan_prompts(ability, "0001", PICTURES)))
        painted = [(spec, picture(spec["spec_id"])) for spec in specs]
        by_image = {image["image_id"]: (spec, image) for spec, image in painted}
        dialogues: list[Row] = author.write_dialogues(author.plan_dialogues(ability, painted))
        for dialogue in dialogues:
            candidates.append(Candidate(dialogue, *by_image[dialogue["image_ids"][0]]))
    return candidates


@pytest.fixture(scope="module")
def kept(written: list[Candidate]) -> list[tuple[Row, TrainingExample]]:
    return [
        (
            {**each.dialogue, "subject": each.spec["subject"]},
            TrainingExample([each.image["image_id"]], [picture_of(each)], each.dialogue["conversations"]),
        )
        for each in written
    ]


def picture(spec_id: str) -> Row:
    encoded = f"picture of {spec_id}".encode()
    return {"image_id": f"image of {spec_id}", "spec_id": spec_id, "image": {"bytes": encoded}, "sha256": spec_id}


def test_a_share_of_the_pictures_of_each_ability_is_swapped_and_nothing_else(
    designs: ModuleType, catalog: Catalog, written: list[Candidate]
) -> None:
    swapped, wrong = designs.swap_pictures(written, catalog, 0.2, "seed", 0)
    changed = {new.image["image_id"] for old, new in zip(written, swapped, strict=True) if new.image != old.image}
    assert changed == wrong
    abilities = {each.image["image_id"]: each.dialogue["ability"] for each in written}
    assert Counter(abilities[image_id] for image_id in wrong) == {"animal": 4, "color": 4}
    for old, new in zip(written, swapped, strict=True):
        assert (new.dialogue, new.spec) == (old.dialogue, old.spec)
        assert [new.image[name] for name in ("image_id", "spec_id")] == [
            old.image[name] for name in ("image_id", "spec_id")
        ]
    assert Counter(picture_of(each) for each in swapped) == Counter(picture_of(each) for each in written)


def test_a_swapped_picture_shows_what_makes_the_answer_wrong(
    designs: ModuleType, catalog: Catalog, written: list[Candidate]
) -> None:
    subjects = {picture_of(each): each.spec["subject"] for each in written}
    swapped, wrong = designs.swap_pictures(written, catalog, 1.0, "seed", 0)
    assert len(wrong) == 2 * PICTURES
    for each in swapped:
        ability = catalog.single[each.dialogue["ability"]]
        shown = ability.subject_named(subjects[picture_of(each)])
        told = ability.subject_named(each.spec["subject"])
        assert told.answer in {absent.answer for absent in absent_subjects(ability, shown)}


def test_a_seed_draws_its_own_pictures_and_the_same_ones_again(
    designs: ModuleType, catalog: Catalog, written: list[Candidate]
) -> None:
    drawn = [designs.swap_pictures(written, catalog, 0.2, "seed", seed)[1] for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_pictures_that_all_show_the_same_cannot_be_swapped(
    designs: ModuleType, catalog: Catalog, written: list[Candidate]
) -> None:
    alike = [Candidate(each.dialogue, {**each.spec, "subject": "lion"}, each.image) for each in written[:40]]
    with pytest.raises(designs.DesignError, match=r"'animal'.*'lion'; give more --rows"):
        designs.swap_pictures(alike, catalog, 0.2)


def test_shares_are_nested_and_hold_whole_pictures(designs: ModuleType, kept: list[Any]) -> None:
    shares = [designs.share_of_pictures(kept, share, "seed", 0) for share in (0.25, 0.5, 1.0)]
    quarter, half, every = [{row["pair_id"] for row, _ in rows} for rows in shares]
    assert quarter < half < every
    assert every == {row["pair_id"] for row, _ in kept}
    for rows, pictures in zip(shares, (5, 10, 20), strict=True):
        assert Counter(row["ability"] for row, _ in rows) == {"animal": 4 * pictures, "color": 4 * pictures}
        assert set(Counter(example.image_ids[0] for _, example in rows).values()) == {4}


def test_what_is_answered_no_is_left_out_or_asked_so_that_yes_is_right(
    designs: ModuleType, catalog: Catalog, kept: list[Any]
) -> None:
    fewer, as_many = designs.without_no(kept), designs.yes_for_no(kept, catalog)
    assert Counter(row["expected"] == "no" for row, _ in kept) == {True: 40, False: 120}
    assert len(fewer) == 120
    assert len(as_many) == 160
    assert not any(row["expected"] == "no" for row, _ in [*fewer, *as_many])
    assert not any(row["conversations"][1]["value"].endswith("so no.") for row, _ in as_many)
    questions = defaultdict(list)
    for (_, before), (row, after) in zip(kept, as_many, strict=True):
        questions[after.image_ids[0]].append(after.conversations[0]["value"].replace("<image>", "").strip())
        assert after.conversations == row["conversations"]
        assert after.encoded == before.encoded
        assert after.conversations[0]["value"].startswith("<image>") == before.conversations[0]["value"].startswith(
            "<image>"
        )
    assert all(len(set(asked)) == 4 for asked in questions.values())


def test_a_share_of_the_pairs_asks_for_what_is_not_shown(
    designs: ModuleType, catalog: Catalog, kept: list[Any]
) -> None:
    facts = {row["spec_ids"][0]: {"subject": row["subject"], "scene": "city street"} for row, _ in kept}
    some = designs.partly_not_shown(kept, facts, catalog, 0.2, "seed", 0)
    changed = [(old, new) for old, new in zip(kept, some, strict=True) if old != new]
    assert 10 < len(changed) < 40
    assert len({example.image_ids[0] for _, (_, example) in changed}) == len(changed)
    for _, (row, example) in changed:
        assert example.conversations == row["conversations"]
        assert row["conversations"][1]["value"] == f"There is {row['expected']} in the picture."
    items = [{"item_id": name, "question_kind": "what", "ability": name} for name in ("animal", "style")]
    (denied,) = designs.false_premises(items, catalog)
    assert denied["accepted"][0].startswith("no ")
    trained = {wording for ability in catalog.single.values() for wording in ability.questions.what.ask}
    assert denied["question"] not in trained


def test_half_is_replaced_by_as_many_others(designs: ModuleType, kept: list[Any]) -> None:
    others = [TrainingExample([f"released {number}"], [b""], []) for number in range(100)]
    mixture, drawn = designs.half_replaced(kept, others, "seed", 0)
    assert len(mixture) == len(kept)
    assert len(drawn) == len(kept) // 2
    assert Counter(example.image_ids[0].startswith("released") for example in mixture) == {True: 80, False: 80}
    with pytest.raises(designs.DesignError, match=r"80 released dialogues are needed .* and 50 can be used"):
        designs.half_replaced(kept, others[:50], "seed", 0)


def test_looks_are_counted_a_picture_at_a_time(designs: ModuleType) -> None:
    rows = [TrainingExample([name], [b""], []) for name in "aaab"]
    assert designs.looks(rows, 2) == 3


def test_a_single_seeds_difference_has_the_interval_of_paired_proportions(benchmarks: None) -> None:
    experiment = importlib.import_module("embedded_experiment")
    ours = {str(item): item < 7 for item in range(12)}
    theirs = {str(item): item >= 5 for item in range(12)}
    found = experiment.difference([ours], [theirs])
    expected = paired_difference(5, 5, 12)
    assert found == pytest.approx((expected.estimate, expected.low, expected.high), abs=1e-4)


def test_fewer_questions_keep_every_kind_and_as_many_to_be_answered_no(benchmarks: None) -> None:
    tables = importlib.import_module("ablation_tables")
    items = [
        {
            "item_id": f"{kind} {number}",
            "ability": "animal",
            "question_kind": kind,
            "accepted": [accepted(kind, number)],
        }
        for kind in ("what", "yes_no", "either_or")
        for number in range(10)
    ]
    chosen = tables.first_of_each(items, 4)
    groups = tables.of_kinds(chosen)
    assert {name: len(ids) for name, ids in groups.items()} == {"all": 12, "what": 4, "yes": 2, "no": 2, "either_or": 4}
    assert tables.first_of_each(items, None) == items


def accepted(kind: str, number: int) -> str:
    return ("yes", "no")[number % 2] if kind == "yes_no" else "koala"
