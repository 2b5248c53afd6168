"""Plants mismatched pictures among new ones and measures how the project's own checkpoint sorts them out.

Run: ``python benchmarks/alignment_faults.py DATA_FOLDER``, where the folder is that of a finished ``make demo``, or of
``make demo PROFILE=self-judged``; it is only read. Some pictures of two new batches are painted from a prompt that
differs from the stored one in one thing: subject, color, scene, or nothing where the object should be. Thresholds are
chosen on the first batch, a third of which is faulty so that there is something to choose by, and reported on the
second, of which a tenth is. Few things have a color; more of them are given a wrong one, which are counted apart. What
was planted is known to this file alone: the filter sees specs and pictures, as in a run.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stablellava_assets.abilities.ability import Ability, Subject
from stablellava_assets.abilities.questions import absent_subjects
from stablellava_assets.authors.embedded.author import EmbeddedAuthor
from stablellava_assets.filters.alignment.alignment import Alignment
from stablellava_assets.filters.alignment.models import OwnCheckpoint, newest_checkpoint
from stablellava_assets.filters.settings import AlignmentSettings
from stablellava_assets.profiles.profile import DATA_VARIABLE, load_profile
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.identity import choose, derive_seed

_CHOOSING, _REPORTING = "0002", "0007"
_ONE_IN = {_CHOOSING: 3, _REPORTING: 10}
_ONE_COLOR_IN = 5
_ADDED = "wrong color, added"
_APART = ("style",)
"""Its pictures are painted over, so that scenes and things in them are hard to see: thresholds of its own."""
_ASKED = {"subject": "previous", "thing": "previous_base", "scene": "previous_base", "content": "previous_base"}
_OPTIONS = 12
"""Thresholds tried a fact, the closer together the lower they are."""
Thresholds = dict[str, float]
_HAIR_COLORS = ("red", "blond", "black", "brown", "gray", "white", "green", "blue", "pink", "purple")


class Batch(NamedTuple):
    """Specs as they are stored, what was painted for them, and the planted faults by spec id."""

    specs: list[dict[str, Any]]
    images: list[dict[str, Any]]
    planted: dict[str, str]


def main() -> None:
    """Paint, plant, choose on one batch, report on the other."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--choose", type=int, default=120, help="pictures an ability to choose thresholds on")
    arguments.add_argument("--report", type=int, default=250, help="pictures an ability to report on")
    arguments.add_argument(
        "--loss",
        type=float,
        default=0.01,
        help="share of the good pictures that may be lost when thresholds are chosen",
    )
    given = arguments.parse_args()
    workspace = Workspace(load_profile({**os.environ, DATA_VARIABLE: str(given.data)}))
    checkpoint = newest_checkpoint(workspace.store, workspace.models)
    if checkpoint is None:
        raise SystemExit(f"{given.data}: no tuned model is there")

    batch = _batch(workspace, _CHOOSING, given.choose)
    scores, _ = _scores(workspace, checkpoint, batch, dict.fromkeys(_ASKED, 0.0), {})
    others = _thresholds([row for row in scores if row["ability"] not in _APART], batch.planted, given.loss)
    apart = {
        name: _thresholds([row for row in scores if row["ability"] == name], batch.planted, given.loss)
        for name in _APART
    }
    for name, chosen in {"most abilities": others, **apart}.items():
        print(f"thresholds of {name}:", ", ".join(f"{fact} {limit:.3g}" for fact, limit in chosen.items()))

    batch = _batch(workspace, _REPORTING, given.report)
    started = time.perf_counter()
    scores, verdicts = _scores(workspace, checkpoint, batch, others, apart)
    took = time.perf_counter() - started
    print(f"{len(scores)} scores of {len(batch.specs)} pictures in {took:.0f} s, {len(scores) / took:.0f} a second")
    _report(batch, verdicts)


def _batch(workspace: Workspace, name: str, count: int) -> Batch:
    author = EmbeddedAuthor()
    specs = [
        row
        for ability in workspace.catalog.values()
        for row in author.write_prompts(author.plan_prompts(ability, name, count))
    ]
    planted, painted = {}, []
    for spec in specs:
        prompt = spec["prompt"]
        faults = faulty_prompts(workspace.catalog.single[spec["ability"]], spec)
        if derive_seed(spec["spec_id"], "planted") % _ONE_IN[name] == 0:
            kind = choose(sorted(faults), spec["spec_id"], "kind")
            planted[spec["spec_id"]], prompt = kind, faults[kind]
        elif (
            name == _REPORTING
            and "wrong color" in faults
            and derive_seed(spec["spec_id"], "added") % _ONE_COLOR_IN == 0
        ):
            planted[spec["spec_id"]], prompt = _ADDED, faults["wrong color"]
        painted.append({**spec, "prompt": prompt})
    images = {row["spec_id"]: row for row in workspace.painter.paint(workspace.painter.plan(painted))}
    return Batch(specs, [images[spec["spec_id"]] for spec in specs], planted)


def faulty_prompts(ability: Ability, spec: dict[str, Any]) -> dict[str, str]:
    """Prompts of pictures that do not show what ``spec`` asks for, by kind of fault."""
    facts = {fact["name"]: fact["value"] for fact in spec["facts"]}
    subject, rest = ability.subject_named(spec["subject"]), list(spec["keywords"])
    scene, content = facts.get("scene"), facts.get("content")
    faults = {}

    def other(subjects: Iterable[Subject], keywords: Sequence[str] = rest) -> str:
        return _prompt(choose([each.name for each in subjects], spec["spec_id"], "other"), keywords)

    if ability.tinted:
        same_color = [each for each in ability.drawn_subjects if each.answer == subject.answer]
        same_thing = [each for each in ability.drawn_subjects if each.details == subject.details]
        faults["wrong subject"] = other(each for each in same_color if each != subject)
        faults["wrong color"] = other(each for each in same_thing if each != subject)
    else:
        faults["wrong scene" if subject.backdrop else "wrong subject"] = other(absent_subjects(ability, subject))
        if _is_hair_color(ability, subject):
            colors = [each for each in absent_subjects(ability, subject) if _is_hair_color(ability, each)]
            faults["wrong color"] = other(colors)
    if scene is not None:
        elsewhere = [each for each in ability.prompts.scenes if each != scene]
        moved = choose(elsewhere, spec["spec_id"], "elsewhere")
        faults["wrong scene"] = _prompt(subject.name, [moved if word == scene else word for word in rest])
        if subject.layers:
            faults["missing object"] = _prompt(scene, [word for word in rest if word != scene])
    if content is not None:
        faults["missing object"] = _prompt(subject.name, [word for word in rest if word != content])
    return faults


def _prompt(subject: str, keywords: Sequence[str]) -> str:
    return ", ".join([f"(({subject}))", *keywords])


def _is_hair_color(ability: Ability, subject: Subject) -> bool:
    return ability.ability == "hair" and subject.name.split()[0] in _HAIR_COLORS


def _scores(
    workspace: Workspace,
    checkpoint: OwnCheckpoint,
    batch: Batch,
    others: Thresholds,
    apart: Mapping[str, Thresholds],
) -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    """Every score, and by spec id the explanations of the findings against its picture."""
    ask = {
        fact: {
            "model": model,
            "min_score": others.get(fact, 0.0),
            "of_ability": {name: thresholds[fact] for name, thresholds in apart.items() if fact in thresholds},
        }
        for fact, model in _ASKED.items()
    }
    settings = AlignmentSettings.model_validate({"facts": {"ask": ask}})
    alignment = Alignment(settings, workspace.catalog, checkpoint)
    planned = alignment.plan(list(zip(batch.specs, batch.images, strict=True)), [])
    pictures = {image["image_id"]: image["image"]["bytes"] for image in batch.images}
    scores = list(
        alignment.score(lambda wanted: ((each, pictures[each]) for each in pictures if each in wanted), planned)
    )
    verdicts = alignment.verdicts(scores)
    return scores, {
        image["spec_id"]: [finding.explanation for finding in verdicts[image["image_id"]].findings]
        for image in batch.images
    }


def _thresholds(scores: Sequence[dict[str, Any]], planted: Mapping[str, str], loss: float) -> Thresholds:
    """Of the combinations that lose at most ``loss`` of the good pictures, the one that finds most faults, by fact."""
    pictures = {spec_id: at for at, spec_id in enumerate(dict.fromkeys(row["spec_id"] for row in scores))}
    asked = [fact for fact in _ASKED if any(row["fact"] == fact for row in scores)]
    found = {fact: np.full(len(pictures), np.inf) for fact in asked}
    for row in scores:
        found[row["fact"]][pictures[row["spec_id"]]] = row["score"]
    faulty = np.array([spec_id in planted for spec_id in pictures])
    most = int(loss * (~faulty).sum())
    ranks = np.unique(np.geomspace(1, most + 1, _OPTIONS).astype(int)) - 1
    options = [np.sort(of_fact[~faulty])[ranks] for of_fact in found.values()]
    best: int = -1
    chosen: tuple[float, ...] = ()
    for thresholds in itertools.product(*options):
        rejected = np.any([of_fact < limit for of_fact, limit in zip(found.values(), thresholds, strict=True)], axis=0)
        if rejected[~faulty].sum() <= most and rejected[faulty].sum() > best:
            best, chosen = int(rejected[faulty].sum()), thresholds
    return {fact: float(limit) for fact, limit in zip(asked, chosen, strict=True)}


def _report(batch: Batch, verdicts: Mapping[str, list[str]]) -> None:
    rejected = {spec_id for spec_id, found in verdicts.items() if found}
    good = [spec for spec in batch.specs if spec["spec_id"] not in batch.planted]
    lost = [spec for spec in good if spec["spec_id"] in rejected]
    found = Counter(kind for spec_id, kind in batch.planted.items() if spec_id in rejected)
    print("| fault | planted | found | recall | precision |\n|---|---:|---:|---:|---:|")
    planted = Counter(batch.planted.values())
    for kind, count in sorted(planted.items()):
        # Precision of a kind: of what is rejected when no other kind was planted.
        print(_line(kind, count, found[kind], len(lost)))
    for name, apart in (("all but those added", _ADDED), ("all", "")):
        print(_line(name, planted.total() - planted[apart], found.total() - found[apart], len(lost)))
    print(f"good pictures lost: {len(lost)} of {len(good)}, {len(lost) / len(good):.2%}")
    by_ability: dict[str, Any] = Counter(spec["ability"] for spec in lost)
    missed = Counter(
        (spec["ability"], batch.planted[spec["spec_id"]])
        for spec in batch.specs
        if spec["spec_id"] in batch.planted and spec["spec_id"] not in rejected
    )
    print("lost by ability:", dict(by_ability))
    print("missed:", dict(missed))
    print("one explanation of each kind:")
    for kind in sorted(set(batch.planted.values())):
        shown = [
            verdicts[spec_id] for spec_id, planted in batch.planted.items() if planted == kind and verdicts[spec_id]
        ]
        print(f"  {kind}: {shown[0][0] if shown else 'none found'}")


def _line(kind: str, planted: int, found: int, lost: int) -> str:
    precision = f"{found / (found + lost):.3f}" if found + lost else ""
    return f"| {kind} | {planted} | {found} | {found / planted:.3f} | {precision} |"


if __name__ == "__main__":
    main()
