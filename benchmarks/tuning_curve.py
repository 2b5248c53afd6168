"""The embedded model's accuracy after some minutes of tuning, from the base and the pairs of a finished data folder.

    python benchmarks/tuning_curve.py data 1 2 4

The number of passes is scaled so that the tuning takes as many minutes on this machine; what it took is printed.
Accuracy is that of all benchmark questions, by the scoring of ``ability_scores``; the base stands first.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from embedded_experiment import Experiment

_TRIALS = (0.05, 0.15)
_SEED = 0


def main() -> None:
    """Print a row a time."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("minutes", type=float, nargs="*", default=[1, 2, 4])
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        experiment = Experiment(given.data, Path(folder))
        examples = experiment.demo_pairs(None)
        print(f"{len(examples)} pairs, base {experiment.base.name}")
        print("| minutes | passes | loss | accuracy |\n|---:|---:|---:|---:|")
        print(f"| 0 | 0 | | {_accuracy(experiment, experiment.base):.3f} |", flush=True)
        # Two short trials: what a pass takes, and what is done once, as decoding the pictures.
        short, longer = (
            experiment.tune(examples, _SEED, Path(folder) / f"trial {passes}", passes).seconds for passes in _TRIALS
        )
        a_pass = (longer - short) / (_TRIALS[1] - _TRIALS[0])
        fixed = short - _TRIALS[0] * a_pass
        for wanted in given.minutes:
            passes = max(_TRIALS[0], (60 * wanted - fixed) / a_pass)
            result = experiment.tune(examples, _SEED, Path(folder) / f"{wanted}", passes)
            accuracy = _accuracy(experiment, result.path)
            print(
                f"| {result.seconds / 60:.2f} | {passes:.2f} | {result.loss_curve[-1][1]:.3f} | {accuracy:.3f} |",
                flush=True,
            )


def _accuracy(experiment: Experiment, model: Path) -> float:
    right = experiment.answers(model, experiment.items).values()
    return sum(right) / len(right)


if __name__ == "__main__":
    main()
