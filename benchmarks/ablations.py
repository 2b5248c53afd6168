"""What filters, the amount of data, negative questions and other people's dialogues are worth to the embedded model.

Run: ``python benchmarks/ablations.py filters|amount|negatives|not_shown DATA_FOLDER`` or ``... mixed DATA_FOLDER
RELEASED_FOLDER``, where the data folder is that of a finished ``make demo``; it is only read. Every arm tunes the
demo's base with the same settings and answers the same questions, once a seed. docs/ablations.md says what is
compared and how to read the tables.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from ablation_designs import (
    DesignError,
    false_premises,
    half_replaced,
    partly_not_shown,
    share_of_pictures,
    swap_pictures,
    without_no,
    yes_for_no,
)
from ablation_tables import Arms, first_of_each, of_all, of_kinds
from arguments import positive
from embedded_experiment import Experiment, examples_of, images_of
from released_dialogues import released_dialogues

from stablellava_assets.authors.released.author import ReleasedAuthor
from stablellava_assets.authors.released.rows import ReleasedDataError
from stablellava_assets.authors.settings import ReleasedAuthorSettings
from stablellava_assets.filters.alignment.alignment import Alignment
from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.profiles.profile import PROFILE_VARIABLE, load_profile
from stablellava_assets.tables.findings import REJECTS, is_rejected, rules_with
from stablellava_assets.tables.schemas import PROMPT_SPECS

_WRONG = 0.2
_NOT_SHOWN = (0.05, 0.1)
_FIRST_BATCH = 8
"""Of those that are written for the filters: the profile's thresholds were chosen and reported on earlier ones."""
_JUDGING_PROFILE = "self-judged"
_SECONDS_BETWEEN_REPORTS = 15.0
_CONTAMINATED = {"contaminated_prompt", "contaminated_image"}


def main() -> None:
    """The ablation that was asked for, then its tables."""
    given = _arguments().parse_args()
    torch.set_num_threads(min(2, torch.get_num_threads()))
    try:
        with TemporaryDirectory() as scratch:
            given.run(Experiment(given.data, Path(scratch), given.passes), given)
    except (DesignError, ReleasedDataError) as error:
        sys.exit(str(error))


def filters(experiment: Experiment, given: argparse.Namespace) -> None:
    """With and without filters, a fifth of the pictures swapped."""
    clean, unfiltered = "clean: no picture swapped, default filters", "a fifth swapped, unfiltered"
    default, aligned, right = "... default filters", "... and alignment", "... right pairs of the default filters only"
    asked = first_of_each(experiment.items, given.questions)
    arms = Arms(experiment, asked, given.seeds)
    sorting = {default: Counter[str](), aligned: Counter[str]()}
    settings = experiment.workspace.profile.filters
    for seed in range(given.seeds):
        written = experiment.write(
            f"{_FIRST_BATCH + seed:04d}", dict.fromkeys(experiment.workspace.measured, given.rows)
        )
        verdicts = experiment.filtered(written, settings)
        # Also where nothing filters: no arm may have seen the questions.
        seen = {row["pair_id"] for row in verdicts if _CONTAMINATED & set(rules_with(REJECTS, row["findings"]))}
        written = [each for each in written if each.dialogue["pair_id"] not in seen]
        faulty, wrong = swap_pictures(written, experiment.workspace.catalog, _WRONG, "swap", seed)
        experiment.say(
            f"seed {seed}: {len(seen)} contaminated pairs left out; {len(wrong)} of {_pictures(written)} pictures "
            "swapped"
        )
        by_rules = _kept(experiment.filtered(faulty, settings))
        by_checkpoint = _kept(experiment.filtered(_scored(experiment, faulty), settings))
        arms.tune(clean, examples_of(written, _kept(verdicts)), seed)
        arms.tune(unfiltered, examples_of(faulty), seed)
        arms.tune(default, examples_of(faulty, by_rules), seed)
        arms.tune(aligned, examples_of(faulty, by_checkpoint), seed)
        arms.tune(right, [each for each in examples_of(faulty, by_rules) if each.image_ids[0] not in wrong], seed)
        for name, kept in ((default, by_rules), (aligned, by_checkpoint)):
            sorting[name].update(_sorted(faulty, wrong, kept))
    _show(arms.table(unfiltered, of_all(asked)), arms.table(clean, of_all(asked)), _sorting_table(sorting))


def amount(experiment: Experiment, given: argparse.Namespace) -> None:
    """A quarter, half and all of the data, and a quarter for as many steps as all."""
    every, half, quarter, longer = "100 %", "50 %", "25 %", "25 %, four times as many passes"
    asked = first_of_each(experiment.items, given.questions)
    arms = Arms(experiment, asked, given.seeds)
    for seed in range(given.seeds):
        rows = experiment.demo_rows(given.rows, "amount", seed)
        for arm, share in ((quarter, 0.25), (half, 0.5), (every, 1.0)):
            arms.tune(arm, [example for _, example in share_of_pictures(rows, share, "amount", seed)], seed)
        least = [example for _, example in share_of_pictures(rows, 0.25, "amount", seed)]
        arms.tune(longer, least, seed, 4 * experiment.passes)
    _show(arms.table(every, of_kinds(asked)))


def negatives(experiment: Experiment, given: argparse.Namespace) -> None:
    """With and without the yes-no questions that are answered no."""
    every, fewer, as_many = "with", "without", "without, a question answered yes for each"
    asked = first_of_each(experiment.items, given.questions)
    arms = Arms(experiment, asked, given.seeds)
    for seed in range(given.seeds):
        rows = experiment.demo_rows(given.rows, "negatives", seed)
        for arm, chosen in (
            (every, rows),
            (fewer, without_no(rows)),
            (as_many, yes_for_no(rows, experiment.workspace.catalog)),
        ):
            arms.tune(arm, [example for _, example in chosen], seed)
    _show(arms.table(every, of_kinds(asked)))


def not_shown(experiment: Experiment, given: argparse.Namespace) -> None:
    """With and without questions about what pictures do not show."""
    without, catalog = "without", experiment.workspace.catalog
    asked = first_of_each(experiment.items, given.questions)
    denied = false_premises(asked, catalog)
    specs = experiment.workspace.store.read_all(PROMPT_SPECS, columns=["spec_id", "facts"]).to_pylist()
    facts = {spec["spec_id"]: {fact["name"]: fact["value"] for fact in spec["facts"]} for spec in specs}
    arms = Arms(experiment, [*asked, *denied], given.seeds)
    for seed in range(given.seeds):
        rows = experiment.demo_rows(given.rows, "not shown", seed)
        arms.tune(without, [example for _, example in rows], seed)
        for share in _NOT_SHOWN:
            some = partly_not_shown(rows, facts, catalog, share, seed)
            arms.tune(f"{share:.0%} asked for what is not shown", [example for _, example in some], seed)
    of_denied = {"about what is not shown": [item["item_id"] for item in denied]}
    _show(arms.table(without, {**of_kinds(asked), **of_denied}))


def mixed(experiment: Experiment, given: argparse.Namespace) -> None:
    """Synthesized dialogues alone, half replaced by released ones, and released ones added."""
    alone, replaced, added = "synthesized only", "half replaced by released", "as many released added"
    author = ReleasedAuthor(ReleasedAuthorSettings(kind="released", folder=given.released))
    released = released_dialogues(experiment, author, given.read)
    asked = first_of_each(experiment.items, given.questions)
    arms = Arms(experiment, [*asked, *released.items], given.seeds)
    for seed in range(given.seeds):
        rows = experiment.demo_rows(given.rows, "mixed", seed)
        half_and_half, drawn = half_replaced(rows, released.examples, "mixed", seed)
        synthesized = [example for _, example in rows]
        arms.tune(alone, synthesized, seed)
        arms.tune(replaced, half_and_half, seed)
        arms.tune(added, [*synthesized, *drawn], seed)
    groups = {
        "benchmark, all abilities": [item["item_id"] for item in asked],
        "held-out released": [item["item_id"] for item in released.items],
    }
    _show(arms.table(alone, groups))


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_subparsers(required=True)
    for run, rows, said in (
        (filters, 300, "prompts an ability and seed, newly written"),
        (amount, None, "pictures an ability that are 100 %%; not given: all of the demo"),
        (negatives, 300, "pictures an ability, of the demo"),
        (not_shown, 300, "pictures an ability, of the demo"),
        (mixed, 80, "pictures an ability, of the demo: four pairs each, half of which released dialogues replace"),
    ):
        one = which.add_parser(run.__name__, help=run.__doc__, description=run.__doc__)
        one.set_defaults(run=run)
        one.add_argument("data", type=Path, help="data folder of a finished demo")
        if run is mixed:
            one.add_argument("released", type=Path, help="folder of StableLLaVA's published JSON files")
            one.add_argument("--read", type=positive, default=sys.maxsize, help="rows of each file; not given: all")
        one.add_argument("--rows", type=positive, default=rows, help=said)
        one.add_argument("--seeds", type=positive, default=3, help="each draws its pictures and their order anew")
        one.add_argument("--passes", type=float, help="how often every row is trained on; not given: the profile's")
        one.add_argument("--questions", type=positive, help="of each ability and kind; not given: the whole benchmark")
    return parser


def _scored(experiment: Experiment, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates with what the demo's checkpoint and its base say against their pictures."""
    settings = load_profile({PROFILE_VARIABLE: _JUDGING_PROFILE}).filters.alignment
    assert settings is not None
    alignment = Alignment(settings, experiment.workspace.catalog, experiment.checkpoint)
    painted = {each.image["image_id"]: (each.spec, each.image) for each in candidates}
    planned = alignment.plan(painted.values(), [])
    scores: list[dict[str, Any]] = []
    reported = time.monotonic()
    for score in alignment.score(images_of(candidates), planned):
        scores.append(score)
        if time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
            reported = time.monotonic()
            experiment.say(f"{len(scores)} of {len(planned)} alignment scores")
    missing = sum(score["score"] is None for score in scores)
    experiment.say(f"{len(scores)} alignment scores of {len(painted)} pictures, {missing} of them missing")
    verdicts = alignment.verdicts(scores)
    return [replace(each, alignment=verdicts.get(each.image["image_id"])) for each in candidates]


def _kept(verdicts: Sequence[dict[str, Any]]) -> set[str]:
    return {row["pair_id"] for row in verdicts if not is_rejected(row["findings"])}


def _pictures(candidates: Sequence[Candidate]) -> int:
    return len({each.image["image_id"] for each in candidates})


def _sorted(candidates: Sequence[Candidate], wrong: set[str], kept: set[str]) -> Counter[str]:
    """How many pairs are wrong or right, and kept or not."""
    return Counter(
        f"{'wrong' if each.image['image_id'] in wrong else 'right'} "
        f"{'kept' if each.dialogue['pair_id'] in kept else 'rejected'}"
        for each in candidates
    )


def _sorting_table(sorting: dict[str, Counter[str]]) -> str:
    lines = [
        "| filters, all seeds | wrong pairs rejected | of | right pairs rejected | of |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, pairs in sorting.items():
        counts = [
            f"{pairs[f'{kind} rejected']:,} | {pairs[f'{kind} rejected'] + pairs[f'{kind} kept']:,}"
            for kind in ("wrong", "right")
        ]
        lines.append(f"| {name} | {' | '.join(counts)} |")
    return "\n".join(lines)


def _show(*tables: str) -> None:
    for table in tables:
        print(f"\n{table}", flush=True)


if __name__ == "__main__":
    main()
