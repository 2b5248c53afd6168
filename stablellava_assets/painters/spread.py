"""One partition painted by several workers: a process per GPU of this machine, or actors on a Ray cluster.

Rows are planned here and painted there by the same painter, so the images are those of one process: with the same bytes
if images are painted one by one and with as many threads, and otherwise to the rounding of sums and of batches.
"""

from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, Literal, NamedTuple, Protocol

from stablellava_assets.painters.base import FinishedImages, Painter, PainterError, nothing_finished
from stablellava_assets.painters.edits import originals_elsewhere
from stablellava_assets.painters.processes import end_with_parent, without_main_module
from stablellava_assets.tables.pair_rows import ImageRow, PromptToPaint
from stablellava_assets.tables.rows import AnyPlanned

Workers = int | Literal["auto", "ray"]
MakePainter = Callable[[], Painter]


class Chunk(NamedTuple):
    """Rows for one worker, and the files of images made before that some of them edit, by the id of their row."""

    rows: Sequence[AnyPlanned]
    originals: Mapping[str, bytes]


_CHUNKS_PER_WORKER = 4
_MOST_ROWS = 64
"""Rows of a chunk. Those of a finished one are in memory, and a killed worker loses no more than one."""
_GPUS = "CUDA_VISIBLE_DEVICES"


class SpreadPainter:
    """A painter whose images several workers make.

    Args:
        painter: plans the rows, and paints them where there is only one worker.
        make: makes the painter of a worker; it is sent there.
        workers: number of processes, ``auto`` for one per GPU of this machine, ``ray`` for one per GPU of the cluster.
        job_of: rows that share an image, and edits and their original, have the same job, and go to one worker.
    """

    def __init__(
        self, painter: Painter, make: MakePainter, workers: Workers, job_of: Callable[[AnyPlanned], Hashable]
    ) -> None:
        self.name, self.is_slow = painter.name, painter.is_slow
        self._painter = painter
        self._make = make
        self._wanted = workers
        self._job_of = job_of
        self._crew: _Crew | None = None

    def plan(self, specs: Sequence[PromptToPaint]) -> list[AnyPlanned]:
        """See :class:`Painter`."""
        return self._painter.plan(specs)

    def forecast(self, planned: Sequence[AnyPlanned]) -> Any:
        """See :class:`Painter`."""
        return self._painter.forecast(planned)

    def paint(self, planned: Sequence[AnyPlanned], finished: FinishedImages = nothing_finished) -> Iterable[ImageRow]:
        """Make ``images`` rows, in the order in which workers finish them.

        Raises:
            PainterError: as the painter does; or there is no cluster, or a worker died.
        """
        if self._wanted == "ray":
            self._crew = self._crew or _RayActors(self._make)
        elif (count := _gpus() if self._wanted == "auto" else self._wanted) > 1:
            self._crew = self._crew or _Processes(self._make, count)
        if self._crew is None:
            return self._painter.paint(planned, finished)
        return self._crew.paint(_chunks(planned, finished, self._job_of, self._crew.size))


class _Crew(Protocol):
    size: int

    def paint(self, chunks: Iterator[Chunk]) -> Iterator[ImageRow]: ...


def _chunks(
    planned: Sequence[AnyPlanned], finished: FinishedImages, job_of: Callable[[AnyPlanned], Hashable], workers: int
) -> Iterator[Chunk]:
    jobs: dict[Hashable, list[AnyPlanned]] = {}
    for row in planned:
        jobs.setdefault(job_of(row), []).append(row)
    size = min(max(math.ceil(len(jobs) / (_CHUNKS_PER_WORKER * workers)), 1), _MOST_ROWS)
    waiting = iter(jobs.values())
    while together := list(islice(waiting, size)):
        rows = [row for rows in together for row in rows]
        yield Chunk(rows, dict(finished(originals_elsewhere(rows))))


def _gpus() -> int:
    import torch

    return torch.cuda.device_count()


class _Processes:
    """Processes of this machine. Each sees one GPU, if there are any, and loads the model once."""

    def __init__(self, make: MakePainter, size: int) -> None:
        self.size = size
        spawn = multiprocessing.get_context("spawn")
        devices = _visible_devices()
        self._idle = [
            ProcessPoolExecutor(1, spawn, initializer=_begin, initargs=(make, devices[number % len(devices)]))
            for number in range(size)
        ]

    def paint(self, chunks: Iterator[Chunk]) -> Iterator[ImageRow]:
        busy: dict[Future[list[ImageRow]], ProcessPoolExecutor] = {}
        try:
            while True:
                while self._idle and (chunk := next(chunks, None)) is not None:
                    worker = self._idle.pop()
                    with without_main_module():
                        busy[worker.submit(_paint, chunk)] = worker
                if not busy:
                    return
                for finished in wait(busy, return_when=FIRST_COMPLETED).done:
                    self._idle.append(busy.pop(finished))
                    yield from finished.result()
        except BrokenProcessPool as error:
            raise PainterError(
                "a painting worker process died (out of memory, or killed); finished pictures are kept: run again, or "
                "set painter.workers to a smaller number"
            ) from error
        finally:
            # What nobody waits for any more is finished all the same, and the next partition waits for it.
            self._idle += busy.values()


def _visible_devices() -> list[str]:
    """The GPUs that this process may use, as its workers are told; without GPUs, nothing to tell."""
    named = os.environ.get(_GPUS)
    if named is not None:
        return named.split(",")
    return [str(number) for number in range(_gpus())] or [""]


_painter: Painter | None = None


def _begin(make: MakePainter, device: str) -> None:
    global _painter
    end_with_parent()
    os.environ[_GPUS] = device
    _painter = make()


def _paint(chunk: Chunk) -> list[ImageRow]:
    assert _painter is not None
    return _painted(_painter, chunk)


def _painted(painter: Painter, chunk: Chunk) -> list[ImageRow]:
    def finished(wanted: Collection[tuple[str, str]]) -> Iterator[tuple[str, bytes]]:
        return ((row_id, chunk.originals[row_id]) for row_id, _ in wanted if row_id in chunk.originals)

    return list(painter.paint(chunk.rows, finished))


class _RayActors:
    """Actors of the Ray cluster, one per GPU; without GPUs one per node. Ray starts a lost one again elsewhere."""

    def __init__(self, make: MakePainter) -> None:
        try:
            import ray
        except ImportError:
            raise PainterError(
                "painter.workers: ray needs further packages; `pip install 'stablellava-assets[ray]'`"
            ) from None
        if not ray.is_initialized():
            try:
                ray.init(address="auto", log_to_driver=False, logging_level="warning")
            except (ConnectionError, RuntimeError) as error:
                reason = " ".join(str(error).split())
                raise PainterError(
                    f"painter.workers: no Ray cluster can be joined ({reason}); start one with `ray start --head`, or "
                    "set RAY_ADDRESS"
                ) from None
        self._ray = ray
        gpus = int(ray.cluster_resources().get("GPU", 0))
        self.size = gpus or sum(node["Alive"] for node in ray.nodes())
        needs = {"num_gpus": 1} if gpus else {"num_cpus": 1, "scheduling_strategy": "SPREAD"}
        actor = ray.remote(_Actor).options(max_restarts=-1, max_task_retries=-1, **needs)
        self._idle = [actor.remote(make) for _ in range(self.size)]

    def paint(self, chunks: Iterator[Chunk]) -> Iterator[ImageRow]:
        busy: dict[Any, Any] = {}
        try:
            while True:
                while self._idle and (chunk := next(chunks, None)) is not None:
                    worker = self._idle.pop()
                    busy[worker.paint.remote(chunk)] = worker
                if not busy:
                    return
                (finished,), _ = self._ray.wait(list(busy), num_returns=1)
                self._idle.append(busy.pop(finished))
                yield from self._result(finished)
        finally:
            self._idle += busy.values()

    def _result(self, finished: Any) -> list[ImageRow]:
        try:
            rows: list[ImageRow] = self._ray.get(finished)
        except self._ray.exceptions.RayTaskError as error:
            # Its own message holds the stack trace of the worker.
            raise error.cause from None
        except self._ray.exceptions.RayActorError as error:
            raise PainterError(
                "a painting actor cannot be started any more; finished pictures are kept: see to the cluster "
                "(`ray status`) and run again"
            ) from error
        return rows


class _Actor:
    def __init__(self, make: MakePainter) -> None:
        self._painter = make()

    def paint(self, chunk: Chunk) -> list[ImageRow]:
        return _painted(self._painter, chunk)
