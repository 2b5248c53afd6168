"""Runs the tuning process, relays its progress, and restarts it with half the micro-batch when it runs out of
memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

from stablellava_assets.models.memory import allocator_environment
from stablellava_assets.tuning.pretrained.errors import PretrainedTuningError
from stablellava_assets.tuning.pretrained.jobs import OUT_OF_MEMORY, PROGRESS, JobFolder
from stablellava_assets.tuning.pretrained.phases import micro_batch_for
from stablellava_assets.tuning.pretrained.settings import PretrainedTuningSettings
from stablellava_assets.tuning.pretrained.worker import SUPERVISED

_MODULE = "stablellava_assets.tuning.pretrained.worker"
Launch = Callable[[Sequence[str], JobFolder, Callable[[str], None]], int]


def run_job(
    job: JobFolder, settings: PretrainedTuningSettings, progress: Callable[[str], None], launch: Launch | None = None
) -> None:
    """Run ``job`` until its ``result`` is complete.

    Args:
        job: rows and settings.
        settings: the job's.
        progress: receives the worker's progress lines.
        launch: starts a worker with arguments and returns its exit status.

    Raises:
        PretrainedTuningError: the worker reports something that the user has to change, or it ended with a signal or an
            error; the message names it and the log.
    """
    launch = launch or launch_process
    processes = settings.machine.processes
    job.error.unlink(missing_ok=True)
    if processes > 1 and not job.usable.exists():
        _finish(launch([*_worker(1), str(job.path), "--prepare-only"], job, progress), job)
    while (status := launch([*_worker(processes), str(job.path)], job, progress)) == OUT_OF_MEMORY:
        _halve(job, settings, progress)
    _finish(status, job)


def _worker(processes: int) -> list[str]:
    if processes == 1:
        return ["-m", _MODULE]
    return [
        *("-m", "torch.distributed.run", "--standalone", "--max-restarts", "0"),
        *("--nproc-per-node", str(processes), "-m", _MODULE),
    ]


def launch_process(arguments: Sequence[str], job: JobFolder, progress: Callable[[str], None]) -> int:
    """Run a worker in its own process group; its output goes to the job's log.

    Its input is a pipe that is never written to. However this process ends, the pipe closes, and the worker exits.
    """
    environment = {
        **os.environ,
        **allocator_environment(os.environ),
        "CUDA_VISIBLE_DEVICES": _gpus(job.settings().machine.processes),
        SUPERVISED: "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    with job.log.open("a") as log:
        worker = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
            start_new_session=True,
        )
        (job.path / "worker.pid").write_text(str(worker.pid))
        assert worker.stdout is not None
        try:
            for line in worker.stdout:
                log.write(line)
                log.flush()
                if line.startswith(PROGRESS):
                    progress(line.removeprefix(PROGRESS).rstrip("\n"))
            status = worker.wait()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
    # The launcher of several processes has its own exit status and reports theirs in its output.
    return OUT_OF_MEMORY if status == 1 and f"exitcode  : {OUT_OF_MEMORY} " in _tail(job) else status


def _gpus(processes: int) -> str:
    """As many visible GPUs as there are processes, because the Trainer splits each batch over
    all GPUs that its process sees."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return ",".join(map(str, range(processes)) if visible is None else visible.split(",")[:processes])


def _halve(job: JobFolder, settings: PretrainedTuningSettings, progress: Callable[[str], None]) -> None:
    sizes = [settings.stage.batch_size, *([settings.alignment.batch_size] if settings.alignment else [])]
    used = max(micro_batch_for(size, settings.machine.processes, job.micro_batch(settings)) for size in sizes)
    if used == 1:
        raise PretrainedTuningError(
            "memory does not hold a single row: set tuning.machine.gradient_checkpointing to true, "
            f"tuning.model.max_length lower, or tuning.model.method to lora (log: {job.log})"
        )
    job.write_micro_batch(settings, used // 2)
    progress(
        f"out of memory at {used} rows at once; going on with {used // 2}, and as many rows an optimizer step as before"
    )


def _finish(status: int, job: JobFolder) -> None:
    if status == 0:
        return
    if job.error.exists():
        raise PretrainedTuningError(job.error.read_text())
    if status < 0:
        name = signal.Signals(-status).name
        hint = "; on Linux that is often memory running out" if -status == signal.SIGKILL else ""
        raise PretrainedTuningError(
            f"the tuning process was ended by {name}{hint}. Log: {job.log}. Run again to go on."
        )
    raise PretrainedTuningError(f"the tuning process ended with exit status {status}. Log: {job.log}\n{_tail(job)}")


def _tail(job: JobFolder, lines: int = 30) -> str:
    if not job.log.exists():
        return ""
    return "".join(job.log.read_text(errors="replace").splitlines(keepends=True)[-lines:])
