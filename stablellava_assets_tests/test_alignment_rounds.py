"""Two rounds by the real command line: the first has nobody to ask, the second asks the checkpoint of the first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stablellava_assets.tables.schemas import ALIGNMENT_SCORES, FILTERED_PAIRS, LLAVA_CHECKPOINT, REJECTED_PAIRS
from stablellava_assets_tests.conftest import SMALL
from stablellava_assets_tests.project import Project
from stablellava_assets_tests.verdicts import explanations, notes, reasons

_ASK = {
    "subject": {"model": "previous", "min_score": 0.0},
    "scene": {"model": "previous_base", "min_score": 1.0},
}
"""The small model knows nothing: what it says of the scene rejects every pair that has one,
what it says of the subject none."""

SCORING: dict[str, Any] = {
    **SMALL,
    "only": ["animal", "color"],
    "filters": {"alignment": {"facts": {"ask": _ASK}}},
    "gates": {**SMALL["gates"], "min_kept_pairs": 0.0},
}


@pytest.mark.slow
def test_the_second_round_is_filtered_by_the_checkpoint_of_the_first(tmp_path: Path) -> None:
    project = Project(tmp_path / "project", SCORING)
    first = project.materialize("--select '*' --partition-range 'animal|0001...color|0001'").stdout
    assert "no checkpoint available to score with" in first
    store = project.workspace.store
    unscored = store.read_all(ALIGNMENT_SCORES).to_pylist()
    assert len(unscored) == 2 * 2 * SCORING["rows_per_batch"]
    assert {row["score"] for row in unscored} == {None}
    kept = store.read_all(FILTERED_PAIRS).to_pylist()
    assert kept
    assert all(any(note.startswith("alignment_unscored") for note in notes(row)) for row in kept)

    (tuned,) = store.read_all(LLAVA_CHECKPOINT).to_pylist()
    stages = "prompt_specs,images,dialogues,filtered_pairs"
    project.materialize(f"--select {stages} --partition-range 'animal|0001...animal|0002'")
    scores = store.read(ALIGNMENT_SCORES, ("animal", "0002"))
    assert scores is not None
    models = {(row["fact"], row["model"]) for row in scores.to_pylist()}
    base = tuned["base_path"].removeprefix("models/")
    assert models == {("subject", f"llava_checkpoint {tuned['checkpoint_id']}"), ("scene", base)}
    rejected = store.read(REJECTED_PAIRS, ("animal", "0002"))
    assert rejected is not None
    assert rejected.num_rows == 4 * SCORING["rows_per_batch"]
    for row in rejected.to_pylist():
        at = reasons(row).index("fact_not_shown")
        assert explanations(row)[at].startswith("The scene ")
    # The first round stays as it was judged, by nobody.
    assert store.read_all(ALIGNMENT_SCORES, [("animal", "0001")]).to_pylist() == [
        row for row in unscored if row["ability"] == "animal"
    ]
