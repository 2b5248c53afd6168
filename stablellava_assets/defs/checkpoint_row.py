"""The ``llava_checkpoint`` row of a finished tuning, for both trainers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from stablellava_assets.profiles.data_folder import DataFolder
from stablellava_assets.tables.identity import pairs_key
from stablellava_assets.tables.score_rows import Checkpoint
from stablellava_assets.tuning.pretrained.settings import PretrainedTuningSettings
from stablellava_assets.tuning.settings import TuningSettings

if TYPE_CHECKING:
    from stablellava_assets.tuning.embedded.training import TuningResult
    from stablellava_assets.tuning.pretrained.tuning import PretrainedResult


def checkpoint_row(
    run_id: str,
    settings: TuningSettings | PretrainedTuningSettings,
    folder: DataFolder,
    checkpoint_id: str,
    base: str,
    pair_keys: Iterable[str],
    result: TuningResult | PretrainedResult,
) -> Checkpoint:
    """The row, not the current one yet.

    ``base`` is the name of the base model in rows, ``pair_keys`` are those of the kept pairs.
    """
    return {
        "checkpoint_id": checkpoint_id,
        "path": str(result.path.relative_to(folder.path)),
        "base_path": base,
        "model": settings.model.kind,
        "pairs": result.rows,
        "images": result.pictures,
        "parameters": result.parameters,
        "settings": json.dumps(settings.model_dump(mode="json")),
        "loss_curve": [{"step": step, "loss": loss} for step, loss in result.loss_curve],
        "seconds": result.seconds,
        "created_at": datetime.now(UTC),
        "run_id": run_id,
        "pairs_key": pairs_key(pair_keys),
        "current_since": None,
    }
