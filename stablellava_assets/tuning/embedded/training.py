"""Tuning: from a base checkpoint and conversations about images to a tuned checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stablellava_assets.models.checkpoints import load_checkpoint, save_checkpoint
from stablellava_assets.models.precision import automatic_dtype
from stablellava_assets.tables.encoded_images import EncodedImages
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tuning.batches import Batch, batches, normalized, shifted
from stablellava_assets.tuning.embedded.frozen_tower import is_frozen, seen_by_tower, without_tower
from stablellava_assets.tuning.embedded.saved_state import SavedState
from stablellava_assets.tuning.embedded.training_loop import optimize
from stablellava_assets.tuning.embedded.training_report import TrainingReport
from stablellava_assets.tuning.embedded.training_set import TrainingExample, TrainingSet, prepare
from stablellava_assets.tuning.packing import answer_loss, collate
from stablellava_assets.tuning.settings import StageSettings, TuningSettings

if TYPE_CHECKING:
    from transformers import LlavaProcessor, PreTrainedModel

__all__ = ["TrainingExample", "TuningResult", "train", "tune"]


@dataclass(frozen=True)
class TuningResult:
    """Folder of the tuned model and its loss curve, (step, mean loss since the previous point)."""

    path: Path
    parameters: int
    pictures: int
    rows: int
    loss_curve: list[tuple[int, float]]
    seconds: float


def tune(
    base: Path,
    examples: Sequence[TrainingExample],
    settings: TuningSettings,
    destination: Path,
    progress: Callable[[str], None],
    images: EncodedImages | None = None,
) -> TuningResult:
    """Train all weights of the checkpoint in ``base`` on ``examples`` and save it to ``destination`` atomically.

    An interrupted run is resumed from ``<destination>.state`` and gives the same weights as an uninterrupted one. On a
    CPU, the same base, examples, settings and number of threads give the same weights.

    ``images`` are those of the examples, of which a few are in memory at a time; by default the examples hold them.

    Raises:
        FileExistsError: ``destination`` exists.
        ValueError: there are no examples, or one cannot be used; it is named.
        FloatingPointError: the loss became infinite or NaN.
    """
    if destination.exists():
        raise FileExistsError(f"{destination} exists; a checkpoint is never overwritten: remove it, or tune elsewhere")
    started = time.monotonic()
    model, processor = load_checkpoint(base)
    destination.parent.mkdir(parents=True, exist_ok=True)
    training_set = prepare(examples, processor, model.config, settings.stage.rows_per_look, images, destination.parent)
    state = SavedState(destination.with_name(f"{destination.name}.state"), _training_key(base, examples, settings))
    curve = train(model, processor, training_set, settings.stage, settings.seed, progress, state)
    save_checkpoint(model, processor, destination)
    state.discard()
    return TuningResult(
        path=destination,
        parameters=model.num_parameters(only_trainable=True),
        pictures=len({image_id for example in examples for image_id in example.image_ids}),
        rows=len(examples),
        loss_curve=curve,
        seconds=time.monotonic() - started,
    )


def train(
    model: PreTrainedModel,
    processor: LlavaProcessor,
    training_set: TrainingSet,
    stage: StageSettings,
    seed: int,
    progress: Callable[[str], None],
    saved: SavedState | None = None,
) -> list[tuple[int, float]]:
    """Train in place all weights of ``model`` that the examples reach, with one replica per torch thread.

    Returns:
        The loss curve, (step, mean loss since the previous point), of a few hundred points.
    """
    import torch

    steps, per_step = stage.steps_over(len(training_set.packs))
    model.to(automatic_dtype(model.device.type)).train()
    frozen = is_frozen(stage) and len(training_set.pixels) > 0
    seen = seen_by_tower(model, processor, training_set.pixels) if frozen else training_set.pixels
    model.model.vision_tower.requires_grad_(stage.tower_rate > 0)
    # On a CPU, the backward pass of eager attention is several times faster than that of the fused kernel.
    model.model.language_model.set_attn_implementation("eager" if model.device.type == "cpu" else "sdpa")

    def backward(replica: PreTrainedModel, micro_batch: Batch) -> float:
        packs = micro_batch.packs.tolist()
        packed = collate([training_set.packs[at] for at in packs], processor.tokenizer.pad_token_id)
        wanted = [picture for at in packs for picture in training_set.pictures[at]]
        pixels = seen[wanted] if wanted else None
        if pixels is not None and not frozen:
            images = torch.tensor([len(training_set.pictures[at]) for at in packs])
            offsets = micro_batch.offsets.repeat_interleave(images, 0)
            pixels = shifted(normalized(pixels, processor), stage.shift, offsets)
            pixels = pixels.to(replica.device, replica.dtype)
        loss = answer_loss(replica, packed.to(replica.device), pixels) / micro_batch.learned
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    with without_tower(model) if frozen else nullcontext():
        curve = optimize(
            model,
            stage,
            steps,
            batches(training_set.packs, per_step, steps, stage.shift, seed),
            backward,
            TrainingReport(steps, per_step, progress),
            saved,
        )
    model.eval()
    return curve


def _training_key(base: Path, examples: Sequence[TrainingExample], settings: TuningSettings) -> str:
    """Hash of everything that determines the weights, including the number of replicas."""
    import torch

    rows = [(example.image_ids, [dict(turn) for turn in example.conversations]) for example in examples]
    return content_key("training", base.name, rows, settings, torch.get_num_threads())
