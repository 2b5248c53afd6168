"""How much of a score is luck: the same pairs and base, tuned with several seeds, asked the same questions.

Run: ``python benchmarks/seeds.py DATA_FOLDER [--seeds 0 1 2]``, where the folder is that of a finished ``make demo``; it is only
read. The seed decides the order of the pictures and which of a picture's rows share a look; the base and the benchmark
stay. Prints, an ability a row, the mean over the seeds, their standard deviation, the lowest and the highest, and of how many
seeds "better" is said.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stablellava_assets.evaluation.answering import Asked, answer
from stablellava_assets.evaluation.scoring import ALL, is_correct, score_answers
from stablellava_assets.profiles.profile import DATA_VARIABLE, load_profile
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.rows import Row
from stablellava_assets.tables.schemas import ABILITY_BENCHMARK, FILTERED_PAIRS, IMAGES, LLAVA_CHECKPOINT, MADE
from stablellava_assets.tuning.training import TrainingExample, tune


def main() -> None:
    """Tune and ask, a seed after the other, then print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = arguments.parse_args()
    workspace = Workspace(load_profile({**os.environ, DATA_VARIABLE: str(given.data)}))
    base = given.data / workspace.store.read_all(LLAVA_CHECKPOINT).to_pylist()[-1]["base_path"]
    items = [row for row in workspace.store.read_all(ABILITY_BENCHMARK).to_pylist() if row["status"] == MADE]
    examples = conversations(workspace)
    print(f"{len(examples)} pairs, {len(items)} questions, base {base.name}", flush=True)

    asked_of_base = answers_of(base, items, workspace)
    scores = {}
    for seed in given.seeds:
        settings = workspace.profile.tuning.model_copy(update={"seed": seed})
        with TemporaryDirectory() as folder:
            result = tune(base, examples, settings, Path(folder) / "tuned", lambda line: None)
            tuned = answers_of(result.path, items, workspace)
        rows = [
            {**item, **answered, "checkpoint_id": str(seed), "model": model}
            for model, answers in (("base", asked_of_base), ("tuned", tuned))
            for item, answered in zip(items, answers, strict=True)
        ]
        scores[seed] = score_answers(rows)
        total = next(row for row in of_tuned(scores[seed], ALL) if row["ability"] == ALL)
        print(f"seed {seed}: {total['accuracy']:.4f} after {result.seconds:.0f} s of tuning", flush=True)
    print()
    print(spread_table(list(scores.values())))


def conversations(workspace: Workspace) -> list[TrainingExample]:
    """The kept pairs with their pictures, in the order in which ``llava_checkpoint`` trains on them."""
    pairs = workspace.store.read_all(FILTERED_PAIRS, columns=["image_ids", "conversations"]).to_pylist()
    images = workspace.store.read_all(IMAGES, columns=["image_id", "image"]).to_pylist()
    pictures = {row["image_id"]: row["image"]["bytes"] for row in images if row["image"]}
    return [TrainingExample(row["image_ids"][0], pictures[row["image_ids"][0]], row["conversations"]) for row in pairs]


def answers_of(model: Path, items: Sequence[Row], workspace: Workspace) -> list[Row]:
    """What the model answers to each item, and whether that is right."""
    settings = workspace.profile.benchmark
    asked = [Asked(item["image"]["bytes"], item["question"]) for item in items]
    said = answer(model, asked, settings.answer_batch_size, settings.max_new_tokens, lambda line: None)
    return [
        {"answer": text, "correct": is_correct(text, item["accepted"], item["refused"], item["question_kind"])}
        for text, item in zip(said, items, strict=True)
    ]


def of_tuned(scores: Sequence[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """The tuned model's rows of one question kind, an ability a row."""
    return [row for row in scores if row["model"] == "tuned" and row["question_kind"] == kind]


def spread_table(runs: Sequence[list[dict[str, Any]]]) -> str:
    """Every ability and kind over the runs, as a Markdown table; a standard deviation needs two runs."""
    lines = [f"| | mean of {len(runs)} | SD | lowest | highest | better |", "|---|---:|---:|---:|---:|---:|"]
    kinds = [row["question_kind"] for row in runs[0] if row["model"] == "tuned" and row["ability"] == ALL]
    columns = [*zip(*(of_tuned(run, ALL) for run in runs), strict=True)]
    columns += [
        tuple(row for run in runs for row in of_tuned(run, kind) if row["ability"] == ALL)
        for kind in kinds
        if kind != ALL
    ]
    for rows in columns:
        values = [row["accuracy"] for row in rows]
        name = " ".join(dict.fromkeys((rows[0]["ability"], rows[0]["question_kind"])))
        deviation = f"{statistics.stdev(values):.4f}" if len(values) > 1 else ""
        better = sum(row["verdict"] == "better" for row in rows)
        lines.append(
            f"| {name} | {statistics.mean(values):.3f} | {deviation} | {min(values):.3f} | {max(values):.3f} | "
            f"{better} of {len(rows)} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
