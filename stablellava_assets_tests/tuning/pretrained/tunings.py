"""Tunings of a tiny checkpoint on pairs about flat colors, as tests ask for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from stablellava_assets.tuning.pretrained import worker
from stablellava_assets.tuning.pretrained.jobs import JobFolder
from stablellava_assets.tuning.pretrained.settings import PretrainedTuningSettings
from stablellava_assets.tuning.pretrained.tuning import (
    Pair,
    PairImages,
    PretrainedResult,
    checkpoint_id_of,
    tune_pretrained,
)
from stablellava_assets_tests.tuning.tiny import COLORS, picture, turns

SYSTEM = "A chat between a curious human and an artificial intelligence assistant."


def settings_for(base: Path, model: dict[str, Any] | None = None, **changes: Any) -> PretrainedTuningSettings:
    return PretrainedTuningSettings.model_validate(
        {
            "model": {
                "kind": "pretrained",
                "model": str(base),
                "system": SYSTEM,
                "lora": {"rank": 4, "alpha": 8},
                "max_length": 64,
                **(model or {}),
            },
            "stage": {"epochs": 4, "batch_size": 8, "learning_rate": 3e-2, "projector_learning_rate": 3e-2},
            "machine": {"device": "cpu", "workers": 0, "micro_batch": 4, "save_every": 2},
            **changes,
        }
    )


def pairs(count: int = 24) -> list[Pair]:
    return [
        Pair(
            f"pair{number}",
            "color",
            "what",
            (COLORS[number % 4],),
            tuple(turns("<image>\nWhat color is it?", f"It is {COLORS[number % 4]}.", "Is it?", "Yes, it is.")),
        )
        for number in range(count)
    ]


def in_this_process(arguments: Sequence[str], job: JobFolder, progress: Callable[[str], None]) -> int:
    return worker.main(Path(arguments[-1]))


def tuned(
    settings: PretrainedTuningSettings,
    folder: Path,
    lines: list[str] | None = None,
    launch: Any = in_this_process,
    kept: Sequence[Pair] = (),
) -> PretrainedResult:
    kept = kept or pairs()
    pictures = {color: picture(color) for color in COLORS}
    images = PairImages(
        lambda wanted: ((color, encoded) for color, encoded in pictures.items() if color in wanted),
        lambda wanted: sum(len(pictures[color]) for color in wanted),
    )
    identity = checkpoint_id_of([pair.pair_id for pair in kept], settings)
    report = (lines if lines is not None else []).append
    return tune_pretrained(kept, images, ["Pictures are free."], settings, identity, folder, report, launch)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(folder / "model.safetensors")
    return found


def moved(base: Path, result: PretrainedResult) -> set[str]:
    before, after = weights(base), weights(result.path)
    assert before.keys() == after.keys()
    parts = ("vision_tower", "multi_modal_projector", "embed_tokens", "lm_head", "model.layers")
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    return {part for name in changed for part in parts if part in name}
