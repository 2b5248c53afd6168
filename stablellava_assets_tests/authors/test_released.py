from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.abilities.catalog import load_catalog
from stablellava_assets.abilities.prompt_format import parse_prompt
from stablellava_assets.authors.released.author import ReleasedAuthor
from stablellava_assets.authors.released.rows import ReleasedDataError
from stablellava_assets.authors.settings import ReleasedAuthorSettings
from stablellava_assets.tables.schemas import DIALOGUES, MADE, PROMPT_SPECS
from stablellava_assets_tests.authors.conftest import Counts
from stablellava_assets_tests.tables.made_up import Row, but

CATALOG = load_catalog()
ANIMAL = CATALOG.single["animal"]
GOOD = {
    "id": "0",
    "image": "animal/0.jpg",
    "prompt": "((Newt)), pond",
    "question": "<image>\nWhat?",
    "answer": "A newt.",
}


def author_of(folder: Path) -> ReleasedAuthor:
    return ReleasedAuthor(ReleasedAuthorSettings(kind="released", folder=folder))


def write(folder: Path, rows: Any, name: str = "animal.json") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(rows if isinstance(rows, str) else json.dumps(rows))
    return folder


def specs_of(folder: Path, batch: str = "0001", count: int = 100, ability: Ability = ANIMAL) -> list[Row]:
    author = author_of(folder)
    return list(author.write_prompts(author.plan_prompts(ability, batch, count)))


def painted(spec: Row) -> tuple[Row, Row]:
    return spec, {"image_id": f"picture of {spec['spec_id']}", "sha256": "00"}


def test_every_row_of_every_file_becomes_a_spec_and_every_good_one_a_pair(released: tuple[Path, Counts]) -> None:
    folder, expected = released
    author = author_of(folder)
    ids: list[str] = []
    for file, counts in expected.items():
        ability = CATALOG.single[file.removesuffix(".json")]
        source = json.loads((folder / file).read_text())
        specs = specs_of(folder, count=len(source), ability=ability)
        assert len(specs) == counts["rows"]
        made = [spec for spec in specs if spec["status"] == MADE]
        pairs = list(author.write_dialogues(author.plan_dialogues(ability, [painted(spec) for spec in made])))
        answers = [row["answer"] for row, spec in zip(source, specs, strict=True) if spec["status"] == MADE]
        assert [pair["conversations"][1]["value"] for pair in pairs] == answers
        PROMPT_SPECS.from_rows([but(spec, run_id="run") for spec in specs])
        DIALOGUES.from_rows([{**pair, "run_id": "run"} for pair in pairs])
        ids += [spec["spec_id"] for spec in specs]
    assert len(set(ids)) == len(ids)


def test_batches_are_consecutive_and_the_last_is_shorter(invented: Path) -> None:
    batches = [specs_of(invented, f"{number:04d}", 10) for number in range(1, 5)]
    assert [len(batch) for batch in batches] == [10, 10, 4, 0]
    prompts = [spec["prompt"] for batch in batches for spec in batch]
    assert prompts == [row["prompt"] for row in json.loads((invented / "animal.json").read_text())]
    assert [spec["batch"] for spec in batches[1]] == ["0002"] * 10


def test_a_spec_holds_the_prompt_taken_apart(tmp_path: Path) -> None:
    (spec,) = specs_of(write(tmp_path / "data", [{**GOOD, "prompt": "((Red Newt)), pond, 8k)"}]))
    assert spec["subject"] == "Red Newt"
    assert spec["keywords"] == ["pond", "8k"]
    assert spec["negative_prompt"] == ANIMAL.negative_prompt
    assert {fact["name"]: fact["value"] for fact in spec["facts"]} == {
        "subject": "Red Newt",
        "source_row": "0",
        "source_id": "0",
        "brackets": "unbalanced",
    }


def test_the_dialogue_is_the_published_one_word_for_word(tmp_path: Path) -> None:
    rows = [{**GOOD, "question": "What?\n<image>", "answer": " a newt"}]
    folder = write(tmp_path / "data", rows)
    author = author_of(folder)
    (pair,) = author.write_dialogues(author.plan_dialogues(ANIMAL, [painted(spec) for spec in specs_of(folder)]))
    assert pair["conversations"] == [{"from": "human", "value": "What?\n<image>"}, {"from": "gpt", "value": " a newt"}]
    assert (pair["question_kind"], pair["expected"], pair["cost_usd"], pair["model"]) == ("describe", None, None, None)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({key: value for key, value in GOOD.items() if key != "answer"}, "the row has no 'answer'"),
        ({**GOOD, "prompt": 7}, "'prompt' is a int, not text"),
        ({**GOOD, "answer": None}, "'answer' is a NoneType, not text"),
        ({**GOOD, "prompt": " "}, "the prompt ' ' names no subject"),
        ({**GOOD, "prompt": "(("}, "the prompt '((' names no subject"),
        ({**GOOD, "question": "What?"}, "the question holds 0 <image> marks, not one"),
        ("a newt", "the row is a str, not an object with id, image, prompt, question, answer"),
    ],
)
def test_a_row_that_cannot_be_used_is_a_failed_row_with_its_reason(tmp_path: Path, row: Any, reason: str) -> None:
    first, bad, last = specs_of(write(tmp_path / "data", [GOOD, row, {**GOOD, "id": "2"}]))
    assert (first["status"], bad["status"], last["status"]) == ("made", "failed", "made")
    assert bad["reason"] == f"animal.json, row 1 (from 0): {reason}"


def test_equal_rows_are_different_specs_with_different_seeds(tmp_path: Path) -> None:
    one, two = specs_of(write(tmp_path / "data", [GOOD, GOOD]))
    assert one["spec_id"] != two["spec_id"]
    assert one["seed"] != two["seed"]


def test_changing_a_row_changes_that_row_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    before = specs_of(write(folder, [GOOD, {**GOOD, "id": "1"}]))
    after = specs_of(write(folder, [GOOD, {**GOOD, "id": "1", "answer": "Surely a newt."}]))
    assert before[0]["row_key"] == after[0]["row_key"]
    assert before[1]["row_key"] != after[1]["row_key"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[{", "animal.json: cannot be read as JSON"),
        ('{"rows": []}', "animal.json: holds a dict, not a list"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(ReleasedDataError, match=message):
        specs_of(write(tmp_path / "data", content))


def test_a_missing_file_is_named_with_those_that_are_there(invented: Path) -> None:
    with pytest.raises(ReleasedDataError, match=r"clothes\.json: no such file.*the folder has action\.json"):
        specs_of(invented, ability=CATALOG.single["clothes"])


@pytest.mark.parametrize("make", [False, True], ids=["missing", "empty"])
def test_a_folder_without_data_is_an_error_at_once(tmp_path: Path, make: bool) -> None:
    if make:
        (tmp_path / "data").mkdir()
    with pytest.raises(ReleasedDataError, match="download StableLLaVA's JSON files"):
        author_of(tmp_path / "data")


def test_a_file_that_changed_under_its_specs_is_an_error(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", [GOOD])
    specs = specs_of(folder)
    write(folder, [{**GOOD, "answer": "Surely a newt."}])
    with pytest.raises(ReleasedDataError, match="materialize prompt_specs again"):
        author_of(folder).plan_dialogues(ANIMAL, [painted(spec) for spec in specs])


@pytest.mark.parametrize(
    ("prompt", "subject", "keywords", "balanced"),
    [
        ("((Newt)), pond, 8k", "Newt", ["pond", "8k"], True),
        ("((newt, crested)), pond", "newt, crested", ["pond"], True),
        ("((Newt)), pond)", "Newt", ["pond"], False),
        ("((Newt and wa", "Newt and wa", [], False),
        ("newt, pond", "newt", ["pond"], True),
        ("misty, ((newt)), pond", "newt", ["misty", "pond"], True),
    ],
)
def test_prompts_are_taken_apart(prompt: str, subject: str, keywords: list[str], balanced: bool) -> None:
    assert parse_prompt(prompt) == (subject, keywords, balanced)


def test_only_abilities_with_a_file_can_be_asked_for(invented: Path) -> None:
    author = ReleasedAuthor(ReleasedAuthorSettings(kind="released", folder=invented))
    assert author.abilities(load_catalog()) == sorted(path.stem for path in invented.glob("*.json"))
    (invented / "dinosaur.json").write_text("[]")
    with pytest.raises(ReleasedDataError, match=r"dinosaur\.json: the catalog has no ability 'dinosaur'"):
        author.abilities(load_catalog())
