"""One phase of training with transformers' Trainer: what it lacks is the order of the rows, our labels, and the words."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stablellava_assets.tables.identity import derive_seed
from stablellava_assets.tuning.batches import drawn_by_length
from stablellava_assets.tuning.pretrained.encoding import Encoder
from stablellava_assets.tuning.pretrained.errors import PretrainedTuningError
from stablellava_assets.tuning.pretrained.jobs import JobFolder
from stablellava_assets.tuning.pretrained.loss import LearnedTokensLoss
from stablellava_assets.tuning.pretrained.memory import holding_the_model
from stablellava_assets.tuning.pretrained.model import dtype_of
from stablellava_assets.tuning.pretrained.parts import Parts
from stablellava_assets.tuning.pretrained.progress import progress_callback
from stablellava_assets.tuning.pretrained.rows import TuningRow
from stablellava_assets.tuning.pretrained.settings import PhaseSettings, PretrainedTuningSettings

if TYPE_CHECKING:
    import torch

_LOG_POINTS = 200
_STEPS_SORTED_TOGETHER = 16
_RECOMPUTING = ("activation_checkpointing", "gradient_checkpointing")
"""What transformers calls the recomputing of activations: today's name, and that of 5.17."""
_COMPLETE = "complete"
"""A file in every save that was written whole."""


@dataclass(frozen=True)
class Phase:
    """What one phase trains, on what, and how."""

    name: str
    settings: PhaseSettings
    rows: Sequence[TuningRow]
    lengths: Sequence[int]

    @property
    def steps(self) -> int:
        """Optimizer steps; every one of them is over a whole batch."""
        return max(1, round(self.settings.epochs * len(self.rows) / self.settings.batch_size))

    @property
    def extent(self) -> str:
        """Rows, and how often each is seen: more often than ``epochs`` says where they do not fill one batch."""
        size = self.settings.batch_size
        return f"{len(self.rows)} rows, {size} a step, each seen {self.steps * size / len(self.rows):.1f} times"

    @property
    def rate_setting(self) -> str:
        """What the profile calls the learning rate."""
        return f"tuning.{'alignment' if self.name == 'alignment' else 'stage'}.learning_rate"


def micro_batch_for(batch_size: int, processes: int, most: int) -> int:
    """The largest micro-batch up to ``most`` that divides a process' share of the batch."""
    share = batch_size // processes
    return max(size for size in range(1, min(most, share) + 1) if share % size == 0)


def train_phase(
    model: Any,
    encoder: Encoder,
    phase: Phase,
    settings: PretrainedTuningSettings,
    job: JobFolder,
    device: str,
    say: Callable[[str], None],
) -> None:
    """Train ``model`` in place, from the newest save of a run that was killed if there is one.

    Raises:
        PretrainedTuningError: the process sees more GPUs than the one that it is to use, or memory does not hold the model.
        torch.OutOfMemoryError: memory does not hold a micro-batch.
        FloatingPointError: the loss became infinite or no number.
    """
    import torch
    from peft.helpers import disable_input_dtype_casting
    from transformers import PrinterCallback, Trainer, TrainingArguments

    processes = settings.machine.processes
    micro = micro_batch_for(phase.settings.batch_size, processes, job.micro_batch(settings))
    saves = job.checkpoints(phase.name)
    dtype = dtype_of(settings, device)
    recomputing = next(name for name in _RECOMPUTING if name in {field.name for field in fields(TrainingArguments)})
    arguments = TrainingArguments(
        output_dir=str(saves),
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=phase.settings.batch_size // (micro * processes),
        max_steps=phase.steps,
        learning_rate=phase.settings.learning_rate,
        weight_decay=phase.settings.weight_decay,
        warmup_steps=round(phase.settings.warmup * phase.steps),
        lr_scheduler_type=phase.settings.schedule,
        seed=settings.seed,
        bf16=dtype is torch.bfloat16,
        fp16=dtype is torch.float16,
        use_cpu=device == "cpu",
        ddp_backend="gloo" if device == "cpu" and processes > 1 else None,
        # Rows without a picture leave the projector without a gradient.
        ddp_find_unused_parameters=processes > 1,
        dataloader_num_workers=settings.machine.workers,
        dataloader_persistent_workers=settings.machine.workers > 0,
        remove_unused_columns=False,
        logging_steps=max(1, phase.steps // _LOG_POINTS),
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to="none",
        save_strategy="steps",
        save_steps=settings.machine.save_every,
        save_total_limit=2,
        **{recomputing: settings.machine.gradient_checkpointing},
    )
    if arguments.train_batch_size != micro:
        raise PretrainedTuningError(
            f"this process sees {arguments.n_gpu} GPUs and is to use one: set CUDA_VISIBLE_DEVICES to as many as "
            f"tuning.machine.processes says, {processes}"
        )
    order = list(row_order(phase, settings.seed))
    loss = LearnedTokensLoss(model)
    if settings.machine.compile:
        _compile_layers(model)

    class _Trainer(Trainer):  # type: ignore[misc]
        def _get_train_sampler(self, train_dataset: Any = None) -> list[int]:
            return order

        def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
            optimizer = torch.optim.AdamW(_groups(self.model, phase.settings), fused=device == "cuda")
            self.optimizer = optimizer
            return optimizer

        def compute_loss(self, model: Any, inputs: dict[str, torch.Tensor], *rest: Any, **options: Any) -> Any:
            with loss.of(inputs["labels"]):
                # Nothing is generated: a cache would copy every layer's keys and values, and keep them.
                return super().compute_loss(model, {**inputs, "use_cache": False}, *rest, **options)

    with holding_the_model():
        trainer = _Trainer(
            model=model,
            args=arguments,
            train_dataset=list(phase.rows),
            data_collator=encoder.batch,
            compute_loss_func=loss,
            callbacks=[
                progress_callback(phase.name, phase.settings.batch_size, phase.rate_setting, job, say),
                _mark_complete(),
            ],
        )
    trainer.remove_callback(PrinterCallback)  # We print our own progress lines.
    save = _newest(saves)
    if save is not None:
        say(f"{phase.name}: going on from {save.name}")
    # Autocast brings states and adapters together; peft would keep a float32 copy of every adapted layer's input as well.
    with disable_input_dtype_casting(model, active=dtype is not torch.float32):
        trainer.train(resume_from_checkpoint=None if save is None else str(save))
    trainer.accelerator.free_memory()


def row_order(phase: Phase, seed: int) -> Iterator[int]:
    """Places in ``phase.rows``, ``batch_size`` a step. Every row comes once before any comes again.

    It depends on the seed alone, not on the micro-batch or on the number of processes.
    """
    import torch

    generator = torch.Generator().manual_seed(derive_seed("row order", phase.name, seed))
    lengths, size = torch.tensor(phase.lengths), phase.settings.batch_size
    for batch in drawn_by_length(lengths, size, phase.steps, _STEPS_SORTED_TOGETHER, generator):
        yield from batch.tolist()


def _groups(model: Any, settings: PhaseSettings) -> list[dict[str, Any]]:
    """What moves, by part and by whether it decays: vectors do not."""
    bare = getattr(model, "module", model)
    parts = Parts(_inner(bare))
    rates = {
        "language": settings.learning_rate,
        "projector": settings.projector_learning_rate,
        "tower": settings.tower_learning_rate,
    }
    groups: dict[tuple[str, bool], list[object]] = {}
    for name, parameter in bare.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((parts.of(name), parameter.ndim > 1), []).append(parameter)
    # The Trainer logs the rate of the first group: the language model's, where it learns.
    return [
        {"params": members, "lr": rates[part], "weight_decay": settings.weight_decay if decays else 0.0}
        for (part, decays), members in sorted(groups.items())
    ]


def _inner(model: Any) -> Any:
    """The model itself, inside of its adapters if it has any."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _compile_layers(model: Any) -> None:
    """Compile the layer that the language model repeats, once for all its copies and for rows of every length."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    for module in _inner(model).get_decoder().modules():
        if isinstance(module, GradientCheckpointingLayer):
            module.compile(dynamic=True)


def _mark_complete() -> Any:
    from transformers import TrainerCallback

    class MarkComplete(TrainerCallback):  # type: ignore[misc]
        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.is_world_process_zero:
                (Path(args.output_dir) / f"checkpoint-{state.global_step}" / _COMPLETE).touch()

    return MarkComplete()


def _newest(saves: Path) -> Path | None:
    """The newest complete save; those that a killed run left unfinished are removed."""
    whole = []
    for path in saves.glob("checkpoint-*"):
        if (path / _COMPLETE).exists():
            whole.append(path)
        else:
            shutil.rmtree(path, ignore_errors=True)
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
