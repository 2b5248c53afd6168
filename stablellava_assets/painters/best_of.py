"""The best of several images per prompt: candidates that differ in their seeds, of which a judge keeps one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from stablellava_assets.endpoint.usage import Forecast
from stablellava_assets.painters.base import FinishedImages, Painter, nothing_finished
from stablellava_assets.tables.identity import content_key, derive_seed
from stablellava_assets.tables.pair_rows import ImageRow, WrittenSpec
from stablellava_assets.tables.rows import AnyPlanned, PlannedRow
from stablellava_assets.tables.schemas import DEFERRED, FAILED, MADE

_VERSION = 1
"""Part of every row key. Increase it when the same candidates and scores would give another choice."""
_ROWS_AT_ONCE = 64
"""Rows whose best images so far are in memory; a killed run loses the candidates of no more."""
_SCORED_AT_ONCE = 16
_RANKS = {FAILED: 0, MADE: 1, DEFERRED: 2}
"""Of a row's candidates, one that failed loses. One that was deferred wins: the row waits until all can be compared."""


class Judge(Protocol):
    """Scores how well images show what their prompts ask for."""

    def key_of(self, spec: WrittenSpec) -> str | None:
        """Hash of everything that decides between images of a prompt; None if there is nothing to judge them by."""

    def prepare(self, specs: Sequence[WrittenSpec]) -> None:
        """Load what judges images of ``specs``, so that a problem is known before an image is painted.

        Raises:
            ExplainedError: they cannot be judged.
        """

    def scores(self, images: Sequence[tuple[WrittenSpec, bytes]]) -> list[float]:
        """One score per image, higher for the better; comparable between images of one prompt only."""


@dataclass(frozen=True)
class _Candidates:
    spec: WrittenSpec
    planned: Sequence[AnyPlanned]
    """One row per candidate, all with the same id. The first is the one that the painter alone would make."""


class BestOfPainter:
    """A painter that makes several images per prompt, of which the one with the highest score becomes the row.

    Images of groups are made once, because they must fit together, and so are those that the judge has no score for.

    Args:
        painter: makes the candidates.
        images: candidates per prompt.
        judge: scores them.
    """

    is_slow = True

    def __init__(self, painter: Painter, images: int, judge: Judge) -> None:
        self.name = painter.name
        self._painter = painter
        self._images = images
        self._judge = judge

    def plan(self, specs: Sequence[WrittenSpec]) -> list[AnyPlanned]:
        """Plan one image per spec. A row's key covers those of its candidates and what decides between them."""
        keys = {spec["spec_id"]: self._judge.key_of(spec) for spec in specs if spec.get("group_id") is None}
        judged = [spec for spec in specs if keys.get(spec["spec_id"]) is not None]
        further = [
            self._painter.plan([_with_another_seed(spec, number) for spec in judged])
            for number in range(1, self._images)
        ]
        others = dict(zip([spec["spec_id"] for spec in judged], zip(*further, strict=True), strict=False))
        return [
            _choice(row, spec, others[spec["spec_id"]], keys[spec["spec_id"]]) if spec["spec_id"] in others else row
            for row, spec in zip(self._painter.plan(specs), specs, strict=True)
        ]

    def paint(self, planned: Sequence[AnyPlanned], finished: FinishedImages = nothing_finished) -> Iterable[ImageRow]:
        """Make ``images`` rows; of equally good images the first is taken. A row fails if all its candidates do, with
        the reason of the first, and is deferred if one of them is. Its cost is that of all.

        Raises:
            PainterError: as the painter does.
            PretrainedModelError: images cannot be judged.
        """
        choices = [row for row in planned if isinstance(row.inputs, _Candidates)]
        if choices:
            self._judge.prepare([row.inputs.spec for row in choices])
        if single := [row for row in planned if not isinstance(row.inputs, _Candidates)]:
            yield from self._painter.paint(single, finished)
        for start in range(0, len(choices), _ROWS_AT_ONCE):
            yield from self._best(choices[start : start + _ROWS_AT_ONCE])

    def forecast(self, planned: Sequence[AnyPlanned]) -> Forecast | None:
        """See :class:`Painter`; every candidate is counted."""
        rows = (row.inputs.planned if isinstance(row.inputs, _Candidates) else [row] for row in planned)
        return self._painter.forecast([candidate for candidates in rows for candidate in candidates])

    def _best(self, rows: Sequence[PlannedRow[_Candidates]]) -> Iterator[ImageRow]:
        specs = {row.row_id: row.inputs.spec for row in rows}
        best: dict[str, tuple[tuple[int, float], ImageRow]] = {}
        costs: dict[str, list[float]] = {row.row_id: [] for row in rows}
        for number in range(self._images):
            # One after the other, because candidates of a row share its id, which is in their files.
            painted = iter(self._painter.paint([row.inputs.planned[number] for row in rows]))
            while some := list(islice(painted, _SCORED_AT_ONCE)):
                for made, score in zip(some, self._scores(some, specs), strict=True):
                    row_id, rank = made["image_id"], (_RANKS[made["status"]], score)
                    if row_id not in best or rank > best[row_id][0]:
                        best[row_id] = rank, made
                    if (cost := made["cost_usd"]) is not None:
                        costs[row_id].append(cost)
        for row in rows:
            _, made = best.pop(row.row_id)
            cost = sum(costs[row.row_id]) if costs[row.row_id] else None
            yield {**made, "row_key": row.row_key, "cost_usd": cost}

    def _scores(self, painted: Sequence[ImageRow], specs: dict[str, WrittenSpec]) -> list[float]:
        files = {at: made["image"]["bytes"] for at, made in enumerate(painted) if made["image"] is not None}
        scores = self._judge.scores([(specs[painted[at]["image_id"]], file) for at, file in files.items()])
        known = dict(zip(files, scores, strict=True))
        return [known.get(at, 0.0) for at in range(len(painted))]


AnyPainter = Painter | BestOfPainter
"""What paints batches, whose prompts come with their facts."""


def _with_another_seed(spec: WrittenSpec, number: int) -> WrittenSpec:
    return {**spec, "seed": derive_seed(spec["seed"], "candidate", number)}


def _choice(
    row: AnyPlanned, spec: WrittenSpec, others: Sequence[AnyPlanned], judge_key: str | None
) -> PlannedRow[_Candidates]:
    candidates = [row, *others]
    row_key = content_key("best of", _VERSION, judge_key, [each.row_key for each in candidates])
    return PlannedRow(row.row_id, row_key, _Candidates(spec, candidates), row.settings_key)
