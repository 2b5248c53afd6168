"""One command on a GPU: painting beside the paper's loop, tuning a 7B model beside TRL, scoring.

    python benchmarks/on_gpu.py                # on a card of 80 GB: 8 minutes, nothing to download
    python benchmarks/on_gpu.py --minutes 12   # with the compiled tuning, which comes last
    python benchmarks/on_gpu.py --steps painting --minutes 4
    python benchmarks/on_gpu.py --tiny         # every step in small on the processor, in under a minute: does it run?
    python benchmarks/on_gpu.py --outline      # what is built at full size, and what memory it is expected to take

Models of full size are built from their public configurations with random weights on the device itself, since speed
does not depend on weights. Each step is a process of its own with a limit of time; one that fails or takes too long
costs its own rows. Rows are printed, and written to ``results.json`` and ``results.md`` in ``--output``, as soon as
they exist; ``STEP.log`` there has the rest.

It needs torch, transformers, diffusers, peft, accelerate, compel, numpy, Pillow, pydantic, pyarrow, pyyaml and
filelock, and this checkout, installed or not: no Dagster, DuckDB or Great Expectations. TRL (and datasets) are
measured where they are installed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import multiprocessing
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from gpu.measurement import Measurement, failed, report, table  # noqa: E402

from stablellava_assets.models.memory import allocator_environment  # noqa: E402

NEEDED = ("torch", "transformers", "accelerate", "numpy", "PIL", "pydantic", "yaml")
PACKAGES = {"PIL": "pillow", "yaml": "pyyaml"}
"""What is installed under another name than it is imported by."""
VERSIONS = ("torch", "transformers", "diffusers", "peft", "accelerate", "compel", "trl")
ROW = "ROW "
"""Begins a line of a step's output that is a row, as JSON."""
LEAST_SECONDS = 30
_OF_STEPS = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}
"""What their environment holds besides."""
_LIBRARIES = (
    "transformers.trainer",
    "transformers.models.llava.modeling_llava",
    "peft",
    "diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl",
    "compel",
)


class Step(NamedTuple):
    """A step, the most valuable first.

    Attributes:
        group: what its rows are called where it could not say.
        seconds: the most it may take.
        needs: modules beside those that all need.
        run: measures, and reports rows.
    """

    group: str
    seconds: int
    needs: tuple[str, ...]
    run: Callable[[bool, Callable[[Measurement], None]], None]


def _sdxl(tiny: bool, tell: Callable[[Measurement], None]) -> None:
    from gpu.painting import measure_sdxl

    measure_sdxl(tiny, tell)


def _flux(tiny: bool, tell: Callable[[Measurement], None]) -> None:
    from gpu.painting import measure_flux

    measure_flux(tiny, tell)


def _llava(contender: str, tiny: bool, tell: Callable[[Measurement], None]) -> None:
    from gpu.tuning_steps import measure_llava

    measure_llava(contender, tiny, tell)


def _qwen(tiny: bool, tell: Callable[[Measurement], None]) -> None:
    from gpu.tuning_steps import measure_qwen

    measure_qwen(tiny, tell)


def _scoring(tiny: bool, tell: Callable[[Measurement], None]) -> None:
    from gpu.scoring_step import measure

    measure(tiny, tell)


_PAINTER = ("diffusers", "compel", "pyarrow", "filelock")
STEPS = {
    "painting": Step("SDXL", 170, _PAINTER, _sdxl),
    "tuning": Step("tuning LLaVA-1.5-7B", 80, ("peft",), partial(_llava, "ours")),
    "tuning-original": Step("tuning LLaVA-1.5-7B", 80, ("peft",), partial(_llava, "original")),
    "tuning-trl": Step("tuning LLaVA-1.5-7B", 90, ("peft", "trl", "datasets"), partial(_llava, "trl")),
    "scoring": Step("scoring LLaVA-1.5-7B", 140, (), _scoring),
    "qwen": Step("tuning Qwen2.5-VL-7B", 70, ("peft",), _qwen),
    "flux": Step("FLUX", 130, _PAINTER, _flux),
    "tuning-compiled": Step("tuning LLaVA-1.5-7B", 200, ("peft",), partial(_llava, "compiled")),
}


def main() -> int:
    """Run the steps that are asked for; returns the exit status, 1 where a row of a step that ran is missing."""
    options = _options()
    if lacking := _lacking(NEEDED):
        print(f"missing: {' '.join(lacking)}; install them: pip install {' '.join(lacking)}", file=sys.stderr)
        return 2
    if options.outline:
        from gpu.outline import outline

        print(outline())
        return 0
    if options.child:
        STEPS[options.child].run(False, _print_row)
        return 0
    machine = _machine(options.tiny)
    if machine is None:
        print("torch finds no GPU here; --tiny runs every step in small on the processor", file=sys.stderr)
        return 2
    return _Run(options, machine).all()


def _print_row(row: Measurement) -> None:
    print(f"{ROW}{json.dumps(row.as_json())}", flush=True)


class _Run:
    """The steps, one after the other, and what they have told so far."""

    def __init__(self, options: argparse.Namespace, machine: dict[str, str]) -> None:
        self._options = options
        self._machine = machine
        self._output: Path = options.output
        self._rows: list[Measurement] = []
        self._incomplete = False
        self._telling = threading.Lock()
        self._ends = time.monotonic() + 60 * options.minutes

    def all(self) -> int:
        """Run every step, and print the table."""
        self._output.mkdir(parents=True, exist_ok=True)
        print("; ".join(f"{name} {value}" for name, value in self._machine.items()), flush=True)
        if self._options.tiny:  # Nobody reads the figures.
            with ThreadPoolExecutor(2) as lanes:
                try:
                    list(lanes.map(self._step, self._options.steps))
                except BaseException:
                    lanes.shutdown(cancel_futures=True)
                    raise
        else:
            for name in self._options.steps:
                self._step(name)
        print(f"\n{report(self._machine, self._rows)}\nwritten to {self._output}/results.md and results.json")
        return int(self._incomplete)

    def _step(self, name: str) -> None:
        step = STEPS[name]
        if lacking := _lacking(step.needs):
            self._tell(failed(step.group, name, f"left out: {' and '.join(lacking)} not installed"))
            return
        seconds = min(step.seconds, self._ends - time.monotonic())
        if seconds < min(LEAST_SECONDS, step.seconds):
            self._tell(
                failed(step.group, name, f"left out: the {self._options.minutes:g} minutes of --minutes were used up")
            )
            return
        command = [sys.executable, str(Path(__file__).resolve()), "--child", name]
        log = self._output / f"{name}.log"
        started = time.monotonic()
        begun = _forked(name, seconds) if self._options.tiny else _started(command, seconds)
        with log.open("w") as file, begun as lines:
            for line in lines:
                if line.startswith(ROW):
                    row = Measurement(**json.loads(line.removeprefix(ROW)))
                    self._incomplete |= row.figure is None
                    self._tell(row)
                else:
                    file.write(line)
        took = time.monotonic() - started
        if lines.status:
            said = _last_line(log)
            why = f"ended after its {seconds:.0f} s" if took >= seconds else f"failed: {said}"
            self._incomplete = True
            self._tell(failed(step.group, f"{name}, the rest", f"{why} ({log.name})"))
        print(f"{name}: {took:.0f} s", flush=True)

    def _tell(self, row: Measurement) -> None:
        with self._telling:
            self._rows.append(row)
            print(table([row]).splitlines()[-1], flush=True)
            # In small, steps run side by side and end in any order.
            order = [step.group for step in STEPS.values()]
            self._rows.sort(key=lambda each: next(at for at, name in enumerate(order) if each.group.startswith(name)))
            content = {"machine": self._machine, "rows": [each.as_json() for each in self._rows]}
            (self._output / "results.json").write_text(json.dumps(content, indent=1))
            (self._output / "results.md").write_text(report(self._machine, self._rows))


class _Lines:
    """A process' output, line by line, and its exit status once that ended."""

    def __init__(self, lines: Iterable[str], wait: Callable[[], int | None]) -> None:
        self._lines, self._wait = lines, wait
        self.status: int | None = None

    def __iter__(self) -> Iterator[str]:
        yield from self._lines
        self.status = self._wait()


@contextmanager
def _forked(name: str, seconds: float) -> Iterator[_Lines]:
    """A step in small, in a process forked from one that has imported the libraries:
    importing is most of what it takes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_LIBRARIES))
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_in_small, args=(name, {**os.environ, **_OF_STEPS}, writer))
    process.start()
    writer.close()

    def wait() -> int | None:
        process.join()
        return process.exitcode

    with reader, open(reader.fileno(), errors="replace", closefd=False) as lines, _ended_after(process, seconds, wait):
        yield _Lines(lines, wait)


def _in_small(name: str, environment: Mapping[str, str], output: Connection) -> None:
    os.setsid()
    os.environ.update(environment)
    for standard in (1, 2):
        os.dup2(output.fileno(), standard)
    output.close()
    # Beside another step, threads that wait for each other would take most of the time.
    import torch

    torch.set_num_threads(1)
    STEPS[name].run(True, _print_row)


@contextmanager
def _started(command: Sequence[str], seconds: float) -> Iterator[_Lines]:
    """A process, which is ended with all that it started when its time is up."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        env={**os.environ, **allocator_environment(os.environ), **_OF_STEPS},
    )
    assert process.stdout is not None
    with _ended_after(process, seconds, process.wait):
        yield _Lines(process.stdout, process.wait)


@contextmanager
def _ended_after(
    process: subprocess.Popen[str] | BaseProcess, seconds: float, wait: Callable[[], object]
) -> Iterator[None]:
    def end() -> None:
        assert process.pid is not None
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()  # It may have had no time yet for a group of its own.

    timer = threading.Timer(seconds, end)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        end()
        wait()


def _lacking(modules: Sequence[str]) -> list[str]:
    """The packages of ``modules`` that are not installed."""
    return [PACKAGES.get(name, name) for name in modules if importlib.util.find_spec(name) is None]


def _machine(tiny: bool) -> dict[str, str] | None:
    """What is measured on; None where there is no GPU and one is needed."""
    versions = {}
    for package in VERSIONS:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    found = {"Python": platform.python_version(), **versions}
    if tiny:
        return {
            "tiny models on the processor, whose figures only say that it runs:": f"{os.cpu_count()} cores",
            **found,
        }
    # In a process of its own: this one must hold no memory of the GPU.
    asked = "import torch; print(torch.cuda.is_available() and torch.cuda.get_device_name(), torch.version.cuda)"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=False)
    if told.returncode or told.stdout.startswith("False"):
        return None
    card, _, cuda = told.stdout.strip().rpartition(" ")
    return {"card": card, "driver": _driver(), "CUDA": cuda, **found}


def _driver() -> str:
    if shutil.which("nvidia-smi") is None:
        return "unknown"
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    told = subprocess.run(asked, capture_output=True, text=True, check=False)
    return next(iter(told.stdout.split()), "unknown")


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else "it said nothing"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--steps", nargs="+", choices=tuple(STEPS), default=list(STEPS), help="in this order; unset: all"
    )
    parser.add_argument("--minutes", type=float, default=8, help="steps that this leaves no time for are left out")
    parser.add_argument("--output", type=Path, default=Path("gpu_benchmark"), help="folder of the results and logs")
    parser.add_argument("--tiny", action="store_true", help="tiny models on the processor")
    parser.add_argument("--outline", action="store_true", help="sizes and expected memory, without a GPU")
    parser.add_argument("--child", choices=tuple(STEPS), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
