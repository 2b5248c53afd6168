"""Text-image alignment: one score per image, scorer and statement. Scores of unchanged rows are reused."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.filters.alignment.models import OwnCheckpoint
from stablellava_assets.filters.alignment.scorers import Scorer, fact_and_text, scorers_of
from stablellava_assets.filters.alignment.statements import Statement
from stablellava_assets.filters.candidates import AlignmentVerdict, Candidate
from stablellava_assets.filters.findings import Finding, of_pair
from stablellava_assets.filters.settings import AlignmentSettings
from stablellava_assets.pictures.decoding import UndecodablePictureError, upright
from stablellava_assets.tables.encoded_images import EncodedImages
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.pair_rows import AlignmentScore, ImageToJudge, SpecToJudge
from stablellava_assets.tables.rows import PlannedRow
from stablellava_assets.tables.schemas import FAILED, MADE

if TYPE_CHECKING:
    from PIL import Image

_VERSION = 1
"""Part of every score's row key. Increase it when the same model and statement would get a different score."""

_MOST_BYTES = 256 << 20
"""Encoded images that are scored together, in batches of texts of similar length."""

_NO_CHECKPOINT = "no checkpoint available to score with: llava_checkpoint is empty"


@dataclass(frozen=True)
class _ScoreInputs:
    """The inputs of a score. ``problem`` says why it cannot be computed."""

    spec: SpecToJudge
    image: ImageToJudge
    scorer: str
    statement: Statement
    model: str | None
    problem: str | None


_Planned = PlannedRow[_ScoreInputs]


class Alignment:
    """The alignment scorers of a profile.

    Args:
        settings: scorers, models and thresholds.
        catalog: abilities whose question wordings are used.
        checkpoint: the newest row of ``llava_checkpoint``, which the setting ``previous`` refers
            to; None before the first tuning.
    """

    def __init__(self, settings: AlignmentSettings, catalog: Catalog, checkpoint: OwnCheckpoint | None) -> None:
        self._rejudge = settings.rejudge
        self._scorers: dict[str, Scorer] = {scorer.name: scorer for scorer in scorers_of(settings, catalog, checkpoint)}

    def plan(
        self, painted: Collection[tuple[SpecToJudge, ImageToJudge]], published: Iterable[AlignmentScore]
    ) -> list[_Planned]:
        """Plan a score for every statement about every image.

        A published score keeps its model if that is one of the project's own checkpoints and neither image nor
        statement changed, unless the settings ask for scoring again.

        Args:
            painted: prompts with their images.
            published: the ``alignment_scores`` rows of the partition.
        """
        known = {row["score_id"]: row for row in published}
        return [
            _planned(scorer, statement, spec, image, {} if self._rejudge else known)
            for scorer in self._scorers.values()
            for spec, image in painted
            for statement in scorer.statements(spec)
        ]

    def score(self, images: EncodedImages, planned: Sequence[_Planned]) -> Iterator[AlignmentScore]:
        """Yield ``alignment_scores`` rows without ``run_id``, batch by batch.

        Args:
            images: the images; each scorer reads them once, and no more than a few hundred megabytes are in memory.
            planned: the scores.

        Raises:
            PretrainedModelError: a model cannot be loaded.
        """
        for name, rows in groupby(planned, lambda row: row.inputs.scorer):
            scorer = self._scorers[name]
            askable = []
            for row in rows:
                problem = row.inputs.problem
                if problem is None:
                    askable.append(row)
                else:
                    yield _row(row, None, problem)
            for known, some in _with_images(askable, images):
                some.sort(key=_batching_order)
                for start in range(0, len(some), scorer.batch_size):
                    yield from _score_batch(scorer, some[start : start + scorer.batch_size], known)

    def verdicts(self, scores: Iterable[AlignmentScore]) -> dict[str, AlignmentVerdict]:
        """The verdict on each image by image id, from ``alignment_scores`` rows of this plan."""
        of_image: dict[str, list[AlignmentScore]] = {}
        for score in scores:
            of_image.setdefault(score["image_id"], []).append(score)
        return {image_id: self._verdict(found) for image_id, found in of_image.items()}

    def verdict_on(self, candidate: Candidate, verdicts: Mapping[str, AlignmentVerdict]) -> AlignmentVerdict | None:
        """The verdict on all images of a pair, from those on each image by image id; None if none was scored."""
        found = [verdicts.get(each.image["image_id"]) for each in candidate.painted]
        scored = [verdict for verdict in found if verdict is not None]
        if len(found) == 1 or not scored:
            return scored[0] if scored else None
        key = content_key("alignment of several", [verdict and verdict.key for verdict in found])
        return AlignmentVerdict(key, tuple(of_pair([() if each is None else each.findings for each in found])))

    def _verdict(self, scores: Sequence[AlignmentScore]) -> AlignmentVerdict:
        """At most one finding per scorer, about its weakest statement. The key hashes scores and thresholds."""
        judged = [(score["row_key"], _threshold(self._scorers[score["scorer"]], score)) for score in scores]
        findings = [
            finding
            for name, scorer in self._scorers.items()
            for finding in _findings(scorer, [score for score in scores if score["scorer"] == name])
        ]
        return AlignmentVerdict(content_key("alignment", judged), tuple(findings))


def _planned(
    scorer: Scorer, statement: Statement, spec: SpecToJudge, image: ImageToJudge, known: Mapping[str, AlignmentScore]
) -> _Planned:
    score_id = content_key("alignment score", scorer.name, image["image_id"], statement.fact)

    fingerprint = scorer.fingerprint_of(statement.fact)

    def key(model: str | None) -> str:
        folder_hash = [fingerprint] if fingerprint is not None else []
        return content_key("alignment", _VERSION, scorer.name, model, image["sha256"], vars(statement), *folder_hash)

    model = scorer.model_of(statement.fact)
    earlier = known.get(score_id)
    if earlier is not None and scorer.is_own(statement.fact) and earlier["row_key"] == key(earlier["model"]):
        model = earlier["model"]
    problem = statement.problem or (None if model else _NO_CHECKPOINT)
    return PlannedRow(score_id, key(model), _ScoreInputs(spec, image, scorer.name, statement, model, problem))


def _batching_order(row: _Planned) -> tuple[str, int]:
    """Sort key: statements of one model with texts of similar length share a batch with little padding."""
    statement = row.inputs.statement
    return row.inputs.model or "", len(statement.text) + len(statement.question or "") + len(statement.answer or "")


def _with_images(
    planned: Sequence[_Planned], images: EncodedImages
) -> Iterator[tuple[Mapping[str, bytes], list[_Planned]]]:
    """The planned scores with their images, as many at a time as memory may hold; those without an image last."""
    of_image: dict[str, list[int]] = {}
    for index, row in enumerate(planned):
        of_image.setdefault(row.inputs.image["image_id"], []).append(index)

    def rows(image_ids: Iterable[str]) -> list[_Planned]:
        return [planned[index] for index in sorted(index for image_id in image_ids for index in of_image[image_id])]

    held: dict[str, bytes] = {}
    left = dict.fromkeys(of_image)
    for image_id, encoded in images(of_image.keys()):
        if held and sum(map(len, held.values())) + len(encoded) > _MOST_BYTES:
            yield held, rows(held)
            held = {}
        held[image_id] = encoded
        left.pop(image_id)
    if held or left:
        yield held, rows([*held, *left])


def _score_batch(scorer: Scorer, batch: Sequence[_Planned], encoded: Mapping[str, bytes]) -> Iterator[AlignmentScore]:
    pictures: list[Image.Image] = []
    readable: list[_Planned] = []
    known: dict[str, Image.Image] = {}
    for row in batch:
        image_id = row.inputs.image["image_id"]
        try:
            if image_id not in known:
                known[image_id] = upright(encoded.get(image_id))
        except UndecodablePictureError as error:
            yield _row(row, None, f"the picture cannot be decoded: {error}")
        else:
            pictures.append(known[image_id])
            readable.append(row)
    scores = scorer.score(pictures, [row.inputs.statement for row in readable]) if readable else []
    for row, score in zip(readable, scores, strict=True):
        yield _row(row, score, None)


def _row(planned: _Planned, score: float | None, reason: str | None) -> AlignmentScore:
    inputs = planned.inputs
    statement = inputs.statement
    return {
        "score_id": planned.row_id,
        "ability": inputs.spec["ability"],
        "batch": inputs.spec["batch"],
        "spec_id": inputs.spec["spec_id"],
        "image_id": inputs.image["image_id"],
        "scorer": inputs.scorer,
        "fact": statement.fact,
        "claim": statement.text,
        "question": statement.question,
        "answer": statement.answer,
        "model": inputs.model,
        "score": score,
        "row_key": planned.row_key,
        "status": FAILED if score is None else MADE,
        "reason": reason,
    }


def _findings(scorer: Scorer, scores: Sequence[AlignmentScore]) -> Iterator[Finding]:
    scored = [score for score in scores if score["score"] is not None]
    for score in scores:
        if score["score"] is None:
            yield Finding(
                "alignment_unscored", f"{fact_and_text(score)} was not scored by {scorer.name}: {score['reason']}."
            )
    if not scored:
        return
    weakest = min(scored, key=lambda score: _strength(scorer, score))
    if _strength(scorer, weakest) >= 1:
        return
    yield scorer.finding(weakest, _threshold(scorer, weakest))


def _strength(scorer: Scorer, score: AlignmentScore) -> float:
    """A score as a multiple of its threshold, because thresholds differ between facts."""
    threshold = _threshold(scorer, score)
    return (score["score"] or 0.0) / threshold if threshold > 0 else math.inf


def _threshold(scorer: Scorer, score: AlignmentScore) -> float:
    return scorer.threshold(score["fact"], score["ability"])
