"""Whether batches that follow a model's errors beat batches that do not: the same number of prompts, round after round.

Run: ``nice python benchmarks/error_rounds.py DATA_FOLDER``, where the folder is that of a finished ``make demo``; it is
only read. Authors in use repeat themselves, which the embedded one does not. It is given a habit here: an ability's
subjects are drawn by Zipf's law, in an order of the seed's; or, with ``--released FOLDER``, as often as ChatGPT wrote
about them in StableLLaVA's published files, for the abilities that have one. A brief multiplies the habit's weights;
nothing takes its place. All ways start from the demo's base and share the first round. Before every later one, each is
told the errors of its own last model, found on a diagnosis split; accuracy is reported on other questions. Each round
tunes the base on everything kept so far, as the pipeline does.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from arguments import positive
from embedded_experiment import Answers, Experiment, Share, accuracy, by_seed, difference, examples_of
from scipy.stats import t

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.abilities.brief import Brief
from stablellava_assets.abilities.prompt_format import parse_prompt
from stablellava_assets.authors.released.rows import is_written_out, read_released, released_files
from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.planning.batch_plan import plan_batch
from stablellava_assets.planning.briefs import brief_of
from stablellava_assets.planning.diagnosis import diagnose
from stablellava_assets.planning.evidence import Evidence
from stablellava_assets.planning.settings import PlanningSettings
from stablellava_assets.tables.findings import is_rejected
from stablellava_assets.tables.identity import ranked
from stablellava_assets.tables.score_rows import AnsweredItem

UNIFORM, COUNTS, ERRORS, CONFUSIONS = "uniform", "counts", "errors", "errors and confusions"
WAYS = (UNIFORM, COUNTS, ERRORS, CONFUSIONS)
WEAKEST = 3
"""How many abilities are reported together."""
_MOST = 100.0
"""The largest weight of a brief."""


@dataclass
class Rounds:
    """What one way has written and kept so far, and what its last model said on the diagnosis split."""

    candidates: list[Candidate] = field(default_factory=list)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    said: list[tuple[dict[str, Any], str, bool]] = field(default_factory=list)

    @property
    def kept(self) -> list[dict[str, Any]]:
        """The verdicts on kept pairs."""
        return [row for row in self.verdicts if not is_rejected(row["findings"])]

    def evidence(self) -> list[Evidence]:
        """What is known of each ability."""
        asked, right = Counter[str](), Counter[str]()
        for item, _, is_right in self.said:
            asked[item["ability"]] += 1
            right[item["ability"]] += is_right
        written = Counter(row["ability"] for row in self.verdicts)
        kept = Counter(row["ability"] for row in self.kept)
        return [Evidence(ability, asked[ability], right[ability], written[ability], kept[ability]) for ability in asked]

    def brief(self, ability: Ability, by_confusions: bool) -> Brief:
        """What the next batch should have more of."""
        answered: list[AnsweredItem] = [
            {
                "prompt": item["prompt"],
                "question_kind": item["question_kind"],
                "question": item["question"],
                "accepted": item["accepted"],
                "answer": text,
                "correct": is_right,
            }
            for item, text, is_right in self.said
            if item["ability"] == ability.ability
        ]
        return brief_of(ability, diagnose(ability, answered), by_confusions)


def main() -> None:
    """All ways over all seeds, then the tables."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--rows", type=positive, default=60, help="prompts an ability and round, on average")
    arguments.add_argument("--rounds", type=positive, default=3)
    arguments.add_argument("--first-seed", type=int, default=0)
    arguments.add_argument("--seeds", type=positive, default=5, help="each has a habit, prompts, pictures and an order")
    arguments.add_argument("--habit", type=float, default=1.2, help="exponent of Zipf's law; 0: no habit")
    arguments.add_argument("--released", type=Path, help="published files, whose habits take the place of Zipf's law")
    arguments.add_argument("--questions", type=positive, default=50, help="an ability and kind, to report on")
    arguments.add_argument("--passes", type=float, help="how often every row is trained on; not given: the profile's")
    given = arguments.parse_args()
    torch.set_num_threads(min(2, torch.get_num_threads()))
    answers: dict[tuple[str, int], list[Answers]] = {}
    with TemporaryDirectory() as scratch:
        experiment = Experiment(given.data, Path(scratch), given.passes)
        abilities = dict(experiment.workspace.catalog.single)
        released = None if given.released is None else released_habits(abilities, given.released)
        if released is not None:
            abilities = {name: abilities[name] for name in released}
        diagnosis = [item for item in experiment.items if item["ability"] in abilities]
        further = experiment.further_items(experiment.workspace.profile.benchmark.items_per_kind, given.questions)
        reported = [item for item in further if item["ability"] in abilities]
        experiment.say(f"{len(diagnosis)} questions to diagnose by, {len(reported)} others to report on")
        for seed in range(given.first_seed, given.first_seed + given.seeds):
            habits = released
            if habits is None:
                habits = {name: habit(ability, given.habit, seed) for name, ability in abilities.items()}
            run(experiment, abilities, habits, given.rows, given.rounds, seed, diagnosis, reported, answers)
            report(answers, reported, given.rounds)


def habit(ability: Ability, exponent: float, seed: int) -> dict[str, float]:
    """How often an author draws each subject: by Zipf's law, in an order of the seed's."""
    order = ranked([subject.name for subject in ability.drawn_subjects], "habit", seed)
    return {name: _MOST / (place + 1) ** exponent for place, name in enumerate(order)}


def released_habits(abilities: Mapping[str, Ability], folder: Path) -> dict[str, dict[str, float]]:
    """How often each subject has a published prompt, relative to the most frequent one; by ability that has a file.

    A subject is found by its name or by its answer. One prompt more is counted for each, so that none is impossible.

    Raises:
        SystemExit: no file is about subjects of an ability.
    """
    habits = {}
    for path in released_files(folder):
        ability = abilities.get(path.stem)
        if ability is None:
            continue
        named = {subject.answer.lower(): subject.name for subject in reversed(ability.drawn_subjects)}
        named |= {subject.name.lower(): subject.name for subject in ability.drawn_subjects}
        written = Counter(
            named.get(parse_prompt(row["prompt"]).subject.lower().replace("-", " "))
            for row in read_released(path)
            if is_written_out(row)
        )
        times = {subject.name: written[subject.name] + 1 for subject in ability.drawn_subjects}
        if sum(times.values()) > 2 * len(times):  # Otherwise nearly all prompts are about other things.
            habits[path.stem] = {name: _MOST * count / max(times.values()) for name, count in times.items()}
    if not habits:
        raise SystemExit(f"{folder}: no file has prompts about the subjects of {', '.join(abilities)}")
    return habits


def run(
    experiment: Experiment,
    abilities: Mapping[str, Ability],
    habits: Mapping[str, Mapping[str, float]],
    usual: int,
    rounds: int,
    seed: int,
    diagnosis: Sequence[dict[str, Any]],
    reported: Sequence[dict[str, Any]],
    results: dict[tuple[str, int], list[Answers]],
) -> None:
    """One seed: every way, round after round."""
    ways: dict[str, Rounds] = {}
    for number in range(1, rounds + 1):
        for name in WAYS:
            if number == 1 and ways:  # The first round is the same for all.
                first = ways[UNIFORM]
                ways[name] = Rounds(list(first.candidates), list(first.verdicts), first.said)
                results.setdefault((name, 1), []).append(results[(UNIFORM, 1)][-1])
                continue
            way = ways.setdefault(name, Rounds())
            sizes, briefs = dict.fromkeys(abilities, usual), {}
            if number > 1 and name == COUNTS:
                plan = plan_batch(f"{number}", way.evidence(), PlanningSettings(), usual, f"round {number - 1}")
                sizes = {ability: plan.rows_of(ability) for ability in abilities}
            if number > 1 and name in (ERRORS, CONFUSIONS):
                briefs = {each: way.brief(ability, name == CONFUSIONS) for each, ability in abilities.items()}
            habitual = {each: followed(habits[each], briefs.get(each, Brief())) for each in abilities}
            written = experiment.write(f"{100 * seed + number + 1000:04d}", sizes, briefs=habitual)
            way.verdicts += experiment.filtered(written, experiment.workspace.profile.filters, way.kept, reported)
            way.candidates += written
            examples = examples_of(way.candidates, [row["pair_id"] for row in way.kept])
            folder = experiment.tuned(f"round {number}, {name}", examples, seed)
            asked = diagnosis if number < rounds and (number == 1 or name != UNIFORM) else []
            said = experiment.said(folder, [*asked, *reported])
            way.said = said[: len(asked)]
            right = {item["item_id"]: is_right for item, _, is_right in said[len(asked) :]}
            experiment.say(f"seed {seed}, round {number}, {name}: {statistics.fmean(right.values()):.3f}")
            results.setdefault((name, number), []).append(right)


def followed(habits: Mapping[str, float], brief: Brief) -> Brief:
    """The brief, as an author with this habit follows it."""
    weights = {name: usual * brief.subjects.get(name, 1.0) for name, usual in habits.items()}
    most = max(weights.values())
    return Brief(
        subjects={name: min(_MOST, _MOST * weight / most) for name, weight in weights.items()}, confused=brief.confused
    )


def report(
    results: Mapping[tuple[str, int], Sequence[Answers]], reported: Sequence[dict[str, Any]], rounds: int
) -> None:
    """The table so far."""
    ids: dict[str, list[str]] = {}
    for item in reported:
        ids.setdefault(item["ability"], []).append(item["item_id"])
    last = results[(UNIFORM, rounds)]
    weakest = sorted(ids, key=lambda ability: accuracy(last, ids[ability]).value)[:WEAKEST]
    of_weakest = [item for ability in weakest for item in ids[ability]]
    print(f"\n{len(last)} seeds; weakest under uniform batches: {', '.join(weakest)}\n")
    print(
        "| round | batches | accuracy | 95 % interval | less uniform | over questions and seeds | by seed | "
        "of the weakest | over questions and seeds | by seed |"
    )
    print("|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for number in range(2, rounds + 1):
        for name in WAYS:
            ours, theirs = results[(name, number)], results[(UNIFORM, number)]
            print(
                f"| {number} | {name} | {accuracy(ours)} | {over_seeds(ours, theirs)} | {by_seed(ours, theirs)} | "
                f"{over_seeds(ours, theirs, of_weakest)} | {by_seed(ours, theirs, of_weakest)} |",
                flush=True,
            )


def over_seeds(of_seeds: Sequence[Answers], reference: Sequence[Answers], chosen: Sequence[str] | None = None) -> Share:
    """The paired difference, with a 95 % interval for other questions and other seeds: the half-widths of both add up
    in squares, that of the seeds by Student's t."""
    by_question = difference(of_seeds, reference, chosen)
    if len(of_seeds) == 1:
        return by_question
    ids = list(of_seeds[0] if chosen is None else chosen)
    gains = [
        statistics.fmean(ours[item] - theirs[item] for item in ids)
        for ours, theirs in zip(of_seeds, reference, strict=True)
    ]
    of_questions = (by_question.high - by_question.low) / 2
    of_these = t.ppf(0.975, len(gains) - 1) * statistics.stdev(gains) / math.sqrt(len(gains))
    half = math.hypot(of_questions, of_these)
    return Share(by_question.value, by_question.value - half, by_question.value + half)


if __name__ == "__main__":
    main()
