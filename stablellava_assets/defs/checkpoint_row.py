"""The ``llava_checkpoint`` row of a finished tuning, whichever trainer it was."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.identity import pairs_key

if TYPE_CHECKING:
    from stablellava_assets.tuning.embedded.training import TuningResult
    from stablellava_assets.tuning.pretrained.tuning import PretrainedResult


def checkpoint_row(
    context: dg.AssetExecutionContext,
    workspace: Workspace,
    checkpoint_id: str,
    base: str,
    pair_keys: Iterable[str],
    result: TuningResult | PretrainedResult,
) -> dict[str, Any]:
    """The row; ``base`` is how it names the model that was started from, ``pair_keys`` are those of the kept pairs."""
    settings = workspace.profile.tuning
    return {
        "checkpoint_id": checkpoint_id,
        "path": str(result.path.relative_to(workspace.data)),
        "base_path": base,
        "model": settings.model.kind,
        "pairs": result.rows,
        "images": result.pictures,
        "parameters": result.parameters,
        "settings": json.dumps(settings.model_dump(mode="json")),
        "loss_curve": [{"step": step, "loss": loss} for step, loss in result.loss_curve],
        "seconds": result.seconds,
        "created_at": datetime.now(UTC),
        "run_id": context.run_id,
        "pairs_key": pairs_key(pair_keys),
    }
