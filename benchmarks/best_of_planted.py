"""Plants mismatched pictures among the candidates of ``painter.best_of`` and counts those that are kept.

Run: ``python benchmarks/best_of_planted.py``; no data folder is needed, and nothing but the printed table is written.
Each candidate is painted from a wrong prompt with a given probability: one thing in it differs (subject, color, scene,
or nothing where the object should be). The judge is the embedded base that comes with the package, asked for a caption;
the tuned model plays no part. What was planted is known to this file alone.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable, Sequence
from typing import Any

from alignment_faults import faulty_prompts

from stablellava_assets.authors.embedded.author import EmbeddedAuthor
from stablellava_assets.evaluation.scores.statistics import wilson_interval
from stablellava_assets.filters.alignment.judge import AlignmentJudge
from stablellava_assets.filters.alignment.models import OwnCheckpoint
from stablellava_assets.filters.settings import AlignmentSettings
from stablellava_assets.painters.base import FinishedImages, FreePainter, Painter, nothing_finished
from stablellava_assets.painters.best_of import BestOfPainter
from stablellava_assets.profiles.profile import load_profile
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.identity import choose, derive_seed
from stablellava_assets.tables.pair_rows import ImageRow
from stablellava_assets.tables.rows import AnyPlanned
from stablellava_assets.tuning.embedded.base import prepare_base
from stablellava_assets.tuning.settings import TuningSettings

_BATCH = "0007"
_FACTS = ("subject", "thing", "scene", "content")


class Careless(FreePainter):
    """Paints some images from wrong prompts; which ones, it decides by their seeds.

    Args:
        painter: paints.
        wrong: prompts that show something else, by kind of fault, for each spec.
        share: probability of a wrong image.
    """

    name = "careless"

    def __init__(self, painter: Painter, wrong: dict[str, dict[str, str]], share: float) -> None:
        self._painter, self._wrong, self._share = painter, wrong, share
        self.right: set[str] = set()
        """Prompts of which a right image was planned."""

    def fault(self, spec_id: str, seed: int) -> str | None:
        """The kind of fault of an image; None if there is none."""
        if derive_seed(seed, "planted") / 2**63 >= self._share:
            return None
        return choose(sorted(self._wrong[spec_id]), seed, "kind")

    def plan(self, specs: Sequence[Any]) -> list[AnyPlanned]:
        """See :class:`Painter`."""
        kinds = [self.fault(spec["spec_id"], spec["seed"]) for spec in specs]
        told = list(zip(specs, kinds, strict=True))
        self.right |= {spec["spec_id"] for spec, kind in told if kind is None}
        return self._painter.plan(
            [{**spec, "prompt": self._wrong[spec["spec_id"]][kind]} if kind else spec for spec, kind in told]
        )

    def paint(self, planned: Sequence[AnyPlanned], finished: FinishedImages = nothing_finished) -> Iterable[ImageRow]:
        """See :class:`Painter`."""
        return self._painter.paint(planned, finished)


def main() -> None:
    """Paint, choose, count."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--prompts", type=int, default=30, help="prompts an ability")
    arguments.add_argument("--share", type=float, nargs="+", default=[0.1, 0.3], help="probability of a wrong image")
    arguments.add_argument("--images", type=int, nargs="+", default=[1, 2, 4], help="candidates per prompt")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace(load_profile({"STABLELLAVA_DATA": folder}))
        _run(workspace, given.prompts, given.share, given.images)


def _run(workspace: Workspace, prompts: int, shares: Sequence[float], counts: Sequence[int]) -> None:
    tuning, catalog = workspace.profile.tuning, workspace.catalog
    if not isinstance(tuning, TuningSettings):
        raise SystemExit("the profile must tune the embedded model, whose base is the judge")
    base = prepare_base(tuning, catalog, workspace.painter, workspace.models, print)
    author = EmbeddedAuthor()
    specs = [
        row
        for ability in catalog.single.values()
        for row in author.write_prompts(author.plan_prompts(ability, _BATCH, prompts))
    ]
    wrong = {spec["spec_id"]: faulty_prompts(catalog.single[spec["ability"]], dict(spec)) for spec in specs}
    ask = {fact: {"model": "previous_base", "min_score": 0} for fact in _FACTS}
    settings = AlignmentSettings.model_validate({"facts": {"ask": ask}})
    named = str(base.relative_to(workspace.folder.path))
    judge = AlignmentJudge(settings, catalog, lambda: OwnCheckpoint("none", named, named, workspace.models))
    print("| wrong candidates | images per prompt | wrong images kept | 95% interval | without a right candidate | s |")
    print("|---:|---:|---:|---:|---:|---:|")
    for share in shares:
        for count in counts:
            careless = Careless(workspace.painter, wrong, share)
            painter, started = BestOfPainter(careless, count, judge), time.perf_counter()
            rows = list(painter.paint(painter.plan(specs)))
            took = time.perf_counter() - started
            kept = sum(careless.fault(row["spec_id"], row["seed"] or 0) is not None for row in rows)
            low, high = wilson_interval(kept, len(rows))
            print(
                f"| {share:.0%} | {count} | {kept} of {len(rows)}, {kept / len(rows):.1%} | {low:.1%} to {high:.1%} | "
                f"{len(rows) - len(careless.right)} | {took:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
