"""What is asked about a picture, under which quotas, and what becomes of the answers."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stablellava_assets.authors.chat.dialogue_kinds import DIALOGUE_KINDS, DialogueKind, parts_of
from stablellava_assets.authors.settings import ChatAuthorSettings, DialogueQuotas
from stablellava_assets.inputs.yaml_documents import DocumentError
from stablellava_assets.tables.schemas import DIALOGUES, IMAGES
from stablellava_assets_tests.authors.chat.studio import CATALOG, Studio, total
from stablellava_assets_tests.fakes.chat_model import question_text, write
from stablellava_assets_tests.fakes.loopback import Counts, Script, loopback
from stablellava_assets_tests.tables.made_up import Row

DEFAULT = DialogueQuotas().of_kinds()
NONE = dict.fromkeys(DIALOGUE_KINDS, 0)


def drawn(studio: Studio, count: int = 8) -> Studio:
    """A studio with painted prompts."""
    studio.settings = {"subjects": "drawn", **studio.settings}
    studio.write_prompts("animal", "0001", count)
    studio.paint("animal", "0001")
    return studio


def requests(counts: Counts) -> list[Mapping[str, Any]]:
    """The requests about pictures."""
    return [body for body in counts.bodies.values() if "# Picture" in question_text(body)]


def test_quotas_hold_on_average_and_yes_is_as_frequent_as_no() -> None:
    pictures = 2000
    forms = Counter(part.form for number in range(pictures) for part in parts_of(DEFAULT, f"spec {number}"))
    assert {form: forms[form] for form in ("describe", "what", "yes_no_present", "yes_no_absent", "either_or")} == (
        dict.fromkeys(("describe", "what", "yes_no_present", "yes_no_absent", "either_or"), pictures)
    )
    assert forms["misleading"] == pytest.approx(pictures / 2, rel=0.1)
    assert forms["negative_presupposition"] == pytest.approx(pictures / 2, rel=0.1)
    assert forms["multi_turn"] == pytest.approx(pictures / 4, rel=0.1)
    single = Counter(
        part.form for number in range(pictures) for part in parts_of({**DEFAULT, "yes_no": 1}, f"spec {number}")
    )
    assert single["yes_no_present"] == pytest.approx(pictures / 2, rel=0.1)
    assert single["yes_no_present"] + single["yes_no_absent"] == pictures


@pytest.mark.parametrize("kind", DIALOGUE_KINDS)
def test_raising_a_quota_only_adds(kind: DialogueKind) -> None:
    for number in range(200):
        few, more = ({part.key for part in parts_of({**NONE, kind: quota}, f"spec {number}")} for quota in (1.3, 2.6))
        assert few <= more


def test_every_kind_in_one_request_a_picture(studio: Studio, counts: Counts) -> None:
    drawn(studio)
    studio.settings["dialogues"] = dict.fromkeys(DIALOGUE_KINDS, 1)
    rows = studio.write_dialogues("animal", "0001")
    assert len(requests(counts)) == 8
    assert Counter(row["question_kind"] for row in rows) == dict.fromkeys(DIALOGUE_KINDS, 8)
    for row in rows:
        assert row["status"] == "made"
        assert row["sees_picture"] is False
        questions = [turn["value"] for turn in row["conversations"] if turn["from"] == "human"]
        assert questions[0].count("<image>") == 1
        assert not any("<image>" in question for question in questions[1:])
        assert len(questions) == (3 if row["question_kind"] == "multi_turn" else 1)
    assert total(rows, "prompt_tokens") == 100 * 8
    assert total(rows, "cost_usd") == 8 * 140_000_000


def test_what_a_right_answer_contains(studio: Studio) -> None:
    drawn(studio)
    studio.settings["dialogues"] = dict.fromkeys(DIALOGUE_KINDS, 1) | {"yes_no": 2}
    subjects = {spec["spec_id"]: spec["subject"] for spec, _ in studio.painted("animal", "0001")}
    for row in studio.write_dialogues("animal", "0001"):
        subject, kind, expected = subjects[row["spec_ids"][0]], row["question_kind"], row["expected"]
        if kind in ("describe", "multi_turn"):
            assert expected is None
        elif kind == "yes_no":
            assert f"so {expected}" in row["conversations"][1]["value"]
        else:
            assert expected == ("no" if kind == "negative_presupposition" else subject)


def test_a_new_kind_asks_for_that_kind_alone(studio: Studio, counts: Counts) -> None:
    drawn(studio)
    studio.settings["dialogues"] = {**NONE, "what": 1}
    before = studio.write_dialogues("animal", "0001")
    studio.settings["dialogues"] = {**NONE, "what": 1, "misleading": 1}
    after = studio.write_dialogues("animal", "0001")
    assert [row for row in after if row["question_kind"] == "what"] == before
    wanted = Counter(question_text(body).rpartition("\n")[2] for body in requests(counts))
    assert wanted == {
        "Write a JSON object with the keys what.": 8,
        "Write a JSON object with the keys misleading.": 8,
    }


def test_an_ability_may_have_quotas_of_its_own(studio: Studio) -> None:
    drawn(studio)
    studio.settings |= {"dialogues": NONE, "ability_dialogues": {"animal": {"describe": 1}}}
    assert {row["question_kind"] for row in studio.write_dialogues("animal", "0001")} == {"describe"}
    studio.settings["ability_dialogues"] = {"dinosaur": {"describe": 1}}
    with pytest.raises(DocumentError, match=r"author\.ability_dialogues: no ability 'dinosaur'"):
        studio.author().abilities(CATALOG)


def test_what_the_painter_left_out_is_not_spoken_of(studio: Studio, counts: Counts) -> None:
    drawn(studio)
    studio.write_dialogues("animal", "0001")
    left_out = {keyword for _, image in studio.painted("animal", "0001") for keyword in image["ignored_keywords"]}
    assert left_out
    about = [question_text(body).rpartition("# Picture")[2] for body in requests(counts)]
    assert not [keyword for text in about for keyword in left_out if keyword in text]


def test_right_options_come_first_as_often_as_second(studio: Studio, counts: Counts) -> None:
    drawn(studio, 60)
    studio.settings["dialogues"] = {**NONE, "either_or": 1}
    studio.write_dialogues("animal", "0001")
    order = Counter(re.findall(r"right option: (\w+)\)", " ".join(map(question_text, requests(counts)))))
    assert order.total() == 60
    assert 20 <= order["first"] <= 40


def test_absent_things_are_those_of_other_pictures(studio: Studio, counts: Counts) -> None:
    drawn(studio)
    studio.write_dialogues("animal", "0001")
    names = {subject.name for subject in CATALOG.single["animal"].drawn_subjects}
    for body in requests(counts):
        about = question_text(body).rpartition("# Picture")[2]
        absent = re.search(r"is wanted: (.*)", about)
        right = re.search(r"is here: (.*)", about)
        assert absent
        assert right
        assert set(absent[1].split(", ")) <= names - {right[1]}
        assert len(set(absent[1].split(", "))) == 4


def test_a_model_may_see_the_pictures(studio: Studio, counts: Counts) -> None:
    drawn(studio, 3)
    blind = studio.write_dialogues("animal", "0001")
    studio.settings |= {"sees_pictures": True, "picture_detail": "high"}
    rows = studio.write_dialogues("animal", "0001")
    assert {row["sees_picture"] for row in rows} == {True}
    assert not {row["row_key"] for row in rows} & {row["row_key"] for row in blind}
    shown = {
        base64.b64decode(part["image_url"]["url"].removeprefix("data:image/png;base64,"))
        for body in requests(counts)
        for part in body["messages"][1]["content"]
        if isinstance(part, dict) and part["type"] == "image_url" and part["image_url"]["detail"] == "high"
    }
    assert shown == {row["image"]["bytes"] for row in studio.rows(IMAGES, "animal", "0001")}
    assert studio.write_dialogues("animal", "0001") == rows


def test_one_kind_that_cannot_be_written_takes_no_other_along(tmp_path: Path) -> None:
    def never_misleading(body: Mapping[str, Any]) -> str:
        answer = json.loads(write(body))
        answer.pop("misleading", None)
        return json.dumps(answer)

    with loopback(Script(), never_misleading) as (url, counts):
        studio = drawn(Studio(tmp_path, url), 4)
        studio.settings["dialogues"] = dict.fromkeys(DIALOGUE_KINDS, 1)
        before = sum(counts.answered.values())
        rows = studio.write_dialogues("animal", "0001")
    assert {row["question_kind"] for row in rows if row["status"] == "failed"} == {"misleading"}
    assert sum(row["status"] == "made" for row in rows) == 4 * 6
    assert total(rows, "prompt_tokens") == 100 * (sum(counts.answered.values()) - before)
    assert all(row["conversations"] == [] and row["expected"] is None for row in rows if row["status"] == "failed")


@pytest.mark.parametrize(
    ("part", "written", "reason"),
    [
        ("describe", {"answer": "See www.owl.example for more."}, "the answer holds an address ('www.')"),
        ("what", {"question": " ", "answer": "An owl.", "right_words": "owl"}, "the question is empty: ''"),
        (
            "multi_turn",
            {"turns": [{"question": "What is it?", "answer": "An owl."}]},
            "the conversation has 1 turns, not 2 to 10",
        ),
    ],
)
def test_what_cannot_be_used_is_a_failed_row(tmp_path: Path, part: str, written: Any, reason: str) -> None:
    def answer(body: Mapping[str, Any]) -> str:
        good = json.loads(write(body))
        return json.dumps({**good, part: written} if part in good else good)

    with loopback(Script(), answer) as (url, _):
        studio = drawn(Studio(tmp_path, url), 2)
        studio.settings["dialogues"] = dict.fromkeys(DIALOGUE_KINDS, 1)
        rows = studio.write_dialogues("animal", "0001")
    failed = [row for row in rows if row["status"] == "failed"]
    assert {(row["question_kind"], row["reason"]) for row in failed} == {(part, reason)}
    assert len(failed) == 2


def test_guided_pictures_are_written_about_as_well(studio: Studio) -> None:
    specs = studio.write_prompts("abnormal", "0001", 6)
    painted: list[tuple[Row, Row]] = [
        (spec, {"image_id": spec["spec_id"], "sha256": "00", "ignored_keywords": []}) for spec in specs
    ]
    author = studio.author()
    rows = list(author.write_dialogues(author.plan_dialogues(CATALOG.single["abnormal"], painted)))
    assert {row["status"] for row in rows} == {"made"}
    DIALOGUES.from_rows([{**row, "run_id": "run"} for row in rows])


def test_no_pictures_no_dialogues(studio: Studio) -> None:
    assert studio.author().plan_dialogues(CATALOG.single["animal"], []) == []


def test_an_unknown_kind_in_the_profile_is_refused() -> None:
    endpoint = {"model": "m"}
    with pytest.raises(ValueError, match="riddle"):
        ChatAuthorSettings.model_validate({"kind": "chat", "endpoint": endpoint, "dialogues": {"riddle": 1}})
