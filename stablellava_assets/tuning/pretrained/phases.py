"""One training phase with the Trainer of transformers, with our row order, labels and progress lines."""

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
from stablellava_assets.tuning.pretrained.memory import explained_out_of_memory
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
"""Names of activation recomputing in transformers: the current one, and that of 5.17."""
_COMPLETE = "complete"
"""Marker file in every completely written checkpoint."""


@dataclass(frozen=True)
class Phase:
    """What one phase trains, on which rows, and how."""

    name: str
    settings: PhaseSettings
    rows: Sequence[TuningRow]
    lengths: Sequence[int]

    @property
    def steps(self) -> int:
        """Number of optimizer steps; each uses a full batch."""
        return max(1, round(self.settings.epochs * len(self.rows) / self.settings.batch_size))

    @property
    def extent(self) -> str:
        """Number of rows, and passes over them: more than ``epochs`` if they do not fill one batch."""
        size = self.settings.batch_size
        return f"{len(self.rows)} rows, {size} a step, each seen {self.steps * size / len(self.rows):.1f} times"

    @property
    def rate_setting(self) -> str:
        """Name of the setting of the learning rate."""
        return f"tuning.{'alignment' if self.name == 'alignment' else 'stage'}.learning_rate"


def micro_batch_for(batch_size: int, processes: int, most: int) -> int:
    """The largest micro-batch up to ``most`` that divides a process's share of the batch."""
    per_process = batch_size // processes
    return max(size for size in range(1, min(most, per_process) + 1) if per_process % size == 0)


def train_phase(
    model: Any,
    encoder: Encoder,
    phase: Phase,
    settings: PretrainedTuningSettings,
    job: JobFolder,
    device: str,
    report: Callable[[str], None],
) -> None:
    """Train ``model`` in place, from the newest checkpoint of an interrupted run if there is one.

    Raises:
        PretrainedTuningError: the process sees more GPUs than it should use, or memory does not hold the model.
        torch.OutOfMemoryError: memory does not hold a micro-batch.
        FloatingPointError: the loss became infinite or NaN.
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
        # Rows without an image give the projector no gradient.
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
                # A cache would keep the keys and values of every layer, and nothing is generated.
                return super().compute_loss(model, {**inputs, "use_cache": False}, *rest, **options)

    with explained_out_of_memory():
        trainer = _Trainer(
            model=model,
            args=arguments,
            train_dataset=list(phase.rows),
            data_collator=encoder.batch,
            compute_loss_func=loss,
            callbacks=[
                progress_callback(phase.name, phase.settings.batch_size, phase.rate_setting, job, report),
                _mark_complete(),
            ],
        )
    trainer.remove_callback(PrinterCallback)  # We print our own progress lines.
    save = _newest(saves)
    if save is not None:
        report(f"{phase.name}: going on from {save.name}")
    # Autocast casts states for the adapters; peft would keep a float32 copy of every adapted layer's input.
    with disable_input_dtype_casting(model, active=dtype is not torch.float32):
        trainer.train(resume_from_checkpoint=None if save is None else str(save))
    trainer.accelerator.free_memory()


def row_order(phase: Phase, seed: int) -> Iterator[int]:
    """Indices into ``phase.rows``, ``batch_size`` per step. Every row comes once before any comes again.

    The order depends only on the seed, not on the micro-batch or the number of processes.
    """
    import torch

    generator = torch.Generator().manual_seed(derive_seed("row order", phase.name, seed))
    lengths, size = torch.tensor(phase.lengths), phase.settings.batch_size
    for batch in drawn_by_length(lengths, size, phase.steps, _STEPS_SORTED_TOGETHER, generator):
        yield from batch.tolist()


def _groups(model: Any, settings: PhaseSettings) -> list[dict[str, Any]]:
    """Trained parameters by part and by weight decay, which vectors do not get."""
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
    # The Trainer logs the rate of the first group: the language model's if it is trained.
    return [
        {"params": members, "lr": rates[part], "weight_decay": settings.weight_decay if decays else 0.0}
        for (part, decays), members in sorted(groups.items())
    ]


def _inner(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _compile_layers(model: Any) -> None:
    """Compile the language model's repeated layer once, for all its copies and any row length."""
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
    """The newest complete checkpoint; incomplete ones are deleted."""
    whole = []
    for path in saves.glob("checkpoint-*"):
        if (path / _COMPLETE).exists():
            whole.append(path)
        else:
            shutil.rmtree(path, ignore_errors=True)
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
