"""Questions about what a picture does not show: what is asked of which picture, and what the filters say of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from stablellava_assets.abilities.absence import NOT_SHOWN
from stablellava_assets.abilities.catalog import BUILT_IN_ABILITIES, load_catalog
from stablellava_assets.authors.embedded.author import EmbeddedAuthor
from stablellava_assets.authors.settings import EmbeddedAuthorSettings
from stablellava_assets.checks import dialogues, filtered_pairs
from stablellava_assets.checks.gates import GateSettings, validate
from stablellava_assets.inputs.yaml_documents import DocumentError
from stablellava_assets.profiles.profile import BUILT_IN_PROFILES, load_profile
from stablellava_assets.tables.pair_rows import Dialogue, PaintedImage, WrittenSpec
from stablellava_assets.tables.reading import was_written
from stablellava_assets.tables.schemas import DIALOGUES, FILTERED_PAIRS
from stablellava_assets.tuning.embedded.tokenizer import build_tokenizer, catalog_texts
from stablellava_assets_tests.filters.pairs import candidate, judged, rules_against
from stablellava_assets_tests.tables.made_up import Row, but

CATALOG = load_catalog()
ABILITIES = [name for name, ability in CATALOG.single.items() if ability.never_shows]


def painted(name: str, prompts: int = 120) -> list[tuple[WrittenSpec, PaintedImage]]:
    author = EmbeddedAuthor()
    specs = filter(was_written, author.write_prompts(author.plan_prompts(CATALOG[name], "0001", prompts)))
    return [
        (spec, {"image_id": spec["spec_id"], "spec_id": spec["spec_id"], "sha256": "0", "ignored_keywords": []})
        for spec in specs
    ]


def written(name: str, share: float) -> list[Dialogue]:
    author = EmbeddedAuthor(share, CATALOG.single)
    return author.write_dialogues(author.plan_dialogues(CATALOG[name], painted(name)))


@pytest.mark.parametrize("name", ["animal", "color", "style"])
def test_a_share_adds_questions_and_leaves_all_others(name: str) -> None:
    before, after = (written(name, share) for share in (0, 0.1))
    added = [row for row in after if row["question_kind"] == NOT_SHOWN]
    assert [row for row in after if row["question_kind"] != NOT_SHOWN] == before
    fewer = [row["pair_id"] for row in written(name, 0.05) if row["question_kind"] == NOT_SHOWN]
    assert set(fewer) <= {row["pair_id"] for row in added}
    if name == "style":
        assert not added
    else:
        assert 0.05 < len(added) / len(after) < 0.15


@pytest.mark.parametrize("name", ABILITIES)
def test_what_is_asked_for_is_not_in_the_prompt_and_the_text_does_not_tell(name: str) -> None:
    prompts = {spec["spec_id"]: spec for spec, _ in painted(name)}
    asked = Counter(ability for other in CATALOG.single.values() for ability in other.questions.what.ask)
    wordings = {wording.partition("{")[0] for wording in asked}
    for row in written(name, 0.2):
        if row["question_kind"] == NOT_SHOWN:
            spec, (question, answer) = prompts[row["spec_ids"][0]], row["conversations"]
            assert answer["value"] == f"There is {row['expected']} in the picture."
            thing = (row["expected"] or "").removeprefix("no ")
            assert thing not in spec["prompt"]
            assert any(question["value"].replace("<image>", "").strip().startswith(wording) for wording in wordings)


def test_the_embedded_model_knows_every_word() -> None:
    tokenizer = build_tokenizer(catalog_texts(CATALOG), 512)
    things = {
        ability.presupposed_of(subject) for ability in CATALOG.single.values() for subject in ability.drawn_subjects
    }
    for thing in things - {None}:
        answer = f"There is no {thing} in the picture."
        assert len(tokenizer.tokenize(answer)) == len(answer.split()) + 1, answer


def test_filters_want_the_denial_and_a_prompt_without_the_thing() -> None:
    right: Row = {"kind": NOT_SHOWN, "expected": "no umbrella", "question": "<image>\nWhat color is the umbrella?"}
    pairs = [
        candidate("right", answer="There is no umbrella in the picture.", **right),
        candidate("claims", prompt="((owl)), barn", subject="owl", answer="The umbrella is red.", **right),
        candidate("other", prompt="((yak)), pass", subject="yak", answer="There is no teapot.", **right),
        candidate("there", prompt="((fox)), red umbrella", subject="fox", answer="There is no umbrella.", **right),
    ]
    assert rules_against(*pairs) == [[], ["expected_missing"], ["expected_missing"], ["thing_is_shown"]]
    assert [row["subject_named"] for row in judged(*pairs)] == [None] * 4


@pytest.mark.parametrize(("share", "passed"), [(0.1, True), (0.05, False)])
def test_the_gates_measure_the_share(share: float, passed: bool) -> None:
    settings = GateSettings(max_not_shown_share=share)
    rows = [but(row, run_id="run", fault=None) for row in written("animal", 0.08)]
    found = {each.gate: each for each in validate(dialogues.SUITE, DIALOGUES.from_rows(rows), settings)}
    assert found["few_things_are_not_shown"].passed is passed
    kinds = [NOT_SHOWN] * 2 + ["what"] * 23
    verdicts = judged(*(candidate(f"{at}", prompt=f"(({at})), grove", kind=kind) for at, kind in enumerate(kinds)))
    data = FILTERED_PAIRS.from_rows([but(row, run_id="run", findings=[]) for row in verdicts])
    found = {each.gate: each for each in validate(filtered_pairs.SUITE, data, settings)}
    assert found["few_things_are_not_shown"].value == 0.08
    assert found["few_things_are_not_shown"].passed is passed


def test_a_quota_above_its_gate_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    text = (BUILT_IN_PROFILES / "embedded.yaml").read_text().replace("author:\n", "author:\n  not_shown: 0.2\n", 1)
    own.write_text(text)
    author = load_profile({"STABLELLAVA_PROFILE": str(own)}).author
    assert isinstance(author, EmbeddedAuthorSettings)
    assert author.not_shown == 0.2
    own.write_text(text.replace("gates:\n", "gates:\n  max_not_shown_share: 0.1\n", 1))
    with pytest.raises(DocumentError, match="not_shown: batches would fail"):
        load_profile({"STABLELLAVA_PROFILE": str(own)})


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("never_shows: {}\npresupposes: '{odd}'", "presupposes"),
        ("never_shows: {castle: []}", "no ability 'castle'"),
        ("never_shows: {style: []}", "no ability 'style'"),
        ("never_shows: {vehicle: [moon]}", "'moon' is not among prompts.scenes"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, written: str, said: str) -> None:
    for file in BUILT_IN_ABILITIES.glob("*.yaml"):
        text = file.read_text()
        if file.stem == "animal":
            text = text.partition("presupposes:")[0] + written
        (tmp_path / file.name).write_text(text)
    with pytest.raises(DocumentError, match=said):
        load_catalog(tmp_path)
