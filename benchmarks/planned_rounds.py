"""Whether sizing batches by the scores beats making them all alike: the same number of prompts, round after round.

Run: ``nice python benchmarks/planned_rounds.py DATA_FOLDER``, where the folder is that of a finished ``make demo``; it
is only read. Both start from its base. The first round is the same for both; before every later one, one of them is
planned from the scores of its own last model. Batches are planned on the demo's benchmark and reported on other
questions in the same wordings, since a plan follows the questions it is made from. Each round tunes the base on
everything kept so far, as the pipeline does.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from arguments import positive
from embedded_experiment import Answers, Experiment, accuracy, by_seed, difference, examples_of

from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.planning.batch_plan import plan_batch
from stablellava_assets.planning.evidence import Evidence
from stablellava_assets.planning.plan_table import plan_table
from stablellava_assets.planning.settings import PlanningSettings
from stablellava_assets.tables.findings import is_rejected

UNIFORM, PLANNED = "uniform", "planned"


class Rounds:
    """What one way of sizing batches has written and kept so far."""

    def __init__(self) -> None:
        self.candidates: list[Candidate] = []
        self.verdicts: list[dict[str, Any]] = []

    @property
    def kept(self) -> list[dict[str, Any]]:
        """The verdicts on kept pairs."""
        return [row for row in self.verdicts if not is_rejected(row["findings"])]

    def evidence(self, right: Answers, items: Sequence[dict[str, Any]]) -> list[Evidence]:
        """What is known of each ability from the answers to ``items``."""
        asked, answered = Counter[str](), Counter[str]()
        for item in items:
            asked[item["ability"]] += 1
            answered[item["ability"]] += right[item["item_id"]]
        written = Counter(row["ability"] for row in self.verdicts)
        kept = Counter(row["ability"] for row in self.kept)
        return [
            Evidence(ability, asked[ability], answered[ability], written[ability], kept[ability]) for ability in asked
        ]


@dataclass(frozen=True)
class Results:
    """What came of each way and round, a seed after the other."""

    answers: dict[tuple[str, int], list[Answers]] = field(default_factory=dict)
    pairs: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    sizes: dict[tuple[str, int], list[Mapping[str, int]]] = field(default_factory=dict)
    """Prompts written, by ability."""

    def add(self, name: str, number: int, answers: Answers, pairs: int, sizes: Mapping[str, int]) -> None:
        """One way's round, of the next seed."""
        self.answers.setdefault((name, number), []).append(answers)
        self.pairs.setdefault((name, number), []).append(pairs)
        self.sizes.setdefault((name, number), []).append(sizes)


def main() -> None:
    """Both ways over all seeds, then the tables."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--rows", type=positive, default=150, help="prompts an ability and round, on average")
    arguments.add_argument("--rounds", type=positive, default=3)
    arguments.add_argument(
        "--seeds", type=positive, default=2, help="each has prompts, pictures and an order of its own"
    )
    arguments.add_argument("--questions", type=positive, default=100, help="an ability and kind, to report on")
    arguments.add_argument("--passes", type=float, help="how often every row is trained on; not given: the profile's")
    given = arguments.parse_args()
    torch.set_num_threads(min(2, torch.get_num_threads()))
    results = Results()
    with TemporaryDirectory() as scratch:
        experiment = Experiment(given.data, Path(scratch), given.passes)
        reported = experiment.further_items(experiment.workspace.profile.benchmark.items_per_kind, given.questions)
        experiment.say(f"{len(experiment.items)} questions to plan on, {len(reported)} others to report on")
        for seed in range(given.seeds):
            _run(experiment, given.rows, given.rounds, seed, reported, results)
    _report(results, reported, given.rounds)


def _run(
    experiment: Experiment, usual: int, rounds: int, seed: int, reported: Sequence[dict[str, Any]], results: Results
) -> None:
    every = experiment.workspace.measured
    ways = {UNIFORM: Rounds(), PLANNED: Rounds()}
    sizes = dict.fromkeys(ways, dict.fromkeys(every, usual))
    for number in range(1, rounds + 1):
        batch = f"{10 * seed + number + 1:04d}"
        written = experiment.write(batch, {ability: max(size[ability] for size in sizes.values()) for ability in every})
        right: Answers | None = None
        for name, way in ways.items():
            if number == 1 and right is not None:  # The first round is the same for both.
                way.candidates, way.verdicts = list(ways[UNIFORM].candidates), list(ways[UNIFORM].verdicts)
            else:
                chosen = _first_prompts(written, sizes[name])
                way.verdicts += experiment.filtered(chosen, experiment.workspace.profile.filters, way.kept, reported)
                way.candidates += chosen
                examples = examples_of(way.candidates, [row["pair_id"] for row in way.kept])
                right = experiment.measured(f"round {number}, {name}", examples, seed, [*experiment.items, *reported])
            answers = {item["item_id"]: right[item["item_id"]] for item in reported}
            results.add(name, number, answers, len(way.kept), sizes[name])
            if name == PLANNED and number < rounds:
                evidence = way.evidence(right, experiment.items)
                plan = plan_batch(f"round {number + 1}", evidence, PlanningSettings(), usual, f"round {number}")
                sizes[name] = {ability: plan.rows_of(ability) for ability in every}
                experiment.say(f"seed {seed}, plan of round {number + 1}:\n{plan_table(plan, markdown=True)}")


def _first_prompts(written: Sequence[Candidate], sizes: Mapping[str, int]) -> list[Candidate]:
    """The dialogues about the first so many prompts of each ability."""
    seen: dict[str, dict[str, None]] = {}
    chosen = []
    for candidate in written:
        ability, spec_id = candidate.spec["ability"], candidate.spec["spec_id"]
        its_own = seen.setdefault(ability, {})
        its_own[spec_id] = None
        if len(its_own) <= sizes[ability]:
            chosen.append(candidate)
    return chosen


def _report(results: Results, reported: Sequence[dict[str, Any]], rounds: int) -> None:
    ids: dict[str, list[str]] = {}
    for item in reported:
        ids.setdefault(item["ability"], []).append(item["item_id"])
    print(
        "\n| round | batches | pairs | accuracy | 95 % interval | weakest ability | planned less uniform | 95 % "
        "interval | by seed |"
    )
    print("|---:|---|---:|---:|---:|---|---:|---:|---:|")
    for number in range(1, rounds + 1):
        for name in (UNIFORM, PLANNED):
            of_seeds, reference = results.answers[(name, number)], results.answers[(UNIFORM, number)]
            pairs = results.pairs[(name, number)]
            weakest = min(ids, key=lambda ability: accuracy(of_seeds, ids[ability]).value)
            compared = (
                f"{difference(of_seeds, reference)} | {by_seed(of_seeds, reference)}" if name == PLANNED else " | | "
            )
            print(
                f"| {number} | {name} | {sum(pairs) // len(pairs):,} | {accuracy(of_seeds)} | "
                f"{weakest} {accuracy(of_seeds, ids[weakest]).value:.3f} | {compared} |"
            )
    print(
        "\nLast round, by ability; prompts planned round by round, a seed after the other:\n\n"
        "| ability | uniform | planned | difference | 95 % interval | by seed | prompts planned |"
    )
    print("|---|---:|---:|---:|---:|---:|---:|")
    ours, theirs = results.answers[(PLANNED, rounds)], results.answers[(UNIFORM, rounds)]
    for ability, chosen in ids.items():
        print(
            f"| {ability} | {accuracy(theirs, chosen).value:.3f} | {accuracy(ours, chosen).value:.3f} | "
            f"{difference(ours, theirs, chosen)} | {by_seed(ours, theirs, chosen)} | "
            f"{_sizes(results, ability, rounds)} |"
        )


def _sizes(results: Results, ability: str, rounds: int) -> str:
    """As in ``150 97 75, 150 104 81``: three rounds of two seeds."""
    of_rounds = [results.sizes[(PLANNED, number)] for number in range(1, rounds + 1)]
    return ", ".join(" ".join(str(sizes[ability]) for sizes in of_seed) for of_seed in zip(*of_rounds, strict=True))


if __name__ == "__main__":
    main()
