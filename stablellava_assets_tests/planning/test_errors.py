"""What the last model got wrong is recorded with the plan of a batch, and every author follows it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from stablellava_assets.abilities.brief import Brief, FailedQuestion
from stablellava_assets.abilities.catalog import AnyAbility, load_catalog, single_image
from stablellava_assets.abilities.multi_image import MultiImageAbility
from stablellava_assets.authors.chat.author import ChatAuthor
from stablellava_assets.authors.chat.rotation import drawn_slots
from stablellava_assets.authors.settings import ChatAuthorSettings
from stablellava_assets.cli.main import main
from stablellava_assets.defs.dialogues import dialogues
from stablellava_assets.defs.images import images
from stablellava_assets.defs.prompt_specs import prompt_specs
from stablellava_assets.defs.resources import resources_of
from stablellava_assets.inputs.yaml_documents import DocumentError
from stablellava_assets.planning.briefs import brief_text
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.pair_rows import PaintedImage, WrittenSpec
from stablellava_assets.tables.reading import texts_of
from stablellava_assets.tables.schemas import ABILITY_DIAGNOSIS, BATCH_PLANS, DIALOGUES, PROMPT_SPECS
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets_tests.planning.known import publish_scores, row
from stablellava_assets_tests.planning.test_recorded import _ANY_SUBJECTS, _ONLY, materialize, workspace
from stablellava_assets_tests.tables.made_up import Row

BRIEF = Brief(
    subjects={"lion": 4.0, "crab": 0.25},
    confused={"lion": {"tiger": 8.0}},
    failed=[FailedQuestion(kind="what", shown="lion", said="tiger", times=5)],
)

ROWS = 60
USUAL = ROWS / 16
"""How often each of sixteen animals is drawn without a brief."""


def publish_diagnosis(store: ParquetStore, checkpoint: str, shown: str, taken_for: str) -> None:
    """Of sixty questions about animals, six about ``shown`` were answered wrong."""
    nothing = {"taken_for": None, "question_kind": None}
    rows: list[Row] = [
        {**nothing, "facet": "question_kind", "value": "what", "n": 60, "wrong": 6},
        {**nothing, "facet": "subject", "value": shown, "n": 6, "wrong": 6},
        {**nothing, "facet": "subject", "value": "zebra", "n": 54, "wrong": 0},
        {"facet": "confusion", "value": shown, "question_kind": "what", "taken_for": taken_for, "n": 6, "wrong": 6},
    ]
    told = [
        row(ABILITY_DIAGNOSIS, diagnosis_id=str(at), checkpoint_id=checkpoint, ability="animal", **each)
        for at, each in enumerate(rows)
    ]
    store.publish(ABILITY_DIAGNOSIS, (checkpoint,), ABILITY_DIAGNOSIS.from_rows(told))


def error_driven(folder: Path, *, confusions: bool = True, **changes: Any) -> Workspace:
    benchmark = {"items_per_kind": 17, "diagnosis_items_per_kind": 20}
    planning = {"errors": True, "confusions": confusions, "min_factor": 1.0, "max_factor": 1.0}
    return workspace(folder, planning=planning, benchmark=benchmark, **_ANY_SUBJECTS, **changes)


def diagnosed(made: Workspace, checkpoint: str, shown: str, taken_for: str) -> None:
    publish_scores(made.store, checkpoint, dict.fromkeys(_ONLY, 120))
    publish_diagnosis(made.store, checkpoint, shown, taken_for)


def subjects_of(made: Workspace, batch: str) -> Counter[str]:
    return Counter(texts_of(made.store.read_all(PROMPT_SPECS, [("animal", batch)], ["subject"]), "subject"))


def test_a_batch_follows_the_errors_of_its_time_and_is_the_same_whenever_it_is_made(tmp_path: Path) -> None:
    made = error_driven(tmp_path, rows_per_batch=ROWS)
    diagnosed(made, "one", "lion", "tiger")
    shown = materialize(made, "animal|0002")
    assert shown["brief"].startswith("Drawn more often: lion (")
    assert "misled more often by what it was taken for: lion by tiger (" in shown["brief"]
    assert subjects_of(made, "0002")["lion"] > 2 * USUAL
    (recorded,) = BATCH_PLANS.rows(made.store.read_all(BATCH_PLANS))
    assert json.loads(recorded["brief"] or "")["failed"] == [
        {"kind": "what", "shown": "lion", "said": "tiger", "times": 6}
    ]

    diagnosed(made, "two", "crab", "turtle")
    for later in (
        error_driven(tmp_path, rows_per_batch=ROWS),
        workspace(tmp_path, rows_per_batch=ROWS, **_ANY_SUBJECTS),
    ):
        again = materialize(later, "animal|0002")
        assert (again["reused"], again["computed"]) == (ROWS, 0), "whether or not planning goes on"
    later = error_driven(tmp_path, rows_per_batch=ROWS)
    materialize(later, "animal|0003")
    assert subjects_of(later, "0003")["crab"] > 2 * USUAL

    plans = later.plans
    assert plans is not None
    animal = plans.briefed(later.catalog["animal"], "0002")
    assert "lion" in single_image(animal).brief.subjects
    assert plans.briefed(later.catalog["difference"], "0002") is later.catalog["difference"]
    assert single_image(plans.briefed(later.catalog["animal"], "0009")).brief == Brief()


def test_the_questions_about_what_is_mistaken_mislead_by_what_it_is_taken_for(tmp_path: Path) -> None:
    made = error_driven(tmp_path, rows_per_batch=2 * ROWS)
    diagnosed(made, "one", "lion", "tiger")
    resources = resources_of(made)
    done = dg.materialize([prompt_specs, images, dialogues], partition_key="animal|0002", resources=resources)
    assert done.success
    lions = {row["spec_id"] for row in made.store.read_all(PROMPT_SPECS).to_pylist() if row["subject"] == "lion"}
    asked = [row for row in made.store.read_all(DIALOGUES).to_pylist() if row["spec_ids"][0] in lions]
    others = single_image(made.catalog["animal"]).answers
    times = Counter(other for row in asked for other in others if other in row["conversations"][0]["value"])
    (lion, _), (most, often), (_, next_often) = times.most_common(3)
    assert (lion, most) == ("lion", "tiger")
    assert often > 2 * next_often


def test_groups_are_compared_more_often_by_what_the_last_model_did_not_see(tmp_path: Path) -> None:
    only = ["animal", "vehicle", "food", "plant", "furniture", "clothes", "color", "difference"]
    benchmark = {"items_per_kind": 17, "diagnosis_items_per_kind": 20}
    planning = {"errors": True, "min_factor": 1.0, "max_factor": 1.0}
    made = workspace(tmp_path, planning=planning, benchmark=benchmark, only=only, rows_per_batch=ROWS)
    publish_scores(made.store, "one", dict.fromkeys(only, 120))
    told = [
        row(
            ABILITY_DIAGNOSIS,
            diagnosis_id=aspect,
            checkpoint_id="one",
            ability="difference",
            facet="compared",
            value=aspect,
            taken_for=None,
            question_kind=None,
            n=10,
            wrong=8 if aspect == "position" else 0,
        )
        for aspect in several_images(made, "difference").images.compare
    ]
    made.store.publish(ABILITY_DIAGNOSIS, ("one",), ABILITY_DIAGNOSIS.from_rows(told))
    shown = materialize(made, "difference|0002")
    assert shown["brief"].startswith("Compared more often: position (")
    materialize(workspace(tmp_path, only=only, rows_per_batch=ROWS), "difference|0001")

    def groups_by_position(batch: str) -> int:
        rows = made.store.read_all(PROMPT_SPECS, [("difference", batch)]).to_pylist()
        places: dict[str, set[str]] = {}
        for each in rows:
            places.setdefault(each["group_id"], set()).update(
                fact["value"] for fact in each["facts"] if fact["name"] == "position"
            )
        assert len(places) == ROWS
        return sum(len(values) > 1 for values in places.values())

    assert groups_by_position("0002") > 2 * groups_by_position("0001")


def several_images(made: Workspace, name: str) -> MultiImageAbility:
    ability = made.catalog[name]
    assert isinstance(ability, MultiImageAbility)
    return ability


def test_confusions_are_followed_only_if_asked_for(tmp_path: Path) -> None:
    made = error_driven(tmp_path, confusions=False, rows_per_batch=ROWS)
    diagnosed(made, "one", "lion", "tiger")
    shown = materialize(made, "animal|0002")
    assert "lion" in shown["brief"]
    assert "tiger" not in shown["brief"].partition(";")[0]
    assert "misled" not in shown["brief"]


def test_without_a_diagnosis_a_batch_is_as_ever(tmp_path: Path) -> None:
    made = error_driven(tmp_path)
    publish_scores(made.store, "one", dict.fromkeys(_ONLY, 120))
    assert "brief" not in materialize(made, "animal|0002")
    before = made.store.read_all(PROMPT_SPECS, columns=["spec_id", "row_key"])
    made.store.withdraw(PROMPT_SPECS, ("animal", "0002"))
    made.store.withdraw(BATCH_PLANS, ("0002", "animal"))
    materialize(workspace(tmp_path, **_ANY_SUBJECTS), "animal|0002")
    assert made.store.read_all(PROMPT_SPECS, columns=["spec_id", "row_key"]).equals(before)


def test_plans_of_earlier_versions_have_no_brief(tmp_path: Path) -> None:
    made = error_driven(tmp_path)
    diagnosed(made, "one", "lion", "tiger")
    assert made.plans is not None
    made.plans.recorded("0002", ["animal"], "run")
    data = made.store.read_all(BATCH_PLANS)
    (file,) = (made.data / "tables/batch_plans").glob("*/*/*.parquet")
    pq.write_table(data.drop_columns(["brief"]), file)
    assert made.plans.foreseen("0002", ["animal"]).brief_of("animal") is None


def test_the_command_line_tells_what_the_next_batch_has_more_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = error_driven(tmp_path)
    diagnosed(made, "one", "lion", "tiger")
    monkeypatch.setenv("STABLELLAVA_PROFILE", str(tmp_path / "profile.yaml"))
    monkeypatch.setenv("STABLELLAVA_DATA", str(tmp_path / "data"))
    told = CliRunner().invoke(main, ["plan", "animal"])
    assert told.exit_code == 0, told.output
    assert "\nanimal: Drawn more often: lion (" in told.output
    assert made.store.partitions(BATCH_PLANS) == []


def test_errors_need_items_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match=r"profile\.yaml:\d+: planning\.errors: there are no items to find errors"):
        workspace(tmp_path, planning={"errors": True})


def test_a_brief_is_told_in_words() -> None:
    assert brief_text(BRIEF) == (
        "Drawn more often: lion (4); drawn less often: crab (0.25); "
        "misled more often by what it was taken for: lion by tiger (8)"
    )
    assert brief_text(Brief()) == ""


def chat_author(folder: Path, **settings: Any) -> ChatAuthor:
    endpoint = {"base_url": "http://127.0.0.1:9/v1", "model": "a-model", "api_key_variable": None}
    document = {"kind": "chat", "endpoint": endpoint, **settings}
    return ChatAuthor(ChatAuthorSettings.model_validate(document), ParquetStore(str(folder)), folder / "chat")


def test_a_chat_model_is_told_the_mistakes_in_words(tmp_path: Path) -> None:
    author, animal = chat_author(tmp_path), load_catalog().single["animal"]
    briefed = animal.with_brief(BRIEF)
    spec: WrittenSpec = {
        "spec_id": "s",
        "ability": "animal",
        "batch": "0002",
        "prompt": "((lion)), park",
        "negative_prompt": "",
        "seed": 1,
        "subject": "lion",
        "keywords": ["park"],
        "facts": [{"name": "subject", "value": "lion"}, {"name": "answer", "value": "lion"}],
        "author": "chat",
        "template_version": "",
        "group_id": None,
        "image_number": None,
    }
    image: PaintedImage = {"image_id": "i", "spec_id": "s", "sha256": "0", "ignored_keywords": []}

    def texts(ability: Any) -> list[str]:
        rows: list[Any] = [*author.plan_prompts(ability, "0002", 3), *author.plan_dialogues(ability, [(spec, image)])]
        requests = [rows[0].inputs.request, rows[-1].inputs.request]
        return [str(request.chat_request().messages[1]["content"]) for request in requests]

    for before, told in zip(texts(animal), texts(briefed), strict=True):
        assert "gets wrong" not in before
        assert "- It often fails at: lion.\n- It confuses lion with tiger.\n" in told
        assert "- Asked what a picture of a lion shows, it said a tiger, 5 times." in told
    (absent,) = [line for line in texts(briefed)[1].splitlines() if line.startswith("Shown in other pictures")]
    assert ": tiger, " in absent

    def keys(ability: Any) -> set[str]:
        rows: list[Any] = [*author.plan_prompts(ability, "0002", 3), *author.plan_dialogues(ability, [(spec, image)])]
        return {row.row_key for row in rows}

    assert not keys(animal) & keys(briefed)
    assert keys(animal) == keys(animal.with_brief(Brief()))


@pytest.mark.parametrize("subjects", ["guidance", "drawn"])
def test_groups_of_a_chat_author_follow_the_weights(tmp_path: Path, subjects: str) -> None:
    author, difference = chat_author(tmp_path, subjects=subjects), load_catalog()["difference"]
    briefed = difference.with_brief(Brief(compared={"position": 4.0}))

    def keys(ability: AnyAbility) -> list[str]:
        return [row.row_key for row in author.plan_prompts(ability, "0002", 60)]

    def asked(ability: AnyAbility) -> str:
        rows: list[Any] = list(author.plan_prompts(ability, "0002", 60))
        return " ".join(str(each.inputs.request.chat_request().messages) for each in rows)

    word = "compare the position" if subjects == "guidance" else "on the left"
    assert asked(briefed).count(word) > asked(difference).count(word)
    assert keys(difference) == keys(difference.with_brief(Brief()))
    assert keys(difference) != keys(briefed)


def test_drawn_subjects_of_a_chat_author_follow_the_weights() -> None:
    animal = load_catalog().single["animal"].with_brief(BRIEF)
    drawn = [slot.subject for slot in drawn_slots(animal, "0002", 400)]
    assert drawn[:100] == [slot.subject for slot in drawn_slots(animal, "0002", 100)]
    times = Counter(drawn)
    assert times["lion"] > 2 * times["zebra"] > 2 * times["crab"]
