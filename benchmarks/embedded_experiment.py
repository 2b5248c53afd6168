"""What the experiments with the embedded model share: a finished demo to start from, new
batches, tuning, scoring, tables.

The demo's folder is only read. Everything runs through the functions that the pipeline calls, so that an experiment
differs from it in what it says it differs in and in nothing else.
"""

from __future__ import annotations

import math
import os
import shutil
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from stablellava_assets.abilities.brief import Brief
from stablellava_assets.authors.base import Author
from stablellava_assets.authors.embedded.author import EmbeddedAuthor
from stablellava_assets.evaluation.answers.generation import ImageQuestion, answer
from stablellava_assets.evaluation.benchmark import PAINTED, make_items, plan_items
from stablellava_assets.evaluation.scores.scoring import is_correct
from stablellava_assets.evaluation.scores.statistics import wilson_interval
from stablellava_assets.filters.benchmark_fingerprints import BenchmarkFingerprints
from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.filters.judge import judge
from stablellava_assets.filters.settings import FilterSettings
from stablellava_assets.profiles.profile import DATA_VARIABLE, load_profile
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.checkpoints import checkpoints
from stablellava_assets.tables.encoded_images import EncodedImages
from stablellava_assets.tables.identity import ranked
from stablellava_assets.tables.schemas import ABILITY_BENCHMARK, FILTERED_PAIRS, IMAGES, MADE
from stablellava_assets.tables.score_rows import CheckpointFolders
from stablellava_assets.tuning.embedded.training import TrainingExample, TuningResult, tune
from stablellava_assets.tuning.pretrained.settings import PretrainedTuningSettings
from stablellava_assets.tuning.settings import TuningSettings

_Z = 1.96
_ANSWERED_AT_ONCE = 256

Answers = dict[str, bool]
"""Whether each item, by its id, was answered right."""


class Experiment:
    """A finished demo's benchmark, base and newest checkpoint, and a folder for what an experiment makes.

    Args:
        data: the data folder of a finished ``make demo``.
        scratch: where tuned models go; each is removed once it is scored.
        passes: how often every row is trained on; None: as the profile says.

    Raises:
        SystemExit: the folder holds no finished demo.
    """

    def __init__(self, data: Path, scratch: Path, passes: float | None = None) -> None:
        self.workspace = Workspace(load_profile({**os.environ, DATA_VARIABLE: str(data)}))
        self.scratch = scratch
        self.settings = embedded_tuning(self.workspace.profile.tuning)
        self.passes = passes or self.settings.stage.passes
        tuned = checkpoints(self.workspace.store, CheckpointFolders)
        if not tuned:
            raise SystemExit(f"{data}: no tuned model is there; name the data folder of a finished `make demo`")
        self.base = data / tuned[-1]["base_path"]
        self.items: list[dict[str, Any]] = [
            item
            for item in self.workspace.store.read_all(ABILITY_BENCHMARK).to_pylist()
            if item["status"] == MADE and item["benchmark"] == PAINTED
        ]
        self._started = time.monotonic()

    def say(self, line: str) -> None:
        """A line of progress, with the seconds since the start."""
        print(f"[{time.monotonic() - self._started:6.0f} s] {line}", flush=True)

    def further_items(self, first: int, count: int) -> list[dict[str, Any]]:
        """Benchmark items that the demo did not ask: ``count`` an ability and kind, from index ``first`` on."""
        wanted = [
            planned
            for ability in self.workspace.catalog.single
            for at, planned in enumerate(
                plan_items(self.workspace.catalog.single[ability], first + count, self.workspace.painter)
            )
            if at % (first + count) >= first
        ]
        return [item for item in make_items(wanted, self.workspace.painter) if item["status"] == MADE]

    def demo_pairs(self, pictures: int | None, *parts: object) -> list[TrainingExample]:
        """The pairs that the demo kept, of at most ``pictures`` pictures an ability, drawn by
        ``parts``; nested as they grow."""
        return [example for _, example in self.demo_rows(pictures, *parts)]

    def demo_rows(self, pictures: int | None, *parts: object) -> list[tuple[dict[str, Any], TrainingExample]]:
        """The same with their ``filtered_pairs`` rows."""
        store = self.workspace.store
        rows = store.read_all(FILTERED_PAIRS).to_pylist()
        by_ability: dict[str, dict[str, None]] = {}
        for row in rows:
            by_ability.setdefault(row["ability"], {})[row["image_ids"][0]] = None
        chosen = {
            image_id
            for images in by_ability.values()
            for image_id in (list(images) if pictures is None else ranked(list(images), *parts)[:pictures])
        }
        rows = [row for row in rows if row["image_ids"][0] in chosen]
        wanted = {image_id for row in rows for image_id in row["image_ids"]}
        encoded = {
            row["image_id"]: row["image"]["bytes"]
            for row in store.read_all(IMAGES, columns=["image_id", "image"]).to_pylist()
            if row["image_id"] in wanted
        }
        return [
            (row, TrainingExample(row["image_ids"], [encoded[each] for each in row["image_ids"]], row["conversations"]))
            for row in rows
        ]

    def write(
        self,
        batch: str,
        rows: Mapping[str, int],
        author: Author | None = None,
        briefs: Mapping[str, Brief] = MappingProxyType({}),
    ) -> list[Candidate]:
        """A new batch: prompts, pictures and dialogues, ``rows`` prompts an ability, with more of what its brief says;
        what cannot be painted is left out."""
        author = author or EmbeddedAuthor()
        painter = self.workspace.painter
        abilities = {name: self.workspace.catalog.single[name].with_brief(briefs.get(name, Brief())) for name in rows}
        specs = {
            spec["spec_id"]: spec
            for ability, count in rows.items()
            for spec in author.write_prompts(author.plan_prompts(abilities[ability], batch, count))
            if spec["status"] == MADE
        }
        images = {
            image["image_id"]: image
            for image in painter.paint(painter.plan(list(specs.values())))
            if image["status"] == MADE
        }
        # Painted in any order; dialogues and filters go by the order of the prompts.
        place = {spec_id: at for at, spec_id in enumerate(specs)}
        self.say(f"batch {batch}: {len(images)} of {len(specs)} prompts painted")
        in_order = sorted(images.values(), key=lambda image: place[image["spec_id"]])
        candidates = []
        for ability in rows:
            painted = [
                (specs[image["spec_id"]], image) for image in in_order if specs[image["spec_id"]]["ability"] == ability
            ]
            for dialogue in author.write_dialogues(author.plan_dialogues(abilities[ability], painted)):
                image = images[dialogue["image_ids"][0]]
                candidates.append(Candidate(dialogue, specs[image["spec_id"]], image))
        return candidates

    def filtered(
        self,
        candidates: Sequence[Candidate],
        settings: FilterSettings,
        earlier: Iterable[dict[str, Any]] = (),
        also_held_out: Sequence[dict[str, Any]] = (),
    ) -> list[dict[str, Any]]:
        """Verdicts on the candidates, an ability at a time as in the pipeline; ``earlier``
        are kept rows of earlier batches."""
        prints = BenchmarkFingerprints([*self.items, *also_held_out], settings.contamination_bits)
        before: dict[str, list[dict[str, Any]]] = {}
        for row in earlier:
            before.setdefault(row["ability"], []).append(row)
        by_ability: dict[str, list[Candidate]] = {}
        for candidate in candidates:
            by_ability.setdefault(candidate.dialogue["ability"], []).append(candidate)
        return [
            row
            for ability, its_own in by_ability.items()
            for row in judge(its_own, images_of(its_own), before.get(ability, []), prints, settings).rows
        ]

    def tuned(self, name: str, examples: Sequence[TrainingExample], seed: int, passes: float | None = None) -> Path:
        """The base tuned on ``examples`` in an order of ``seed``; the folder is the caller's to remove."""
        folder = self.scratch / name.replace(" ", "-").replace(",", "").replace("%", "")
        shutil.rmtree(folder, ignore_errors=True)
        result = self.tune(examples, seed, folder, passes)
        self.say(f"seed {seed}, {name}: tuned on {len(examples)} pairs in {result.seconds:.0f} s")
        return folder

    def tune(
        self, examples: Sequence[TrainingExample], seed: int, folder: Path, passes: float | None = None
    ) -> TuningResult:
        """The same into a folder of the caller's, without a word."""
        stage = self.settings.stage.model_copy(update={"passes": passes or self.passes})
        settings = self.settings.model_copy(update={"stage": stage, "seed": seed})
        return tune(self.base, examples, settings, folder, lambda line: None)

    def answers(self, model: Path, items: Sequence[dict[str, Any]]) -> Answers:
        """Which of ``items`` the checkpoint in ``model`` answers right."""
        return {item["item_id"]: right for item, _, right in self.said(model, items)}

    def said(self, model: Path, items: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], str, bool]]:
        """Each item, what was answered, and whether that is right; an item may say how long its answer can be."""
        asked = [
            ImageQuestion(
                item["image"]["bytes"],
                item["question"],
                item.get("max_new_tokens"),
                tuple(image["bytes"] for image in item.get("further_images") or ()),
                tuple(item.get("history") or ()),
            )
            for item in items
        ]
        texts = answer(
            model, asked, _ANSWERED_AT_ONCE, self.workspace.profile.benchmark.max_new_tokens, lambda line: None
        )
        return [(item, text, self._is_right(item, text)) for item, text in zip(items, texts, strict=True)]

    @staticmethod
    def _is_right(item: Mapping[str, Any], text: str) -> bool:
        return is_correct(
            text,
            item["accepted"],
            item["refused"],
            item["question_kind"],
            groups=item.get("accepted_groups") or (),
            in_order=bool(item.get("in_order")),
            several_images=bool(item.get("further_images")),
        )

    def measured(
        self,
        name: str,
        examples: Sequence[TrainingExample],
        seed: int,
        items: Sequence[dict[str, Any]],
        passes: float | None = None,
    ) -> Answers:
        """Tune, ask and forget the model."""
        folder = self.tuned(name, examples, seed, passes)
        right = self.answers(folder, items)
        shutil.rmtree(folder)
        self.say(f"seed {seed}, {name}: {statistics.fmean(right.values()):.3f}")
        return right


def embedded_tuning(settings: TuningSettings | PretrainedTuningSettings) -> TuningSettings:
    """The profile's settings, which have to be those of the embedded model."""
    if not isinstance(settings, TuningSettings):
        raise SystemExit("tuning.model.kind: the experiments tune the embedded model; set the profile to embedded")
    return settings


class Share(NamedTuple):
    """A share of questions, the mean over seeds, with its 95 % interval over the questions."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} | {self.low:.3f} to {self.high:.3f}"


def accuracy(of_seeds: Sequence[Answers], chosen: Iterable[str] | None = None) -> Share:
    """Accuracy over all questions, or the ``chosen`` ones; the Wilson interval counts every question once."""
    ids = list(of_seeds[0] if chosen is None else chosen)
    value = statistics.fmean(answers[item] for answers in of_seeds for item in ids)
    low, high = wilson_interval(round(value * len(ids)), len(ids))
    return Share(value, low, high)


def difference(of_seeds: Sequence[Answers], reference: Sequence[Answers], chosen: Iterable[str] | None = None) -> Share:
    """How much more is answered right than by ``reference``, the same questions paired, with a 95 % interval.

    A question's value is the mean over the seeds: the interval is about the questions, not about the seeds, whose
    differences the tables give one by one. As in Bonett and Price's interval for paired proportions (2012),
    which it is for a single seed, one question more is gained and one lost, so that equal answers to few
    questions do not look certain.
    """
    ids = list(of_seeds[0] if chosen is None else chosen)
    values = [
        statistics.fmean(ours[item] - theirs[item] for ours, theirs in zip(of_seeds, reference, strict=True))
        for item in ids
    ]
    adjusted = [*values, 1.0, -1.0]
    middle, spread = statistics.fmean(adjusted), _Z * statistics.pstdev(adjusted) / math.sqrt(len(adjusted))
    return Share(statistics.fmean(values), middle - spread, middle + spread)


def by_seed(of_seeds: Sequence[Answers], reference: Sequence[Answers], chosen: Iterable[str] | None = None) -> str:
    """The difference of each seed."""
    ids = list(of_seeds[0] if chosen is None else chosen)
    return ", ".join(
        f"{statistics.fmean(ours[item] - theirs[item] for item in ids):+.3f}"
        for ours, theirs in zip(of_seeds, reference, strict=True)
    )


def images_of(candidates: Iterable[Candidate]) -> EncodedImages:
    """The pictures of candidates that hold them."""
    pictures = {each.image["image_id"]: each.image["image"]["bytes"] for each in candidates}
    return lambda wanted: ((image_id, encoded) for image_id, encoded in pictures.items() if image_id in wanted)


def examples_of(candidates: Sequence[Candidate], kept: Iterable[str] | None = None) -> list[TrainingExample]:
    """Candidates as the trainer takes them, all or those whose pair ids are ``kept``."""
    chosen = None if kept is None else set(kept)
    return [
        TrainingExample([each.image["image_id"]], [each.image["image"]["bytes"]], each.dialogue["conversations"])
        for each in candidates
        if chosen is None or each.dialogue["pair_id"] in chosen
    ]
