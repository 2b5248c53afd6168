"""How much of a score is luck: the same pairs and base, tuned with several seeds, asked the same questions.

Run: ``python benchmarks/seeds.py DATA_FOLDER [--seeds 0 1 2]``, where the folder is that of a finished ``make demo``;
it is only read. The seed decides the order of the pictures and which of a picture's rows share a look; the base and the
benchmark stay. Prints, an ability a row, the mean over the seeds, their standard deviation, the lowest and the highest,
and of how many seeds "better" is said.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from embedded_experiment import Experiment

from stablellava_assets.evaluation.scores.scoring import ALL, score_answers


def main() -> None:
    """Tune and ask, a seed after the other, then print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = arguments.parse_args()
    with TemporaryDirectory() as folder:
        experiment = Experiment(given.data, Path(folder))
        examples = experiment.demo_pairs(None)
        experiment.say(f"{len(examples)} pairs, {len(experiment.items)} questions, base {experiment.base.name}")
        asked_of_base = experiment.said(experiment.base, experiment.items)
        scores = {}
        for seed in given.seeds:
            tuned = experiment.said(experiment.tuned("all pairs", examples, seed), experiment.items)
            rows = [
                {**item, "answer": text, "correct": right, "checkpoint_id": str(seed), "model": model}
                for model, answers in (("base", asked_of_base), ("tuned", tuned))
                for item, text, right in answers
            ]
            scores[seed] = score_answers(rows)
            total = next(row for row in of_tuned(scores[seed], ALL) if row["ability"] == ALL)
            experiment.say(f"seed {seed}: {total['accuracy']:.4f}")
    print()
    print(spread_table(list(scores.values())))


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
