"""Whether sizing batches by the scores beats making them all alike: the same number of prompts, round after round.

Run: ``nice python benchmarks/planned_rounds.py DATA_FOLDER``, where the folder is that of a finished ``make demo``; it is only read.
Both start from its base. The first round is the same for both; before every later one, one of them is planned from the scores
of its own last model. Batches are planned on the demo's benchmark and reported on other questions in the same wordings, since a
plan follows the questions it is made from. Each round tunes the base on everything kept so far, as the pipeline does.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from embedded_experiment import Answers, Experiment, accuracy, by_seed, difference, examples_of

from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.planning.batch_plan import plan_batch
from stablellava_assets.planning.evidence import Evidence
from stablellava_assets.planning.plan_table import plan_table
from stablellava_assets.planning.settings import PlanningSettings
from stablellava_assets.tables.rows import Row

UNIFORM, PLANNED = "uniform", "planned"


class Rounds:
    """What one way of sizing batches has written and kept so far."""

    def __init__(self) -> None:
        self.candidates: list[Candidate] = []
        self.verdicts: list[Row] = []

    @property
    def kept(self) -> list[Row]:
        """The verdicts on kept pairs."""
        return [row for row in self.verdicts if not row["reasons"]]

    def evidence(self, right: Answers, items: Sequence[Row]) -> list[Evidence]:
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


def main() -> None:
    """Both ways over all seeds, then the tables."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--rows", type=int, default=150, help="prompts an ability and round, on average")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--seeds", type=int, default=2, help="each has prompts, pictures and an order of its own")
    arguments.add_argument("--questions", type=int, default=100, help="an ability and kind, to report on")
    given = arguments.parse_args()
    torch.set_num_threads(min(2, torch.get_num_threads()))
    settings = PlanningSettings()
    with TemporaryDirectory() as scratch:
        experiment = Experiment(given.data, Path(scratch))
        reported = experiment.further_items(experiment.workspace.profile.benchmark.items_per_kind, given.questions)
        experiment.say(f"{len(experiment.items)} questions to plan on, {len(reported)} others to report on")
        results: dict[tuple[str, int], list[Answers]] = {}
        pairs: dict[tuple[str, int], list[int]] = {}
        for seed in range(given.seeds):
            _run(experiment, settings, given.rows, given.rounds, seed, reported, results, pairs)
    _report(results, pairs, reported, given.rounds)


def _run(
    experiment: Experiment,
    settings: PlanningSettings,
    usual: int,
    rounds: int,
    seed: int,
    reported: Sequence[Row],
    results: dict[tuple[str, int], list[Answers]],
    pairs: dict[tuple[str, int], list[int]],
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
            results.setdefault((name, number), []).append(
                {item["item_id"]: right[item["item_id"]] for item in reported}
            )
            pairs.setdefault((name, number), []).append(len(way.kept))
            if name == PLANNED and number < rounds:
                evidence = way.evidence(right, experiment.items)
                plan = plan_batch(f"round {number + 1}", evidence, settings, usual, f"round {number}")
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


def _report(
    results: Mapping[tuple[str, int], list[Answers]],
    pairs: Mapping[tuple[str, int], list[int]],
    reported: Sequence[Row],
    rounds: int,
) -> None:
    ids: dict[str, list[str]] = {}
    for item in reported:
        ids.setdefault(item["ability"], []).append(item["item_id"])
    print(
        "\n| round | batches | pairs | accuracy | 95 % interval | weakest ability | planned less uniform | 95 % interval | by seed |"
    )
    print("|---:|---|---:|---:|---:|---|---:|---:|---:|")
    for number in range(1, rounds + 1):
        for name in (UNIFORM, PLANNED):
            of_seeds, reference = results[(name, number)], results[(UNIFORM, number)]
            weakest = min(ids, key=lambda ability: accuracy(of_seeds, ids[ability]).value)
            compared = (
                f"{difference(of_seeds, reference)} | {by_seed(of_seeds, reference)}" if name == PLANNED else " | | "
            )
            print(
                f"| {number} | {name} | {sum(pairs[(name, number)]) // len(pairs[(name, number)]):,} | {accuracy(of_seeds)} | "
                f"{weakest} {accuracy(of_seeds, ids[weakest]).value:.3f} | {compared} |"
            )
    print(
        "\nLast round, by ability:\n\n| ability | uniform | planned | difference | 95 % interval |\n|---|---:|---:|---:|---:|"
    )
    ours, theirs = results[(PLANNED, rounds)], results[(UNIFORM, rounds)]
    for ability, chosen in ids.items():
        print(
            f"| {ability} | {accuracy(theirs, chosen).value:.3f} | {accuracy(ours, chosen).value:.3f} | "
            f"{difference(ours, theirs, chosen)} |"
        )


if __name__ == "__main__":
    main()
