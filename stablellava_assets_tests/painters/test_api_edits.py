"""The api painter makes the further images of a group as edits of its first image."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from stablellava_assets.defs.images import images
from stablellava_assets.defs.prompt_specs import prompt_specs
from stablellava_assets.defs.resources import resources_of
from stablellava_assets.endpoint.requests import EndpointError
from stablellava_assets.profiles.profile import BUILT_IN_PROFILES, load_profile
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.schemas import IMAGES
from stablellava_assets_tests.conftest import SMALL
from stablellava_assets_tests.fakes.image_server import image_server
from stablellava_assets_tests.painters.specs import spec
from stablellava_assets_tests.painters.test_api import PRICE, painted_by, painter_of, spending
from stablellava_assets_tests.painters.test_provenance import properties
from stablellava_assets_tests.tables.made_up import Row, but

INSTRUCTION = (
    "Edit this picture. Show a tiger instead of a lion. Change nothing else. "
    "The result is a picture of: a tiger, in a forest"
)


def group(name: str, *prompts: str, seeds: tuple[int, ...] = ()) -> list[Row]:
    return [
        but(spec(prompt, (seeds or (7,) * 9)[at], f"{name} {at + 1}"), group_id=name, image_number=at + 1)
        for at, prompt in enumerate(prompts)
    ]


PAIR = group("pair", "a ((lion)), in a forest", "a ((tiger)), in a forest")


def test_a_group_is_one_image_and_its_edits(tmp_path: Path) -> None:
    with image_server() as (url, seen):
        painter = painter_of(tmp_path, url, edit_groups=True, seed_field="seed", quality="low")
        # The edit comes before its original, and others between them.
        second, _, first = painted_by(painter, PAIR[1], spec("koala", 5), PAIR[0])
    for row in (first, second):
        IMAGES.from_rows([but(row, run_id="a run")])
    assert [body["prompt"] for body in seen.bodies] == ["koala", "a lion, in a forest", INSTRUCTION]
    sent = {"model": "painter-1", "prompt": INSTRUCTION, "n": "1", "size": "48x32", "quality": "low", "seed": "7"}
    assert seen.bodies[2] == sent
    assert seen.edited == {INSTRUCTION: first["image"]["bytes"]}
    assert (second["status"], second["seed"], second["cost_usd"]) == ("made", 7, float(PRICE))
    said = properties(second["image"]["bytes"])
    assert said["{urn:stablellava-assets:painting:1#}EditOf"] == first["image_id"]
    assert INSTRUCTION in said.values()
    assert spending(tmp_path) == 3 * PRICE


def test_faults_are_outlasted_and_no_edit_is_paid_twice(tmp_path: Path) -> None:
    def fault(body: Mapping[str, Any], arrival: int) -> str | None:
        return {1: "503", 2: "uniform"}.get(arrival) if body["prompt"] == INSTRUCTION else None

    with image_server(fault) as (url, seen):
        rows = painted_by(painter_of(tmp_path, url, edit_groups=True, retries=1), *PAIR)
        again = painted_by(painter_of(tmp_path, url, edit_groups=True, retries=1), *PAIR)
        forecast = painter_of(tmp_path, url, edit_groups=True)
        assert forecast.forecast(forecast.plan(PAIR)).spent.requests == 0, "the ledger has both"
    assert again == rows
    assert rows[1]["cost_usd"] == float(2 * PRICE)
    assert dict(seen.answered) == {"a lion, in a forest": 1, INSTRUCTION: 2}


def test_what_was_painted_before_is_edited(tmp_path: Path) -> None:
    with image_server() as (url, seen):
        painter = painter_of(tmp_path, url, edit_groups=True)
        planned = painter.plan(PAIR)
        original = (planned[0].row_id, planned[0].row_key)
        (made,) = painter.paint(planned[:1])
        assert made["image"] is not None
        file = made["image"]["bytes"]
        asked: list[Any] = []

        def finished(wanted: Any) -> Any:
            asked.extend(wanted)
            return iter([(original[0], file)])

        (row,) = painter.paint(planned[1:], finished)
        (without,) = painter.paint(planned[1:])
    assert (row["status"], asked) == ("made", [original])
    assert hashlib.sha256(seen.edited[INSTRUCTION]).hexdigest() == made["sha256"]
    assert (without["status"], without["fault"]) == ("failed", "setting"), "so that it is tried again with the first"


@pytest.mark.parametrize(
    ("wrong", "budget", "status", "fault"), [("400", "1", "failed", "setting"), (None, "0.05", "deferred", "budget")]
)
def test_an_edit_ends_as_its_original_did(
    tmp_path: Path, wrong: str | None, budget: str, status: str, fault: str
) -> None:
    with image_server(lambda body, arrival: wrong if "lion" in body["prompt"] else None) as (url, seen):
        painter = painter_of(tmp_path, url, edit_groups=True, endpoint={"budget_usd": budget})
        first, second, _ = painted_by(painter, *PAIR, spec("koala"), *group("other", "a dog", "a cat"))[:3]
    assert [(row["status"], row["fault"]) for row in (first, second)] == [(status, fault)] * 2
    assert second["reason"] == f"there is no first image of its group to edit: {first['reason']}"
    assert second["cost_usd"] == 0
    assert INSTRUCTION not in seen.answered
    IMAGES.from_rows([but(second, run_id="a run")])


def test_only_exact_groups_are_edited_and_no_other_row_changes(tmp_path: Path) -> None:
    others = [spec("koala"), *group("loose", "a dog, on a beach", "a cat, in a city", seeds=(1, 2))]
    plain, editing = painter_of(tmp_path, "http://unused"), painter_of(tmp_path, "http://unused", edit_groups=True)
    before, after = plain.plan([*others, *PAIR]), editing.plan([*others, *PAIR])
    assert [row.row_id for row in after] == [row.row_id for row in before]
    assert [row.row_key == old.row_key for row, old in zip(after, before, strict=True)] == [True] * 4 + [False]
    other_first = editing.plan([but(PAIR[0], prompt="a ((wolf)), in a forest"), PAIR[1]])
    assert other_first[1].row_key != after[-1].row_key, "an edit of another image"


def test_an_endpoint_that_edits_nothing_stops_the_stage(tmp_path: Path) -> None:
    with image_server(lambda body, arrival: "400" if body["prompt"] == INSTRUCTION else None) as (url, _):
        painter = painter_of(tmp_path, url, edit_groups=True)
        with pytest.raises(EndpointError, match=r"painter\.edit_groups"):
            painted_by(painter, *PAIR)


@pytest.mark.parametrize("min_made", [0, 0.9], ids=["published", "in the journal"])
def test_a_later_run_edits_the_images_of_an_earlier_one(tmp_path: Path, min_made: float) -> None:
    down = True

    def run(url: str) -> bool:
        asked = {"base_url": url, "model": "painter-1", "api_key_variable": None, "attempts": 1, "backoff_s": 0.01}
        painter = {"kind": "api", "endpoint": asked, "width": 48, "height": 48, "edit_groups": True}
        profile = yaml.safe_load((BUILT_IN_PROFILES / "embedded.yaml").read_text())
        profile |= {**SMALL, "rows_per_batch": 4, "painter": painter}
        profile["gates"] = {**profile.get("gates", {}), **SMALL.get("gates", {}), "min_made_images": min_made}
        (tmp_path / "profile.yaml").write_text(yaml.safe_dump(profile))
        opened = Workspace(
            load_profile(
                {"STABLELLAVA_PROFILE": str(tmp_path / "profile.yaml"), "STABLELLAVA_DATA": str(tmp_path / "data")}
            )
        )
        return dg.materialize(
            [prompt_specs, images],
            partition_key=dg.MultiPartitionKey({"ability": "difference", "batch": "0001"}),
            resources=resources_of(opened),
            raise_on_error=False,
        ).success

    def fault(body: Mapping[str, Any], arrival: int) -> str | None:
        return "503" if down and body["prompt"].startswith("Edit") else None

    with image_server(fault) as (url, seen):
        assert run(url) == (min_made == 0)
        originals = set(seen.answered)
        down = False
        assert run(url)
    assert len(originals) == len(seen.edited) == 4
    assert set(seen.answered.values()) == {1}
