"""The tuning process: ``python -m stablellava_assets.tuning.pretrained.worker FOLDER``, one per GPU.

A separate process keeps the Dagster worker small, and contains crashes and out-of-memory errors. The folder holds
the job (:mod:`stablellava_assets.tuning.pretrained.jobs`).
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stablellava_assets.models.memory import is_out_of_memory
from stablellava_assets.tables.files import whole_file
from stablellava_assets.tuning.pretrained.disk import check_disk
from stablellava_assets.tuning.pretrained.encoding import Encoder
from stablellava_assets.tuning.pretrained.errors import PretrainedTuningError
from stablellava_assets.tuning.pretrained.jobs import (
    OUT_OF_MEMORY,
    PROGRESS,
    REFUSED,
    RESULT,
    JobFolder,
    read_json,
    write_json,
)
from stablellava_assets.tuning.pretrained.measuring import measure
from stablellava_assets.tuning.pretrained.memory import explained_out_of_memory
from stablellava_assets.tuning.pretrained.model import device_of, dtype_of, load_model, load_outline, load_processor
from stablellava_assets.tuning.pretrained.parts import Parts, check_parts, trainable
from stablellava_assets.tuning.pretrained.phases import Phase, train_phase
from stablellava_assets.tuning.pretrained.rows import MIX, TuningRow, count_by, read_rejections, read_rows, write_rows
from stablellava_assets.tuning.pretrained.settings import PretrainedTuningSettings

if TYPE_CHECKING:
    from transformers import ProcessorMixin

SUPERVISED = "STABLELLAVA_TUNING_SUPERVISED"
"""Environment variable of a worker whose standard input closes when its parent process ends."""


def main(folder: Path, *, prepare_only: bool = False) -> int:
    """Run the job in ``folder``.

    Returns:
        The exit status: 0, or one of :mod:`stablellava_assets.tuning.pretrained.jobs`.
    """
    job = JobFolder(folder)
    try:
        if prepare_only:
            settings = job.settings()
            processor = load_processor(settings)
            _check(job, settings)
            _prepare(job, settings, processor, _print_on_first_rank)
        else:
            _tune(job, _print_on_first_rank if _rank() == 0 else _silent)
    except (PretrainedTuningError, FloatingPointError) as error:
        job.error.write_text(str(error))
        return REFUSED
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        print(error, flush=True)
        return OUT_OF_MEMORY
    return 0


def _tune(job: JobFolder, report: Callable[[str], None]) -> None:
    settings = job.settings()
    device = device_of(settings)
    processor = load_processor(settings)
    _check(job, settings)
    if not job.usable.exists():
        _prepare(job, settings, processor, report)
    rows, lengths = _usable(job)
    encoder = Encoder(processor, settings.model.max_length)
    with explained_out_of_memory():
        model = load_model(settings, device)
    report(f"{type(model).__name__}, {model.num_parameters():,} weights, on {device}, {settings.model.method} tuning")
    if settings.alignment is not None:
        _align(model, encoder, rows, lengths, settings, job, device, report)
    with explained_out_of_memory():
        tuned = trainable(model, settings, settings.stage, aligning=False)
    count = sum(parameter.numel() for parameter in tuned.parameters() if parameter.requires_grad)
    phase = Phase("instruction", settings.stage, rows, lengths)
    report(f"instruction tuning: {count:,} weights move, {phase.extent}")
    train_phase(tuned, encoder, phase, settings, job, device, report)
    if _rank() == 0:
        with explained_out_of_memory():
            _save(tuned, processor, settings, job, count, device)


def _prepare(
    job: JobFolder, settings: PretrainedTuningSettings, processor: ProcessorMixin, report: Callable[[str], None]
) -> None:
    """Measure every row and record unusable ones with the reason."""
    encoder = Encoder(processor, settings.model.max_length)
    rows = read_rows(job.rows)
    found, refused = measure(rows, read_rejections(job.refused_by_reader), encoder, settings, report)
    if len(found.rows) > len(rows):
        # In this order: a run that is interrupted in between draws the same rows again.
        write_rows(job.refused_by_reader, refused)
        write_rows(job.rows, found.rows)
    rejected = [*refused, *found.rejected]
    write_rows(job.rejected, rejected)
    if rejected:
        reasons = count_by([each.kind or each.reason for each in rejected])
        report(f"{len(rejected)} rows rejected: " + "; ".join(f"{count} {reason}" for reason, count in reasons.items()))
    if not found.usable:
        raise PretrainedTuningError(
            f"none of {len(found.rows) + len(refused)} rows can be trained on; the first: "
            f"{rejected[0].row_id}: {rejected[0].reason}"
            if rejected
            else "there is nothing to train on: no rows; look at why filtered_pairs is empty"
        )
    write_json(job.usable, {"rows": found.usable})


def _usable(job: JobFolder) -> tuple[list[TuningRow], list[int]]:
    rows = read_rows(job.rows)
    usable = read_json(job.usable)["rows"]
    return [rows[place] for place, _ in usable], [length for _, length in usable]


def _align(
    model: Any,
    encoder: Encoder,
    rows: list[TuningRow],
    lengths: list[int],
    settings: PretrainedTuningSettings,
    job: JobFolder,
    device: str,
    report: Callable[[str], None],
) -> None:
    """Train only the projector, or load it if an interrupted run has finished that."""
    from safetensors.torch import load_file, save_file

    assert settings.alignment is not None
    phase = settings.alignment.phase
    with explained_out_of_memory():
        aligned = trainable(model, settings, phase, aligning=True)
    if job.projector.exists():
        model.load_state_dict(load_file(job.projector), strict=False)
        return
    wanted = [
        at for at, row in enumerate(rows) if row.images and (settings.alignment.rows == "all" or row.kind == "describe")
    ]
    if not wanted:
        raise PretrainedTuningError(
            "tuning.alignment.rows: no row asks for a description of a picture; set it to all, or have the author "
            "write them"
        )
    alignment = Phase("alignment", phase, [rows[at] for at in wanted], [lengths[at] for at in wanted])
    report(f"alignment: the projector learns from {alignment.extent}")
    train_phase(aligned, encoder, alignment, settings, job, device, report)
    if _rank() == 0:
        parts = Parts(model)
        weights = {
            name: weight.detach().cpu().contiguous()
            for name, weight in model.state_dict().items()
            if parts.of(name) == "projector"
        }
        with whole_file(job.projector) as unfinished:
            save_file(weights, unfinished)


def _save(
    tuned: Any, processor: ProcessorMixin, settings: PretrainedTuningSettings, job: JobFolder, count: int, device: str
) -> None:
    """Merge the adapters and write the checkpoint, in the precision of the computation."""
    shutil.rmtree(job.result, ignore_errors=True)
    job.result.mkdir()
    model = tuned
    if hasattr(tuned, "merge_and_unload"):
        if settings.model.lora.keep_adapter:
            tuned.save_pretrained(job.result / "adapter")
        model = tuned.merge_and_unload()
    dtype = dtype_of(settings, device)
    model.to(dtype)
    model.save_pretrained(job.result)
    processor.save_pretrained(job.result)
    rows, _ = _usable(job)
    write_json(
        job.result / RESULT,
        {
            "parameters": count,
            "micro_batch": job.micro_batch(settings),
            "rows": len(rows),
            "mixed": sum(row.source == MIX for row in rows),
            "pictures": len({image for row in rows for image in row.images}),
        },
    )


def _check(job: JobFolder, settings: PretrainedTuningSettings) -> None:
    """Refuse a job that could not be finished before any row is measured or any weight is read."""
    outline = load_outline(settings)
    check_parts(outline, settings)
    check_disk(job, settings, outline.num_parameters())


def _rank() -> int:
    return int(os.environ.get("RANK", "0"))


def _print_on_first_rank(line: str) -> None:
    print(f"{PROGRESS}{line}", flush=True)


def _silent(line: str) -> None:
    """Silence log output on non-zero ranks."""


def _end_with_supervisor() -> None:
    """End this process when its parent ends, for whatever reason."""

    def watch() -> None:
        os.read(0, 1)  # Returns when the other end of the pipe is closed.
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    if SUPERVISED in os.environ:
        _end_with_supervisor()
    sys.exit(main(Path(sys.argv[1]), prepare_only="--prepare-only" in sys.argv))
