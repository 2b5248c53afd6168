"""Samples/s of tuning: our settings, those of the original recipe, and TRL's, at one effective batch on the same rows.

``trl`` is SFTTrainer with what its example for vision-language models sets (8 rows at once, gradient checkpointing).
``original`` is LLaVA-1.5's finetune_lora.sh (16 rows at once, gradient checkpointing), run by our code.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stablellava_assets.tuning.pretrained.rows import TuningRow
    from stablellava_assets.tuning.pretrained.settings import PretrainedTuningSettings

CONTENDERS = ("ours", "compiled", "original", "trl")
_MICRO_BATCH = {"original": 16, "trl": 8}
_WORDS = ("red", "blue", "tree", "house", "a", "the", "stands", "near", "it", "is", "old", "small")


@dataclass(frozen=True)
class Course:
    """What a training did: rows a second after its warm-up, and rows in memory at once."""

    rate: float
    micro_batch: int


def settings_of(
    contender: str, model: str, batch: int, micro_batch: int, device: str = "auto", **of_model: Any
) -> PretrainedTuningSettings:
    """The settings of a contender.

    Args:
        contender: one of ``CONTENDERS``.
        model: what is tuned; only its processor is loaded from there.
        batch: rows of an optimizer step.
        micro_batch: of ours: rows at once.
        device: that is trained on.
        of_model: of ``tuning.model``.
    """
    from stablellava_assets.tuning.pretrained.settings import PretrainedTuningSettings

    return PretrainedTuningSettings.model_validate(
        {
            "model": {"kind": "pretrained", "model": model, **of_model},
            "stage": {"batch_size": batch, "epochs": 1},
            "machine": {
                "device": device,
                "micro_batch": min(_MICRO_BATCH.get(contender, micro_batch), batch),
                "workers": 0 if device == "cpu" else 8,
                "gradient_checkpointing": contender in _MICRO_BATCH,
                "compile": contender == "compiled",
                "save_every": 1_000_000,
            },
        }
    )


def noise_rows(folder: Path, count: int, words: Sequence[int] = (30, 120), seed: int = 0) -> list[TuningRow]:
    """Rows of one picture each, noise of 336 x 336 pixels, with an answer of so many words at the least and the
    most."""
    import numpy as np
    from PIL import Image

    from stablellava_assets.tuning.pretrained.rows import MIX, TuningRow

    random = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        path = folder / f"{number % 64}.png"
        if not path.exists():
            Image.fromarray(random.integers(0, 256, (336, 336, 3), dtype=np.uint8)).save(path)
        answer = " ".join(random.choice(_WORDS, random.integers(*words)))
        turns = ({"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": answer})
        rows.append(TuningRow(str(number), MIX, "", (str(path),), turns))
    return rows


def train(
    model: Any,
    encoder: Any,
    rows: Sequence[TuningRow],
    lengths: Sequence[int],
    settings: PretrainedTuningSettings,
    warm_up: int = 1,
) -> Course:
    """Tune ``model`` by our code, with half as many rows at once whenever memory runs out, as a tuning process would.

    The first ``warm_up`` steps are left out of the rate.
    """
    import torch

    from stablellava_assets.models.memory import is_out_of_memory
    from stablellava_assets.tuning.pretrained.jobs import JobFolder
    from stablellava_assets.tuning.pretrained.model import device_of
    from stablellava_assets.tuning.pretrained.parts import trainable
    from stablellava_assets.tuning.pretrained.phases import Phase, train_phase

    device = device_of(settings)
    tuned = trainable(model, settings, settings.stage, aligning=False)
    phase = Phase("instruction", settings.stage, rows, lengths)
    micro = settings.machine.micro_batch
    while True:
        now = settings.model_copy(update={"machine": settings.machine.model_copy(update={"micro_batch": micro})})
        with tempfile.TemporaryDirectory() as job, _step_ends() as ticks:
            try:
                train_phase(tuned, encoder, phase, now, JobFolder(Path(job)), device, print)
                timed = ticks[warm_up - 1 :]
                return Course(settings.stage.batch_size * (len(timed) - 1) / (timed[-1] - timed[0]), micro)
            except Exception as error:
                if micro == 1 or not is_out_of_memory(error):
                    raise
        # Only here is the memory of the call that failed free: its error held every tensor in it.
        micro //= 2
        print(f"out of memory; {micro} rows at once from now on", flush=True)
        tuned.zero_grad(set_to_none=True)
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def train_with_trl(model: Any, processor: Any, rows: Sequence[TuningRow], settings: PretrainedTuningSettings) -> Course:
    """Tune ``model`` with TRL's trainer."""
    import torch
    from datasets import Dataset, Image
    from trl import SFTConfig, SFTTrainer

    from stablellava_assets.tuning.pretrained.model import device_of, dtype_of
    from stablellava_assets.tuning.pretrained.parts import trainable
    from stablellava_assets.tuning.pretrained.rows import messages_of

    device, machine, batch = device_of(settings), settings.machine, settings.stage.batch_size
    data = Dataset.from_dict(
        {"images": [list(row.images) for row in rows], "messages": [messages_of(row) for row in rows]}
    ).cast_column("images", [Image()])
    tuned = trainable(model, settings, settings.stage, aligning=False)
    with tempfile.TemporaryDirectory() as out, _step_ends() as ticks:
        arguments = SFTConfig(
            output_dir=out,
            per_device_train_batch_size=machine.micro_batch,
            gradient_accumulation_steps=batch // machine.micro_batch,
            max_steps=len(rows) // batch,
            max_length=None,
            gradient_checkpointing=True,
            bf16=dtype_of(settings, device) is torch.bfloat16,
            use_cpu=device == "cpu",
            dataloader_num_workers=machine.workers,
            report_to="none",
            save_strategy="no",
        )
        SFTTrainer(model=tuned, args=arguments, train_dataset=data, processing_class=processor).train()
        return Course(batch * (len(ticks) - 1) / (ticks[-1] - ticks[0]), machine.micro_batch)


@contextmanager
def _step_ends() -> Iterator[list[float]]:
    """When each optimizer step of any Trainer inside ends."""
    from transformers import trainer_callback

    ticks: list[float] = []
    handler: Any = trainer_callback.CallbackHandler
    original = handler.on_step_end

    def on_step_end(self: Any, *rest: Any) -> Any:
        ticks.append(time.monotonic())
        return original(self, *rest)

    handler.on_step_end = on_step_end
    try:
        yield ticks
    finally:
        handler.on_step_end = original
