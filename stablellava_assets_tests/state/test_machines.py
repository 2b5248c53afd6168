"""Two machines: folders of their own, and tables, state and chat model in common."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from stablellava_assets.endpoint.ledger import Ledger
from stablellava_assets.profiles.profile import BUILT_IN_PROFILES, load_profile
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.state.database import Database
from stablellava_assets_tests.authors.chat.profiles import chat_profile
from stablellava_assets_tests.fakes.chat_model import write
from stablellava_assets_tests.fakes.loopback import Script, loopback

ANY = {"gates": {"max_top_subject_share": 1.0, "min_subject_entropy": 0.0}}


def machine(folder: Path, name: str, profile: dict[str, Any], database: Database) -> Workspace:
    path = folder / "profile.yaml"
    path.write_text(yaml.safe_dump(profile))
    environment = {"STABLELLAVA_DATA": str(folder / name), "STABLELLAVA_TABLES": str(folder / "tables")}
    return Workspace(load_profile({"STABLELLAVA_PROFILE": str(path), "STABLELLAVA_STATE": database.url, **environment}))


def materialize(made: Workspace, told: list[dict[str, Any]]) -> None:
    from stablellava_assets.defs.prompt_specs import prompt_specs
    from stablellava_assets.defs.resources import resources_of

    done = dg.materialize([prompt_specs], partition_key="animal|0001", resources=resources_of(made))
    (event,) = done.asset_materializations_for_node("prompt_specs")
    told.append({name: value.value for name, value in event.metadata.items()})


def test_the_same_partition_at_once_is_made_once_and_paid_once(database: Database, tmp_path: Path) -> None:
    with loopback(Script(latency_s=0.3), write) as (url, counts):
        profile = yaml.safe_load((BUILT_IN_PROFILES / "embedded.yaml").read_text())
        profile |= {**chat_profile(tmp_path, url, budget_usd="1"), **ANY}
        machines = [machine(tmp_path, name, profile, database) for name in ("one", "two")]
        told: list[dict[str, Any]] = []
        threads = [threading.Thread(target=materialize, args=(made, told)) for made in machines]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted((each["computed"], each["reused"]) for each in told) == [(0, 12), (12, 0)]
        assert set(counts.answered.values()) == {1}
        spending = Ledger(machines[0].folder.chat_ledger).spending()
    assert spending.spent > 0
    assert spending.held == 0
    assert [sorted(path.name for path in (tmp_path / name).iterdir()) for name in ("one", "two")] == [
        ["journal", "warehouse.duckdb", "warehouse.duckdb.lock"]
    ] * 2, "ledgers and locks are in the database"
