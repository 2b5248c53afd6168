"""Decides between images of one prompt by their alignment scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.filters.alignment.models import OwnCheckpoint
from stablellava_assets.filters.alignment.scorers import Scorer, scorers_of
from stablellava_assets.filters.alignment.statements import Statement
from stablellava_assets.filters.settings import AlignmentSettings
from stablellava_assets.pictures.decoding import upright
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.pair_rows import WrittenSpec

_VERSION = 1
"""Part of every key. Increase it when the same scores would be combined otherwise."""
_LEAST = 1e-12
"""Scores below count as this much, so that one of 0 does not make all other statements worthless."""


class AlignmentJudge:
    """The alignment scorers of a profile, for a painter that makes several images per prompt.

    Thresholds play no part, so that changing one chooses no other image. The key names the project's own checkpoints as
    the profile does, and not by their ids: an image that was chosen stays when another checkpoint is tuned.

    Args:
        settings: scorers and models.
        catalog: abilities whose question wordings are used.
        newest: gives the checkpoint that ``previous`` refers to.
    """

    def __init__(
        self, settings: AlignmentSettings, catalog: Catalog, newest: Callable[[], OwnCheckpoint | None]
    ) -> None:
        self._settings, self._catalog, self._newest = settings, catalog, newest
        self._scorers = scorers_of(settings, catalog, None)
        self._checkpoint: OwnCheckpoint | None = None

    def key_of(self, spec: WrittenSpec) -> str | None:
        """Hash of models and statements; None if there is no statement that a scorer can score."""
        asked = [
            (scorer.name, scorer.named(statement.fact), scorer.fingerprint_of(statement.fact), vars(statement))
            for scorer in self._scorers
            for statement in _scorable(scorer, spec)
        ]
        return content_key("judge", _VERSION, asked) if asked else None

    def prepare(self, specs: Sequence[WrittenSpec]) -> None:
        """Load the models, and score a blank image with each.

        Raises:
            PretrainedModelError: a model cannot be loaded, or there is no checkpoint yet.
        """
        from PIL import Image

        checkpoint = self._newest()
        if checkpoint != self._checkpoint:
            self._checkpoint = checkpoint
            self._scorers = scorers_of(self._settings, self._catalog, checkpoint)
        blank = Image.new("RGB", (64, 64))
        for scorer in self._scorers:
            of_facts = {statement.fact: statement for spec in specs for statement in _scorable(scorer, spec)}
            for statement in of_facts.values():
                scorer.score([blank], [statement])

    def scores(self, images: Sequence[tuple[WrittenSpec, bytes]]) -> list[float]:
        """Sum of the logarithms of an image's scores.

        The order that it gives is that of their product, which does not depend on the scale of any scorer: CLIPScores
        and probabilities go together.
        """
        pictures = [upright(encoded) for _, encoded in images]
        sums = [0.0] * len(images)
        for scorer in self._scorers:
            asked = [(at, each) for at, (spec, _) in enumerate(images) for each in _scorable(scorer, spec)]
            for start in range(0, len(asked), scorer.batch_size):
                some = asked[start : start + scorer.batch_size]
                found = scorer.score([pictures[at] for at, _ in some], [statement for _, statement in some])
                for (at, _), score in zip(some, found, strict=True):
                    sums[at] += math.log(max(score, _LEAST))
        return sums


def _scorable(scorer: Scorer, spec: WrittenSpec) -> Iterator[Statement]:
    return (statement for statement in scorer.statements(spec) if statement.problem is None)
