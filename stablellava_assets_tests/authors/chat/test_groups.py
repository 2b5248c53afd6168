"""What the chat author writes for abilities about several images: groups of prompts, and dialogues about groups."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from stablellava_assets.abilities.groups import aspects_that_differ
from stablellava_assets.abilities.prompt_format import is_well_formed
from stablellava_assets.painters.embedded.painter import EmbeddedPainter
from stablellava_assets.painters.settings import EmbeddedPainterSettings
from stablellava_assets.planning.spending import spending_plan
from stablellava_assets.tables.schemas import DIALOGUES, FILTERED_PAIRS
from stablellava_assets.text.conversations import expected_words, marks_of
from stablellava_assets.text.keywords import find_keyword
from stablellava_assets_tests.authors.chat.studio import CATALOG, Studio, total
from stablellava_assets_tests.fakes.chat_model import question_text, schema_of, write
from stablellava_assets_tests.fakes.loopback import Counts, Script, loopback
from stablellava_assets_tests.tables.made_up import Row

ABILITIES = list(CATALOG.multi_image)


def groups(rows: list[Row]) -> list[list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["group_id"]].append(row)
    return [sorted(group, key=lambda row: int(row["image_number"])) for group in found.values()]


def facts(row: Row) -> dict[str, str]:
    return {fact["name"]: fact["value"] for fact in row["facts"]}


@pytest.mark.parametrize("subjects", ["guidance", "drawn"])
@pytest.mark.parametrize("name", ABILITIES)
def test_the_prompts_of_a_group_are_written_together(studio: Studio, counts: Counts, name: str, subjects: str) -> None:
    studio.settings = {"subjects": subjects}
    design = CATALOG.multi_image[name].images
    rows = studio.write_prompts(name, "0001", 6)
    assert [row["status"] for row in rows] == ["made"] * 6 * design.count, [row["reason"] for row in rows]
    assert all(is_well_formed(row["prompt"]) for row in rows)
    assert sum(counts.answered.values()) == -(-6 // (10 // design.count))
    assert total(rows, "cost_usd") == 140_000_000 * sum(counts.answered.values())
    for group in groups(rows):
        assert [row["image_number"] for row in group] == list(range(1, design.count + 1))
        differ = aspects_that_differ([facts(row) for row in group])
        if design.rest == "same":
            assert len(differ) == 1 or differ == {"color"}
            assert len({row["seed"] for row in group}) == 1
            shared = set.intersection(*({*row["keywords"]} for row in group))
            assert all(len({*row["keywords"]} - shared) <= 1 for row in group)
        else:
            assert len({row["seed"] for row in group}) == design.count
            assert len({row["prompt"] for row in group}) == design.count
        if name == "odd_one_out":
            assert sorted(Counter(row["subject"] for row in group).values()) == [1, 2]


def test_a_larger_batch_only_asks_for_new_groups(studio: Studio, counts: Counts) -> None:
    before = studio.write_prompts("difference", "0001", 5)
    after = studio.write_prompts("difference", "0001", 7)
    assert after[:10] == before
    assert sum(counts.answered.values()) == 2
    assert studio.write_prompts("difference", "0001", 7) == after
    assert sum(counts.answered.values()) == 2


def changed(key: str, change: Callable[[dict[str, Any]], None]) -> Callable[[Mapping[str, Any]], str]:
    """The good model, which answers wrongly for one key whenever it is asked for with others."""

    def answer(body: Mapping[str, Any]) -> str:
        written = json.loads(write(body))
        if key in written:
            change(written[key])
        return json.dumps(written)

    return answer


def test_a_group_whose_images_do_not_differ_fails_as_a_whole(tmp_path: Path) -> None:
    def repeat(group: dict[str, Any]) -> None:
        group["value_2"] = group["value_1"]

    with loopback(Script(), changed("group_2", repeat)) as (url, counts):
        rows = Studio(tmp_path, url).write_prompts("difference", "0001", 3)
        assert sum(counts.answered.values()) == 1
    assert [row["status"] for row in rows] == ["made"] * 2 + ["failed"] * 2 + ["made"] * 2
    assert rows[2]["reason"] == rows[3]["reason"]
    assert "was to differ, and is" in rows[2]["reason"]
    assert {row["prompt"] for row in rows[2:4]} == {None}


def test_groups_of_an_unreadable_answer_are_requested_one_by_one(tmp_path: Path) -> None:
    def answer(body: Mapping[str, Any]) -> str:
        written = json.loads(write(body))
        if len(written) > 1:
            del written["group_2"]
        return json.dumps(written)

    with loopback(Script(), answer) as (url, counts):
        studio = Studio(tmp_path, url)
        rows = studio.write_prompts("difference", "0001", 3)
        assert [row["status"] for row in rows] == ["made"] * 6
        asked = sum(counts.answered.values())
        assert asked == 2 + 3, "once, once more with the error, and then each group"
        assert studio.write_prompts("difference", "0001", 3) == rows
        assert sum(counts.answered.values()) == asked
    assert total(rows, "cost_usd") == 140_000_000 * asked


@pytest.mark.parametrize("subjects", ["guidance", "drawn"])
@pytest.mark.parametrize("name", ABILITIES)
def test_dialogues_about_a_group(studio: Studio, counts: Counts, name: str, subjects: str) -> None:
    studio.settings = {"subjects": subjects, "dialogues": {"misleading": 1, "either_or": 2}}
    ability = CATALOG.multi_image[name]
    count = ability.images.count
    specs = groups(studio.write_prompts(name, "0001", 4))
    painted = studio.as_if_painted(name, "0001")
    asked = sum(counts.answered.values())
    rows = studio.write_dialogues(name, "0001", painted)
    assert {row["reason"] for row in rows} == {None}
    assert sum(counts.answered.values()) == asked + 4
    in_order = {tuple(row["spec_id"] for row in group) for group in specs}
    assert {tuple(row["spec_ids"]) for row in rows} == in_order
    for row in rows:
        human = marks_of(row["conversations"])[::2]
        assert sum(human) == count == len(row["image_ids"])
        answer = row["conversations"][-1]["value"]
        if row["question_kind"] == "multi_turn":
            assert row["expected"] is None
        else:
            assert human == [count]
            assert all(find_keyword(words, answer) for words in expected_words(row["expected"]))
    kinds = Counter(row["question_kind"] for row in rows)
    if ability.dialogues:
        assert kinds == {"multi_turn": 4 * len(ability.dialogues)}
    else:
        assert kinds == {"what": 4, "yes_no": 8, "either_or": 8, "misleading": 4}
        whichs = [row for row in rows if row["expected"] in ("first", "second", "third")]
        assert len(whichs) == 4
    assert studio.write_dialogues(name, "0001", painted) == rows
    assert sum(counts.answered.values()) == asked + 4


def test_a_group_is_asked_about_only_if_all_of_its_images_are_there(studio: Studio) -> None:
    specs = studio.write_prompts("odd_one_out", "0001", 2)
    rows = studio.write_dialogues("odd_one_out", "0001", studio.as_if_painted("odd_one_out", "0001")[1:])
    assert {spec_id for row in rows for spec_id in row["spec_ids"]} == {spec["spec_id"] for spec in specs[3:]}


@pytest.mark.parametrize(
    ("key", "change", "reason"),
    [
        ("what", {"right_words": ["comet"]}, "does not contain 'comet'"),
        ("which", {"answer": "The first or the second."}, "contains"),
        ("yes_no_present", {"answer": "So it seems."}, "does not contain 'yes'"),
    ],
)
def test_an_answer_that_does_not_say_it_fails(tmp_path: Path, key: str, change: dict[str, Any], reason: str) -> None:
    with loopback(Script(), changed(key, lambda part: part.update(change))) as (url, _):
        studio = Studio(tmp_path, url)
        studio.settings = {"dialogues": {"either_or": 2}}
        studio.write_prompts("difference", "0001", 1)
        rows = studio.write_dialogues("difference", "0001", studio.as_if_painted("difference", "0001"))
    (failed,) = (row for row in rows if row["status"] == "failed")
    assert reason in failed["reason"]
    assert failed["conversations"] == []


def test_a_model_that_sees_is_shown_all_images_in_order(studio: Studio, counts: Counts) -> None:
    studio.settings = {"sees_pictures": True, "subjects": "drawn"}
    studio.write_prompts("odd_one_out", "0001", 1)
    studio.paint("odd_one_out", "0001")
    studio.write_dialogues("odd_one_out", "0001")
    (body,) = (body for body in counts.bodies.values() if schema_of(body)["name"] == "GroupDialogues")
    parts = body["messages"][1]["content"]
    assert [part["type"] for part in parts] == ["text"] + ["image_url"] * 3
    assert len({part["image_url"]["url"] for part in parts[1:]}) == 3


def test_requests_hold_the_examples_of_the_ability(studio: Studio, counts: Counts) -> None:
    studio.write_prompts("difference", "0001", 1)
    studio.write_dialogues("difference", "0001", studio.as_if_painted("difference", "0001"))
    chat = CATALOG.multi_image["difference"].chat
    prompts, dialogues = (question_text(body) for body in counts.bodies.values())
    assert all("\n".join(group) in prompts for group in chat.examples)
    for example in chat.dialogue_examples:
        assert f"Prompt 2: {example.prompts[1]}\nQuestion: {example.question}\nAnswer: {example.answer}" in dialogues


def test_kept_groups_are_examples_in_later_batches(studio: Studio, counts: Counts) -> None:
    studio.settings = {"examples_from": "0001", "dialogues": {"either_or": 0}}
    specs = studio.write_prompts("difference", "0001", 2)
    studio.write_dialogues("difference", "0001", studio.as_if_painted("difference", "0001"))
    prompts = {row["spec_id"]: row["prompt"] for row in specs}
    pairs = [
        verdict(row, [prompts[spec_id] for spec_id in row["spec_ids"]])
        for row in studio.rows(DIALOGUES, "difference", "0001")
    ]
    studio.store.publish(FILTERED_PAIRS, ("difference", "0001"), FILTERED_PAIRS.from_rows(pairs))
    studio.write_prompts("difference", "0002", 1)
    studio.write_dialogues("difference", "0002", studio.as_if_painted("difference", "0002"))
    *_, later_prompts, later_dialogues = (question_text(body) for body in counts.bodies.values())
    for first, second in groups(specs):
        assert f"{first['prompt']}\n{second['prompt']}" in later_prompts
        assert f"Prompt 1: {first['prompt']}\nPrompt 2: {second['prompt']}\nQuestion: " in later_dialogues


def verdict(row: Row, prompts: list[str]) -> Row:
    """A kept pair without findings."""
    shared = {name: row[name] for name in FILTERED_PAIRS.schema.names if name in row}
    return {
        **shared,
        "prompt": prompts[0],
        "further_prompts": prompts[1:],
        "subject": "",
        "findings": [],
        "keyword_count": 0,
        "answer_words": 0,
        "subject_named": None,
        "image_spread": None,
        "image_sha256": "",
        "perceptual_hash": "",
    }


def test_what_a_batch_of_groups_will_cost_is_known_before(studio: Studio) -> None:
    painter = EmbeddedPainter(EmbeddedPainterSettings(kind="embedded"), CATALOG)

    def plan() -> list[tuple[str, int, int, int]]:
        plans = spending_plan(studio.store, CATALOG, studio.author(), painter, {("odd_one_out", "0001"): 3})
        return [(one.stage, one.rows, one.reused, one.forecast.spent.requests) for one in plans]

    (prompts, dialogues) = plan()
    assert prompts == ("prompt_specs", 9, 0, 1)
    assert dialogues[3] == 3
    studio.settings = {"subjects": "drawn"}
    studio.write_prompts("odd_one_out", "0001", 3)
    studio.paint("odd_one_out", "0001")
    written = studio.write_dialogues("odd_one_out", "0001")
    assert plan() == [("prompt_specs", 9, 9, 0), ("dialogues", len(written), len(written), 0)]
