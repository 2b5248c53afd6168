"""The ``alignment_scores`` table, published with ``filtered_pairs`` if the profile configures alignment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import dagster as dg

from stablellava_assets.abilities.catalog import Catalog
from stablellava_assets.defs.stage import Stage
from stablellava_assets.filters.alignment.alignment import Alignment
from stablellava_assets.filters.alignment.models import newest_checkpoint
from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.filters.settings import AlignmentSettings
from stablellava_assets.models.folders import ModelFolders
from stablellava_assets.tables.encoded_images import EncodedImages
from stablellava_assets.tables.rows import Refreshed
from stablellava_assets.tables.schemas import ALIGNMENT_SCORES
from stablellava_assets.tables.store import ParquetStore, Partition


class AlignmentScores:
    """Scores each image of a run's partitions once."""

    def __init__(
        self,
        settings: AlignmentSettings | None,
        catalog: Catalog,
        models: ModelFolders,
        stage: Stage,
        store: ParquetStore,
        log: dg.DagsterLogManager,
    ) -> None:
        self._alignment = None if settings is None else Alignment(settings, catalog, newest_checkpoint(store, models))
        self._store = store
        self._stage = stage
        self._log = log

    def for_partition(
        self, partition: Partition, candidates: Sequence[Candidate], images: EncodedImages
    ) -> tuple[list[Candidate], Refreshed | None]:
        """The candidates with their alignment verdicts, and the scores; None if the profile configures no alignment.

        Raises:
            PretrainedModelError: a model cannot be loaded.
        """
        if self._alignment is None:
            return list(candidates), None
        painted = {each.image["image_id"]: each for candidate in candidates for each in candidate.painted}
        published = self._store.read(ALIGNMENT_SCORES, partition)
        planned = self._alignment.plan(painted.values(), [] if published is None else ALIGNMENT_SCORES.rows(published))
        scores = self._stage.refresh(partition, planned, partial(self._alignment.score, images), ALIGNMENT_SCORES)
        reasons = Counter(reason for reason in scores.data["reason"].to_pylist() if reason is not None)
        for reason, count in reasons.items():
            self._log.warning(
                f"{'|'.join(partition)}: {count} of {scores.data.num_rows} alignment scores are missing: {reason}; "
                "their pairs are accepted, with a note"
            )
        verdicts = self._alignment.verdicts(ALIGNMENT_SCORES.rows(scores.data))
        judged = [replace(each, alignment=self._alignment.verdict_on(each, verdicts)) for each in candidates]
        return judged, scores
