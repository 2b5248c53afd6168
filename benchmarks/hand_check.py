"""Draws what a person reads to find out how often the filters are wrong, and sums up what they found.

``python benchmarks/hand_check.py draw VERDICTS FILE`` draws 100 kept pairs, 100 rejected ones and 60 of those that are
rejected for another reason than a repeated prompt, from the verdicts that ``filters_on_released.py --verdicts`` writes.
FILE is a CSV to read beside the texts, which are printed; in its column ``judgement`` goes right or wrong, in
``remark`` why. ``python benchmarks/hand_check.py sum FILE`` prints the error rates with their Wilson intervals.
docs/released_hand_check.csv is such a file, of seed 0.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stablellava_assets.evaluation.scores.statistics import wilson_interval
from stablellava_assets.tables.findings import REJECTS, is_rejected, rules_with

_DRAWN = {"kept": 100, "rejected": 100, "rejected for a rarer reason": 60}
_COLUMNS = ("sample", "pair_id", "ability", "reasons", "judgement", "remark")


def main() -> None:
    """Draw or sum up."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = arguments.add_subparsers(dest="command", required=True)
    drawing = commands.add_parser("draw")
    drawing.add_argument("verdicts", type=Path)
    drawing.add_argument("file", type=Path)
    drawing.add_argument("--seed", type=int, default=0)
    commands.add_parser("sum").add_argument("file", type=Path)
    given = arguments.parse_args()
    if given.command == "draw":
        _draw(given.verdicts, given.file, given.seed)
    else:
        _sum(given.file)


def _draw(verdicts: Path, file: Path, seed: int) -> None:
    rows = [json.loads(line) for line in verdicts.read_text(encoding="utf-8").splitlines()]
    rejected = [row for row in rows if is_rejected(row["findings"])]
    samples = {
        "kept": [row for row in rows if not is_rejected(row["findings"])],
        "rejected": rejected,
        "rejected for a rarer reason": [
            row for row in rejected if "repeated_prompt" not in rules_with(REJECTS, row["findings"])
        ],
    }
    by_id = {row["pair_id"]: row for row in rows}
    chance = random.Random(seed)
    with file.open("w", newline="", encoding="utf-8") as out:
        table = csv.DictWriter(out, _COLUMNS, restval="", lineterminator="\n")
        table.writeheader()
        for sample, count in _DRAWN.items():
            for number, row in enumerate(chance.sample(samples[sample], count), 1):
                described = {name: row[name] for name in ("pair_id", "ability")}
                reasons = " ".join(rules_with(REJECTS, row["findings"]))
                table.writerow({"sample": sample, **described, "reasons": reasons})
                repeated = next((found["pair_id"] for found in row["findings"] if found["pair_id"]), None)
                _show(number, sample, row, by_id.get(repeated))


def _show(number: int, sample: str, row: dict[str, Any], nearest: dict[str, Any] | None) -> None:
    print(f"\n{sample} {number}, {row['ability']}: {row['prompt']}")
    print(*(f"  {turn['from']}: {turn['value']}" for turn in row["conversations"]), sep="\n")
    print(
        *(f"  - {text}" for text in [f"{found['rule']}: {found['explanation']}" for found in row["findings"]]), sep="\n"
    )
    if nearest is not None:
        print(f"  nearest: {nearest['prompt']} | {nearest['conversations'][-1]['value']}")


def _sum(file: Path) -> None:
    with file.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    for sample in _DRAWN:
        judged = [row["judgement"] for row in rows if row["sample"] == sample]
        _rate(sample, judged)


def _rate(sample: str, judged: Sequence[str]) -> None:
    if other := sorted(set(judged) - {"right", "wrong"}):
        raise ValueError(f"{sample}: the judgement is right or wrong, not {other[0]!r}")
    wrong = judged.count("wrong")
    low, high = wilson_interval(wrong, len(judged))
    print(f"{sample}: {wrong} of {len(judged)} wrong, {wrong / len(judged):.1%} (95 %: {low:.1%} to {high:.1%})")


if __name__ == "__main__":
    main()
