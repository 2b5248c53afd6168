"""Models behind endpoints answer the same questions: over real HTTP, with the same scorer, paid once."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.evaluation.answers.answer_rows import rescored
from stablellava_assets.evaluation.answers.generation import InvalidQuestionError
from stablellava_assets.evaluation.answers.pictures import ItemPicture
from stablellava_assets.evaluation.answers.references import (
    ask_reference,
    comparable,
    plan_reference_answers,
    unasked,
)
from stablellava_assets.evaluation.scoreboard import reference_table, scoreboard
from stablellava_assets.evaluation.scores.scoring import score_answers
from stablellava_assets.evaluation.settings import BenchmarkSettings, ReferenceSettings
from stablellava_assets.inputs.yaml_documents import MistakeAtKeyError
from stablellava_assets.tables.journal import RowJournal
from stablellava_assets.tables.rows import AnyPlanned, Refreshed
from stablellava_assets.tables.schemas import REFERENCE_ANSWERS
from stablellava_assets_tests.endpoint.questions import KEY, priced
from stablellava_assets_tests.evaluation.answers import answers
from stablellava_assets_tests.fakes.loopback import Script, loopback
from stablellava_assets_tests.tables.made_up import Row, but
from stablellava_assets_tests.tables.refreshing import refresh
from stablellava_assets_tests.tuning.tiny import picture


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def _item(number: int, **changes: Any) -> Row:
    item = {
        "item_id": f"item {number}",
        "benchmark": "ai",
        "ability": "color",
        "question_kind": "what",
        "question": f"What color is number {number}?",
        "options": [],
        "accepted": ["red"],
        "refused": [],
    }
    return {**item, **changes}


def _pictures(*colors: str) -> list[ItemPicture]:
    return [ItemPicture(color, (), picture(color)) for color in colors]


def _planned(settings: ReferenceSettings, items: list[Row], *colors: str) -> list[AnyPlanned]:
    return list(
        plan_reference_answers(
            "c", settings, items, {item["item_id"]: _pictures(*colors or ("red",)) for item in items}
        )
    )


def _refresh(
    tmp_path: Path, settings: ReferenceSettings, planned: list[AnyPlanned], previous: Refreshed | None = None
) -> Refreshed:
    endpoint = ChatEndpoint(settings.endpoint, tmp_path / "ledger.sqlite")
    with RowJournal(tmp_path, REFERENCE_ANSWERS, ("c",)) as journal:
        made = refresh(
            REFERENCE_ANSWERS,
            planned,
            None if previous is None else previous.data,
            journal,
            lambda missing: ask_reference(missing, settings, endpoint, lambda line: None),
            "run",
            lambda line: None,
        )
        journal.discard()
    return rescored(made, planned, REFERENCE_ANSWERS)


def _red(body: Mapping[str, Any]) -> str:
    return "It is red."


def _seen_images(body: Mapping[str, Any]) -> list[tuple[int, ...]]:
    """The colors of the images of a request, in order."""
    parts = [
        part for message in body["messages"] if isinstance(message["content"], list) for part in message["content"]
    ]
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    colors = []
    for url in urls:
        with Image.open(io.BytesIO(base64.b64decode(url.partition("base64,")[2]))) as image:
            pixel = image.convert("RGB").getpixel((0, 0))
            assert isinstance(pixel, tuple)
            colors.append(pixel)
    return colors


def test_a_question_is_sent_with_its_image_and_scored_like_any_other(tmp_path: Path) -> None:
    with loopback(answer=_red) as (url, seen):
        settings = ReferenceSettings(endpoint=priced(tmp_path, url), name="served", picture_detail="low")
        items = [_item(0), _item(1, accepted=["blue"]), _item(2, question_kind="choice", options=["red", "blue"])]
        planned = _planned(settings, items)
        first = _refresh(tmp_path, settings, planned)
        asked = sum(seen.answered.values())
        again = _refresh(tmp_path, settings, planned, first)
        other_keywords = _planned(settings, [but(item, accepted=["red"]) for item in items])
        rescored_now = _refresh(tmp_path, settings, other_keywords, first)
        elsewhere = ReferenceSettings(endpoint=priced(tmp_path, url), name="renamed", picture_detail="low")
        renamed = _refresh(tmp_path, elsewhere, _planned(elsewhere, items))
    rows = REFERENCE_ANSWERS.rows(first.data)
    assert [(row["model"], row["answer"], row["correct"]) for row in rows] == [
        ("served", "It is red.", True),
        ("served", "It is red.", False),
        ("served", "It is red.", True),
        ("served", "It is red.", True),
    ]
    assert {row["answered_by"] for row in rows} == {"loopback"}
    assert sum(row["cost_usd"] or 0 for row in rows) == pytest.approx(4 * 0.0003)
    bodies = list(seen.bodies.values())
    assert {body["messages"][0]["content"][0]["image_url"]["detail"] for body in bodies} == {"low"}
    texts = [body["messages"][0]["content"][1]["text"] for body in bodies]
    assert sum("A. blue\nB. red" in text for text in texts) == 1, "every rotation is asked"
    assert not any("response_format" in body for body in bodies)
    assert asked == sum(seen.answered.values()) == 4, "nothing is asked twice, under whatever name or keywords"
    assert again.unchanged
    assert [row["correct"] for row in rescored_now.data.to_pylist()] == [True] * 4
    assert renamed.data["answer"].to_pylist() == first.data["answer"].to_pylist()


def test_several_images_stand_where_their_marks_are_and_earlier_turns_come_first(tmp_path: Path) -> None:
    history = [{"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "It is red."}]
    items = [
        _item(0, question="Picture 1: <image> Picture 2: <image> What differs?"),
        _item(1, question="<image>\nAnd this?", history=history),
    ]
    with loopback(answer=_red) as (url, seen):
        settings = ReferenceSettings(endpoint=priced(tmp_path, url))
        _refresh(tmp_path, settings, _planned(settings, items, "red", "blue"))
        with pytest.raises(InvalidQuestionError, match=r"item item 2 has 0 <image> marks and 2 pictures"):
            _refresh(tmp_path, settings, _planned(settings, [_item(2)], "red", "blue"))
    one, several = sorted(seen.bodies.values(), key=lambda body: -len(body["messages"]))
    assert [_seen_images(body) for body in (one, several)] == [[(255, 0, 0), (0, 0, 255)]] * 2
    assert [part["type"] for part in several["messages"][0]["content"]] == [
        *("text", "image_url") * 2,
        "text",
    ]
    assert [message["role"] for message in one["messages"]] == ["user", "assistant", "user"]
    assert one["messages"][1]["content"] == "It is red."


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "GIF"])
def test_files_that_endpoints_do_not_take_are_sent_as_png(tmp_path: Path, kind: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (255, 0, 0)).save(buffer, kind)
    with loopback(answer=_red) as (url, seen):
        settings = ReferenceSettings(endpoint=priced(tmp_path, url))
        pictures = {"item 0": [ItemPicture("key", (), buffer.getvalue())]}
        _refresh(tmp_path, settings, list(plan_reference_answers("c", settings, [_item(0)], pictures)))
        broken = {"item 0": [ItemPicture("other", (), b"no image")]}
        with pytest.raises(InvalidQuestionError, match="the picture of item item 0 cannot be decoded"):
            _refresh(tmp_path, settings, list(plan_reference_answers("c", settings, [_item(0)], broken)))
    (body,) = seen.bodies.values()
    assert body["messages"][0]["content"][0]["image_url"]["url"].startswith("data:image/png;")
    assert _seen_images(body) == [(255, 0, 0)]


def test_other_models_settings_and_images_are_asked_anew_and_other_limits_of_pace_are_not(tmp_path: Path) -> None:
    def key(*colors: str, **changes: Any) -> str:
        fields = {name: changes.pop(name) for name in ("picture_detail", "max_output_tokens") if name in changes}
        settings = ReferenceSettings(endpoint=priced(tmp_path, "http://localhost/v1", **changes), **fields)
        return _planned(settings, [_item(0)], *colors)[0].row_key

    same = key()
    assert same == key(budget_usd="2", max_in_flight=3)
    others = [
        key("blue"),
        key(model="another"),
        key(temperature=0),
        key(picture_detail="low"),
        key(max_output_tokens=9),
    ]
    assert len({same, *others}) == 6


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    items = [_item(number) for number in range(12)]
    with loopback(Script(latency_s=0.01), answer=_red) as (url, seen):
        settings = ReferenceSettings(endpoint=priced(tmp_path, url, max_in_flight=2, initial_in_flight=2))
        planned = _planned(settings, items)
        cut = ask_reference(planned, settings, ChatEndpoint(settings.endpoint, tmp_path / "ledger.sqlite"), print)
        assert len(list(islice(cut, 4))) == 4
        del cut
        finished = _refresh(tmp_path, settings, planned)
    assert finished.data["correct"].to_pylist() == [True] * 12
    assert max(seen.answered.values()) == 1, "what was paid is not asked again"


def test_a_refusal_is_wrong_and_what_failed_otherwise_is_left_out_and_tried_again(tmp_path: Path) -> None:
    items = [_item(number) for number in range(40)]
    with loopback(Script(fault_share=0.5, faults=("refusal", "500")), answer=_red) as (url, _):
        settings = ReferenceSettings(endpoint=priced(tmp_path, url, attempts=1), name="served")
        planned = _planned(settings, items)
        first = _refresh(tmp_path, settings, planned)
    rows = REFERENCE_ANSWERS.rows(first.data)
    refused = [row for row in rows if row["fault"] == "row"]
    missing = [row for row in rows if row["fault"] == "endpoint"]
    assert refused
    assert missing
    assert {row["correct"] for row in refused} == {False}
    assert {row["correct"] for row in missing} == {None}
    answered, unanswered = comparable(rows)
    assert len(answered) == 40 - len(missing)
    (score,) = [
        row
        for row in score_answers(answered, unanswered=unanswered)
        if (row["ability"], row["question_kind"]) == ("color", "all")
    ]
    assert (score["n"], score["unscored"]) == (40 - len(missing), len(missing))
    assert score["correct"] == 40 - len(missing) - len(refused)
    with loopback(answer=_red) as (url, seen):
        settings = ReferenceSettings(endpoint=priced(tmp_path, url, attempts=1), name="served")
        second = _refresh(tmp_path, settings, _planned(settings, items), first)
    assert sum(seen.answered.values()) == len(missing), "a refusal is final"
    assert second.deferred == 0


def _references(bits: str, ability: str, model: str = "served", missing: int = 0) -> tuple[list[Row], list[Row]]:
    rows = [but(row, model=model, accepted=["yes"]) for row in answers("", bits, ability)]
    return rows[: len(rows) - missing], rows[len(rows) - missing :]


def test_a_reference_is_compared_with_the_tuned_model_and_changes_nothing_between_ours() -> None:
    ours = answers("0" * 12, "1" * 12, "animal") + answers("01" * 6, "11" * 6, "color")
    animal, missing = _references("0" * 12, "animal", missing=2)
    color, _ = _references("01" * 6, "color", "another")
    alone = score_answers(ours)
    together = score_answers([*ours, *animal, *color], unanswered=missing)
    assert [row for row in together if row["model"] in ("base", "tuned")] == alone
    scores = {(row["model"], row["ability"], row["question_kind"]): row for row in together}
    served = scores["served", "animal", "all"]
    assert (served["n"], served["unscored"], served["accuracy"]) == (10, 2, 0.0)
    assert (served["difference"], served["verdict"]) == (1.0, "better")
    assert served["p_holm"] == served["p_value"], "each reference model is a family of its own"
    assert scores["another", "color", "what"]["difference"] == 0.5
    assert scores["another", "all", "all"]["n"] == 12
    header, lines = reference_table(together) or ((), [])
    assert header[:3] == ("reference model", "ability", "n")
    assert [line[:4] for line in lines] == [
        ("another", "color", "12", "0"),
        ("another", "all abilities", "12", "0"),
        ("served", "animal", "10", "2"),
        ("served", "all abilities", "10", "2"),
    ]
    few = score_answers([*ours, *_references("11" * 6, "color")[0]])
    assert (reference_table(few, 0.1) or ((), []))[1][0][8:10] == (
        "+0.578",
        "no difference shown †",
    )
    shown = scoreboard(together, markdown=True)
    assert "| served | animal | 10 | 2 | 0.000 |" in shown
    assert "reference model" not in scoreboard(alone, markdown=True)


@pytest.mark.parametrize("names", [["tuned"], ["blanked"], ["one", "one"]])
def test_a_taken_name_is_refused(names: list[str]) -> None:
    references = [{"endpoint": {"model": "gpt-4o-mini"}, "name": name} for name in names]
    with pytest.raises(ValueError, match="is taken") as refused:
        BenchmarkSettings.model_validate({"references": references})
    assert isinstance(refused.value.errors()[0]["ctx"]["error"], MistakeAtKeyError)  # type: ignore[attr-defined]


def test_what_could_not_be_sent_names_its_reason(tmp_path: Path) -> None:
    settings = ReferenceSettings(endpoint=priced(tmp_path, "http://localhost/v1"))
    (row,) = unasked(_planned(settings, [_item(0)]), "set a key")
    assert (row["status"], row["reason"], row["fault"], row["correct"]) == ("deferred", "set a key", "endpoint", None)
