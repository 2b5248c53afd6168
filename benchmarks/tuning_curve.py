"""The embedded model's accuracy after some minutes of tuning, from the base and the pairs of a finished data folder.

    python benchmarks/tuning_curve.py data 1 2 4

The number of passes is scaled so that the tuning takes as many minutes on this machine; what it took is printed. Accuracy is that of
all benchmark questions, by the scoring of ``ability_scores``; the base stands first.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from stablellava_assets.evaluation.answering import Asked, answer
from stablellava_assets.evaluation.scoring import is_correct
from stablellava_assets.profiles.profile import load_profile
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.schemas import ABILITY_BENCHMARK, FILTERED_PAIRS, IMAGES, LLAVA_CHECKPOINT, MADE
from stablellava_assets.tuning.settings import TuningSettings
from stablellava_assets.tuning.training import TrainingExample, TuningResult, tune

_TRIALS = (0.05, 0.15)


def main(data: Path, minutes: list[float]) -> None:
    """Print a row a time."""
    workspace = Workspace(load_profile({"STABLELLAVA_DATA": str(data)}))
    settings = workspace.profile.tuning
    assert isinstance(settings, TuningSettings)
    base = data / workspace.store.read_all(LLAVA_CHECKPOINT).to_pylist()[-1]["base_path"]
    examples = _examples(workspace)
    print(f"{len(examples)} pairs, base {base.name}\n| minutes | passes | loss | accuracy |\n|---:|---:|---:|---:|")
    print(f"| 0 | 0 | | {_accuracy(workspace, base):.3f} |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        # Two short trials: what a pass takes, and what is done once, as decoding the pictures.
        short, longer = (
            _tune(base, examples, settings, passes, Path(folder) / f"trial {passes}").seconds for passes in _TRIALS
        )
        a_pass = (longer - short) / (_TRIALS[1] - _TRIALS[0])
        fixed = short - _TRIALS[0] * a_pass
        for wanted in minutes:
            passes = max(_TRIALS[0], (60 * wanted - fixed) / a_pass)
            result = _tune(base, examples, settings, passes, Path(folder) / f"{wanted}")
            accuracy = _accuracy(workspace, result.path)
            print(
                f"| {result.seconds / 60:.2f} | {passes:.2f} | {result.loss_curve[-1][1]:.3f} | {accuracy:.3f} |",
                flush=True,
            )


def _tune(
    base: Path, examples: list[TrainingExample], settings: TuningSettings, passes: float, destination: Path
) -> TuningResult:
    stage = settings.stage.model_copy(update={"passes": passes})
    return tune(base, examples, settings.model_copy(update={"stage": stage}), destination, lambda line: None)


def _examples(workspace: Workspace) -> list[TrainingExample]:
    pictures = {
        row["image_id"]: row["image"]["bytes"]
        for row in workspace.store.read_all(IMAGES, columns=["image_id", "image"]).to_pylist()
        if row["image"]
    }
    pairs = workspace.store.read_all(FILTERED_PAIRS, columns=["image_ids", "conversations"]).to_pylist()
    return [TrainingExample(row["image_ids"][0], pictures[row["image_ids"][0]], row["conversations"]) for row in pairs]


def _accuracy(workspace: Workspace, folder: Path) -> float:
    items = [row for row in workspace.store.read_all(ABILITY_BENCHMARK).to_pylist() if row["status"] == MADE]
    asked = [Asked(item["image"]["bytes"], item["question"]) for item in items]
    settings = workspace.profile.benchmark
    said = answer(folder, asked, settings.answer_batch_size, settings.max_new_tokens, lambda line: None)
    right = [
        is_correct(text, item["accepted"], item["refused"], item["question_kind"])
        for text, item in zip(said, items, strict=True)
    ]
    return sum(right) / len(right)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [float(each) for each in sys.argv[2:]] or [1, 2, 4])
