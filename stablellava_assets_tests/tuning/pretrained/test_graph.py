"""The two assets at the end of the graph on a pretrained checkpoint: tuned, measured beside
its base, and not tuned twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner

from stablellava_assets.cli.main import main
from stablellava_assets.defs.ability_benchmark import ability_benchmark
from stablellava_assets.defs.ability_scores import ability_scores
from stablellava_assets.defs.dialogues import dialogues
from stablellava_assets.defs.filtered_pairs import filtered_pairs
from stablellava_assets.defs.images import images
from stablellava_assets.defs.llava_checkpoint import llava_checkpoint
from stablellava_assets.defs.prompt_specs import prompt_specs
from stablellava_assets.defs.resources import resources_of
from stablellava_assets.tables.identity import pairs_key
from stablellava_assets.tables.reading import texts_of
from stablellava_assets.tables.schemas import ABILITY_SCORES, FILTERED_PAIRS, LLAVA_CHECKPOINT
from stablellava_assets.tuning.pretrained import chart, supervisor
from stablellava_assets_tests.conftest import SMALL
from stablellava_assets_tests.fakes.tuning_checkpoints import save_llava
from stablellava_assets_tests.filters.pairs import noise_png
from stablellava_assets_tests.project import Project
from stablellava_assets_tests.published_pairs import ANIMALS, animal, publish


def test_a_pretrained_checkpoint_is_tuned_once_and_measured_beside_its_base(tmp_path: Path, monkeypatch: Any) -> None:
    base = save_llava(tmp_path / "llava")
    tuning = {
        "model": {"kind": "pretrained", "model": str(base), "lora": {"rank": 4}, "max_length": 128},
        "stage": {"epochs": 2, "batch_size": 4, "learning_rate": 3e-2},
        "machine": {"device": "cpu", "workers": 0, "micro_batch": 2},
    }
    profile = {**SMALL, "only": ["animal"], "tuning": tuning}
    project = Project(tmp_path / "project", {**profile, "benchmark": {"items_per_kind": 17, "max_new_tokens": 2}})
    workspace = project.workspace
    publish(Path(workspace.profile.tables_root), [animal(name) for name in ANIMALS])

    def run() -> dict[str, Any]:
        done = dg.materialize(
            [prompt_specs, images, dialogues, filtered_pairs, ability_benchmark, llava_checkpoint, ability_scores],
            selection=[ability_benchmark, llava_checkpoint, ability_scores],
            resources=resources_of(workspace),
        )
        (event,) = done.asset_materializations_for_node("llava_checkpoint")
        return {name: value.value for name, value in event.metadata.items()}

    def no_chart(log: Any) -> bytes:
        raise OSError("no room for the chart")

    with monkeypatch.context() as patched:
        patched.setattr(chart, "training_chart", no_chart)
        with pytest.raises(OSError, match="no room for the chart"):
            run()
    with monkeypatch.context() as patched:
        patched.setattr(supervisor, "launch_process", None)
        first = run()
    (row,) = workspace.store.read_all(LLAVA_CHECKPOINT).to_pylist()
    assert (row["model"], row["base_path"], row["pairs"]) == ("pretrained", str(base), len(ANIMALS))
    kept = texts_of(workspace.store.read_all(FILTERED_PAIRS, columns=["row_key"]), "row_key")
    assert row["pairs_key"] == pairs_key(reversed(kept))
    assert first["computed"] == 1
    assert first["rejected rows"] == 0
    assert "data:image/png" in first["training"]
    scores = workspace.store.read_all(ABILITY_SCORES).to_pylist()
    assert {score["model"] for score in scores} == {"base", "tuned", "blind", "swapped"}
    card = (workspace.data / row["path"] / "README.md").read_text()
    assert "Texts by the author 'chat' were written by a-chat-model" in card
    assert "## Scores" in card
    assert run()["reused"] == 1

    monkeypatch.setenv("STABLELLAVA_PROFILE", str(project.profile_path))
    monkeypatch.setenv("STABLELLAVA_DATA", str(project.folder / "data"))
    picture = tmp_path / "picture.png"
    picture.write_bytes(noise_png("asked"))
    for options in ([], ["--checkpoint", str(base)]):
        asked = CliRunner().invoke(main, ["ask", str(picture), "What is it?", "--max-new-tokens", "2", *options])
        assert asked.exit_code == 0, asked.output
    gone = CliRunner().invoke(main, ["ask", str(picture), "What is it?", "--checkpoint", str(tmp_path / "gone")])
    assert gone.exit_code == 1
    assert "gone" in gone.output
