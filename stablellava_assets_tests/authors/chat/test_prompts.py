"""How prompts are asked for, and what becomes of the answers."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.authors.chat.rotation import guided_slots
from stablellava_assets_tests.authors.chat.studio import CATALOG, Studio, content, total
from stablellava_assets_tests.fakes.chat_model import prompt_lines, question_text, write
from stablellava_assets_tests.fakes.loopback import REPAIR, Counts, Script, loopback
from stablellava_assets_tests.tables.made_up import Row

ANIMAL = CATALOG.single["animal"]


def keyword_of(row: Row) -> str:
    return next(str(fact["value"]) for fact in row["facts"] if fact["name"] == "keyword")


@pytest.mark.parametrize("name", list(CATALOG.single))
def test_every_subject_has_its_turn(name: str) -> None:
    ability = CATALOG.single[name]
    subjects = [slot.subject for slot in guided_slots(ability, "0001", 3 * len(ability.chat.keywords))]
    assert set(Counter(subjects).values()) == {3}
    others = [slot.subject for slot in guided_slots(ability, "0002", len(subjects))]
    assert subjects != others


def test_a_written_prompt(studio: Studio) -> None:
    rows = studio.write_prompts("animal", "0001", 26)
    assert {keyword_of(row) for row in rows} == set(ANIMAL.chat.keywords)
    for row in rows:
        assert row["status"] == "made"
        assert row["prompt"] == ", ".join([f"(({row['subject']}))", *row["keywords"]])
        assert len(row["keywords"]) == 3
        assert row["negative_prompt"] == ANIMAL.negative_prompt
        assert (row["author"], row["model"]) == ("chat", "loopback-model")
    assert len({row["seed"] for row in rows}) == 26


def test_a_request_says_all_of_the_ability_and_begins_alike_in_a_batch(studio: Studio, counts: Counts) -> None:
    studio.write_prompts("animal", "0001", 26)
    texts = [question_text(body) for body in counts.bodies.values()]
    assert len(texts) == 3
    for text in texts:
        for said in (ANIMAL.chat.instruction, *ANIMAL.chat.cautions, *ANIMAL.chat.examples, ANIMAL.teaches):
            assert said in text
    assert len({text.partition("# Write")[0] for text in texts}) == 1, "so that an endpoint can cache it"
    lines = [line for body in counts.bodies.values() for line in prompt_lines(body).values()]
    assert sorted(line.partition(" (")[0] for line in lines) == sorted(ANIMAL.chat.keywords)


def test_a_larger_batch_only_asks_for_what_is_new(studio: Studio, counts: Counts) -> None:
    studio.settings = {"prompts_per_request": 4}
    before = studio.write_prompts("animal", "0001", 10)
    assert sum(counts.answered.values()) == 3
    after = studio.write_prompts("animal", "0001", 13)
    assert after[:10] == before
    asked = [len(prompt_lines(body)) for body in counts.bodies.values()]
    assert sorted(asked) == [1, 2, 2, 4, 4]
    spent = sum(counts.answered.values()) * (100 + 2 * 20) * 1_000_000
    assert total(after, "cost_usd") == spent
    assert studio.write_prompts("animal", "0001", 10) == before


def test_what_shapes_no_prompt_redoes_none(studio: Studio, counts: Counts) -> None:
    before = studio.write_prompts("animal", "0001", 10)
    requests = sum(counts.arrived.values())
    studio.settings = {"prompts_per_request": 3, "sees_pictures": True, "dialogues": {"what": 2}}
    studio.endpoint |= {"max_in_flight": 1, "budget_usd": 5, "base_url": "http://127.0.0.1:9/v1"}
    assert studio.write_prompts("animal", "0001", 10) == before
    assert sum(counts.arrived.values()) == requests


@pytest.mark.parametrize(
    "change",
    [{"model": "another"}, {"temperature": 0.3}, {"extra_body": {"top_p": 0.5}}],
    ids=lambda change: next(iter(change)),
)
def test_another_model_or_sampling_redoes_them(studio: Studio, change: Mapping[str, Any]) -> None:
    before = studio.write_prompts("animal", "0001", 4)
    studio.endpoint |= change
    after = studio.write_prompts("animal", "0001", 4)
    assert [row["spec_id"] for row in before] == [row["spec_id"] for row in after]
    assert not {row["row_key"] for row in before} & {row["row_key"] for row in after}


def test_a_changed_line_redoes_its_ability_and_a_negative_prompt_costs_nothing(studio: Studio, counts: Counts) -> None:
    for name in ("animal", "food"):
        studio.write_prompts(name, "0001", 10)
    asked = sum(counts.arrived.values())
    studio.catalog = type(studio.catalog)({**CATALOG, "animal": _with(ANIMAL, negative_prompt="blurry")})
    rows = studio.write_prompts("animal", "0001", 10)
    assert {row["negative_prompt"] for row in rows} == {"blurry"}
    assert {row["run_id"] for row in rows} == {"run 3"}
    assert sum(counts.arrived.values()) == asked, "the ledger had the answers"
    chat = ANIMAL.chat.model_copy(update={"cautions": [*ANIMAL.chat.cautions, "No zoo."]})
    studio.catalog = type(studio.catalog)({**CATALOG, "animal": _with(ANIMAL, chat=chat)})
    assert {row["run_id"] for row in studio.write_prompts("animal", "0001", 10)} == {"run 4"}
    assert {row["run_id"] for row in studio.write_prompts("food", "0001", 10)} == {"run 2"}
    assert sum(counts.arrived.values()) == asked + 1


def _with(ability: Ability, **changes: Any) -> Ability:
    return ability.model_copy(update=changes)


def test_drawn_subjects_come_with_what_their_picture_needs(studio: Studio) -> None:
    studio.settings = {"subjects": "drawn"}
    rows = studio.write_prompts("style", "0001", 32)
    assert set(Counter(row["subject"] for row in rows).values()) == {2}
    style = CATALOG.single["style"]
    for row in rows:
        facts = {fact["name"]: fact["value"] for fact in row["facts"]}
        assert facts["content"] in style.prompts.contents
        assert [facts["content"], facts["scene"]] == row["keywords"][:2]
        assert facts["answer"] == style.subject_named(row["subject"]).answer
    studio.paint("style", "0001")
    assert len(studio.painted("style", "0001")) == 32


def answering(change: Any) -> Any:
    """The good model, its answer changed by ``change(body, answer)``."""

    def answer(body: Mapping[str, Any]) -> str:
        return json.dumps(change(body, json.loads(write(body))))

    return answer


def repaired(body: Mapping[str, Any]) -> bool:
    return str(body["messages"][-1]["content"]).startswith(REPAIR)


def test_a_prompt_left_out_is_asked_for_again_and_its_cost_is_shared(tmp_path: Path) -> None:
    def forget_one(body: Mapping[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        return answer if repaired(body) else {**dict(list(answer.items())[:-1]), "prompt_99": answer["prompt_1"]}

    with loopback(Script(), answering(forget_one)) as (url, counts):
        rows = Studio(tmp_path, url).write_prompts("animal", "0001", 10)
    assert [row["status"] for row in rows] == ["made"] * 10
    (repair,) = (body for body in counts.bodies.values() if repaired(body))
    assert "prompt_10: Field required" in repair["messages"][-1]["content"]
    assert [row["prompt_tokens"] for row in rows] == [20] * 10
    assert total(rows, "cost_usd") == 2 * 140_000_000


def test_one_prompt_that_cannot_be_written_takes_no_other_along(tmp_path: Path) -> None:
    def never_lynx(body: Mapping[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        return {} if "lynx" in str(prompt_lines(body).values()) else answer

    with loopback(Script(), answering(never_lynx)) as (url, counts):
        studio = Studio(tmp_path, url)
        rows = studio.write_prompts("animal", "0001", 26)
    failed = [row for row in rows if row["status"] == "failed"]
    assert [keyword_of(row) for row in failed] == ["lynx"]
    assert failed[0]["reason"] == "invalid answer: prompt_1: Field required, also after its repair"
    assert failed[0]["prompt"] is None
    assert sum(row["status"] == "made" for row in rows) == 25
    requests = sum(counts.answered.values())
    assert total(rows, "prompt_tokens") == 100 * requests
    with sqlite3.connect(studio.ledger_path) as ledger:
        ((spent,),) = ledger.execute("SELECT spent FROM totals")
    assert total(rows, "cost_usd") == spent == requests * 140_000_000
    assert max(counts.answered.values()) == 1


def test_a_prompt_that_names_nothing_is_a_failed_row(tmp_path: Path) -> None:
    def mar(body: Mapping[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        changed = {
            "prompt_2": {"subject": "(( ))", "keywords": ["a", "b"]},
            "prompt_3": {"subject": "owl", "keywords": ["!"]},
        }
        return {**answer, **changed}

    with loopback(Script(), answering(mar)) as (url, _):
        rows = Studio(tmp_path, url).write_prompts("animal", "0001", 10)
    assert [row["status"] for row in rows[:4]] == ["made", "failed", "failed", "made"]
    assert rows[1]["reason"] == "'' names nothing"
    assert rows[2]["reason"] == "only 0 of the keywords about 'owl' can be used"


def test_an_unknown_price_is_an_unknown_cost(studio: Studio) -> None:
    studio.endpoint["prices"] = None
    rows = studio.write_prompts("animal", "0001", 4)
    assert [row["cost_usd"] for row in rows] == [None] * 4
    assert total(rows, "prompt_tokens") == 100


def test_the_same_prompts_whoever_asks(tmp_path: Path, studio: Studio, counts: Counts) -> None:
    other = Studio(tmp_path / "other", studio.endpoint["base_url"])
    one, two = (each.write_prompts("animal", "0001", 10) for each in (studio, other))
    assert content(one) == content(two)
