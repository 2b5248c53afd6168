"""A tuning that a gate refuses is kept: trying again judges it anew and does not train anew."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from stablellava_assets.defs.ability_benchmark import ability_benchmark
from stablellava_assets.defs.dialogues import dialogues
from stablellava_assets.defs.filtered_pairs import filtered_pairs
from stablellava_assets.defs.images import images
from stablellava_assets.defs.prompt_specs import prompt_specs
from stablellava_assets.defs.resources import resources_of
from stablellava_assets.tables.schemas import LLAVA_CHECKPOINT
from stablellava_assets_tests.project import Project

UPSTREAM = (prompt_specs, images, dialogues, ability_benchmark, filtered_pairs)


def test_it_is_not_trained_again(own: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = own.workspace
    (row,) = workspace.store.read_all(LLAVA_CHECKPOINT).to_pylist()
    Path(workspace.store.path(LLAVA_CHECKPOINT, (row["checkpoint_id"],))).unlink()
    module = importlib.import_module("stablellava_assets.defs.llava_checkpoint")
    trained: list[str] = []

    def tune(context: Any, base: Path, folder: Any, settings: Any, checkpoint_id: str, *rest: Any) -> dict[str, Any]:
        trained.append(checkpoint_id)
        return {**row, "checkpoint_id": checkpoint_id, "loss_curve": [{"step": 1, "loss": float("nan")}]}

    monkeypatch.setattr(module, "_tune", tune)
    for _ in range(2):
        done = dg.materialize(
            [module.llava_checkpoint, *UPSTREAM],
            selection=["llava_checkpoint"],
            resources=resources_of(workspace),
            raise_on_error=False,
        )
        assert not done.success
        failure = done.failure_data_for_node("llava_checkpoint")
        assert failure is not None
        assert "loss_fell: 1 of 1 rows" in str(failure.user_failure_data)
    assert len(trained) == 1
