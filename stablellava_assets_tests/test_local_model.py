"""A real chat model writes a few rows of three abilities, and they go all the way down to the scores."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from stablellava_assets.endpoint.local_server import LOCAL_MODEL, local_server
from stablellava_assets.profiles.profile import BUILT_IN_PROFILES
from stablellava_assets.tables.schemas import ABILITY_SCORES, DIALOGUES, FILTERED_PAIRS, MADE, PROMPT_SPECS
from stablellava_assets_tests.conftest import SMALL
from stablellava_assets_tests.project import FEW_ABILITIES, Project

ROWS = 2
QUOTAS = {"describe": 1, "what": 1, "yes_no": 0, "either_or": 0}


@pytest.mark.slow(90)
def test_from_prompts_to_scores(tmp_path: Path) -> None:
    profile = yaml.safe_load((BUILT_IN_PROFILES / "local-llm.yaml").read_text())
    author, gates = profile["author"], profile["gates"]
    author["dialogues"] |= QUOTAS
    with local_server() as url:
        author["endpoint"]["base_url"] = url
        # So few pairs make too few steps for the loss to fall, unless each is seen often.
        tuning = {**SMALL["tuning"], "stage": {"passes": 60, "batch_size": 4}}
        changes = {**SMALL, "rows_per_batch": ROWS, "author": author, "gates": gates, "tuning": tuning}
        project = Project(tmp_path, changes)
        project.materialize("--select '*' --partition-range 'animal|0001...scene|0001'")
    store = project.workspace.store
    specs, dialogues = store.read_all(PROMPT_SPECS).to_pylist(), store.read_all(DIALOGUES).to_pylist()
    assert len(specs) == len(FEW_ABILITIES) * ROWS
    made = [row for row in specs if row["status"] == MADE]
    assert len(dialogues) == 2 * len(made)
    for row in (*specs, *dialogues):
        assert (row["author"], row["model"]) == ("chat", LOCAL_MODEL)
        assert row["completion_tokens"] > 0
        assert (row["reason"] is None) == (row["status"] == MADE)
    assert {row["ability"] for row in dialogues if row["status"] == MADE} == set(FEW_ABILITIES)
    assert store.read_all(FILTERED_PAIRS).num_rows > 0
    assert store.read_all(ABILITY_SCORES).num_rows == 4 * (len(FEW_ABILITIES) + 1) * (3 + 1)
