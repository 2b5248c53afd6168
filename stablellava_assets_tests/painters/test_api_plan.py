"""What pictures would cost, before they are asked for, and what they did cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from stablellava_assets.cli.spending import budget_lines, spending_table
from stablellava_assets.defs.metadata import Metadata
from stablellava_assets.defs.spending import picture_spending
from stablellava_assets.planning.spending import StagePlan, spending_plan
from stablellava_assets.profiles.profile import BUILT_IN_PROFILES, load_profile
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.schemas import IMAGES
from stablellava_assets_tests.conftest import SMALL
from stablellava_assets_tests.fakes.image_server import image_server
from stablellava_assets_tests.tables.made_up import Row

PARTITION = ("animal", "0001")
ROWS = SMALL["rows_per_batch"]


def workspace(
    folder: Path, url: str, price: dict[str, float], *, further: Mapping[str, Any] = {}, **endpoint: Any
) -> Workspace:
    """The embedded author's prompts, painted by an endpoint: as a new process opens them."""
    prices, profile = folder / "prices.yaml", folder / "profile.yaml"
    prices.write_text(yaml.safe_dump({"painter-1": {"input": 5, "output": 40, **price}}))
    asked = {"base_url": url, "model": "painter-1", "api_key_variable": None, "prices": str(prices), **endpoint}
    painter = {"kind": "api", "endpoint": asked, "width": 48, "height": 48, "picture_tokens": 1000}
    embedded = yaml.safe_load((BUILT_IN_PROFILES / "embedded.yaml").read_text())
    profile.write_text(
        yaml.safe_dump({**embedded, **SMALL, **further, "painter": {**painter, **further.get("painter", {})}})
    )
    return Workspace(load_profile({"STABLELLAVA_PROFILE": str(profile), "STABLELLAVA_DATA": str(folder / "data")}))


def prompts(workspace: Workspace) -> list[Row]:
    author = workspace.author
    return list(author.write_prompts(author.plan_prompts(workspace.catalog.single["animal"], "0001", ROWS)))


def planned(made: Workspace) -> list[StagePlan]:
    return spending_plan(
        made.store, made.catalog, made.author, made.batch_painter, {PARTITION: made.profile.rows_per_batch}
    )


def paint(workspace: Workspace, specs: Sequence[Row]) -> Metadata:
    """Paint and publish, and return the metadata of the partition about money."""
    painted = workspace.painter.paint(workspace.painter.plan(specs))
    images = IMAGES.from_rows([{**row, "run_id": "run"} for row in painted])
    workspace.store.publish(IMAGES, PARTITION, images)
    return picture_spending(dg.build_asset_context(), "animal|0001", images)


def test_the_plan_shows_what_is_still_to_be_painted_and_the_budget(tmp_path: Path) -> None:
    with image_server() as (url, _):
        opened = workspace(tmp_path, url, {"picture": 0.04}, budget_usd=1)
        (before,) = planned(opened)
        assert (before.stage, before.rows, before.reused) == ("images", ROWS, 0)
        assert (before.forecast.spent.requests, before.forecast.spent.cost_usd) == (ROWS, ROWS * Decimal("0.04"))
        assert not (tmp_path / "data/image_ledger.sqlite").exists(), "nothing is asked, and nothing written"
        metadata = paint(opened, prompts(opened)[:5])
        assert metadata == {"cost_usd": pytest.approx(0.2), "pictures_waiting_for_budget": 0}
        again = workspace(tmp_path, url, {"picture": 0.04}, budget_usd=1)
        (after,) = planned(again)
    assert (after.reused, after.forecast.spent.cost_usd) == (5, (ROWS - 5) * Decimal("0.04"))
    assert f"animal   0001   images    {ROWS}" in spending_table([after])
    assert budget_lines(again.profile, again.folder).splitlines() == [
        "The embedded author asks no chat model.",
        "Spent on pictures so far: $0.2000; $0.8000 of $1 is left (painter.endpoint.budget_usd).",
    ]


def test_pictures_that_cost_their_tokens_are_estimated_and_then_measured(tmp_path: Path) -> None:
    usage = {"input_tokens": 10, "output_tokens": 300, "total_tokens": 310}
    with image_server(usage=usage) as (url, _):
        opened = workspace(tmp_path, url, {})
        (before,) = planned(opened)
        assert not before.forecast.measured
        assert before.forecast.spent.completion_tokens == ROWS * 1000
        specs = prompts(opened)
        paint(opened, specs[:2])
        (after,) = planned(workspace(tmp_path, url, {}))
    left = ROWS - 2
    assert after.forecast.measured
    assert (after.forecast.spent.prompt_tokens, after.forecast.spent.completion_tokens) == (left * 10, left * 300)
    assert after.forecast.spent.cost_usd == left * (10 * Decimal(5) + 300 * Decimal(40)) / 10**6


def test_pictures_without_a_price_have_an_unknown_cost(tmp_path: Path) -> None:
    opened = workspace(tmp_path, "http://127.0.0.1:9/v1", {})
    (tmp_path / "prices.yaml").write_text("{}")
    (plan,) = planned(opened)
    assert plan.forecast.spent.cost_usd is None
    assert "unknown" in spending_table([plan])


def test_pictures_that_wait_for_a_larger_budget_are_counted(tmp_path: Path) -> None:
    with image_server() as (url, _):
        opened = workspace(tmp_path, url, {"picture": 0.04}, budget_usd=0.1)
        metadata = paint(opened, prompts(opened)[:5])
    assert metadata == {"cost_usd": pytest.approx(0.08), "pictures_waiting_for_budget": 3}


def test_the_plan_counts_every_image_of_which_the_best_is_kept(tmp_path: Path) -> None:
    alignment = {"vqa": {"model": "previous", "min_score": 0.5}}
    filters = {**yaml.safe_load((BUILT_IN_PROFILES / "embedded.yaml").read_text())["filters"], "alignment": alignment}
    choosing = {"painter": {"best_of": {"images": 4}}, "filters": filters}
    opened = workspace(tmp_path, "http://127.0.0.1:9/v1", {"picture": 0.04}, further=choosing)
    (plan,) = planned(opened)
    assert (plan.rows, plan.forecast.spent.requests) == (ROWS, 4 * ROWS)
    assert plan.forecast.spent.cost_usd == 4 * ROWS * Decimal("0.04")
    assert "is the best of 4, all of which are painted" in budget_lines(opened.profile, opened.folder)
