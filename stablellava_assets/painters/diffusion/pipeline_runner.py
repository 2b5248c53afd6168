"""Paint jobs in batches, each picture from a generator of its own; encode finished pictures while the next are painted."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from stablellava_assets.models.memory import is_out_of_memory
from stablellava_assets.painters.base import PainterError
from stablellava_assets.painters.diffusion.batch_size import BatchSize
from stablellava_assets.painters.diffusion.pipeline_call import call_arguments, takes_negative_prompt
from stablellava_assets.painters.diffusion.prompt_encoding import (
    Conditioning,
    PromptEncoder,
    PromptTooLongError,
    signature_of,
    stacked,
)
from stablellava_assets.painters.image_rows import Painted, finish
from stablellava_assets.painters.picture_faults import uniform
from stablellava_assets.painters.provenance import Provenance
from stablellava_assets.painters.settings import DiffusionPainterSettings
from stablellava_assets.painters.signing import PictureSigner
from stablellava_assets.tables.schemas import OF_ROW, OF_SETTING

if TYPE_CHECKING:
    import numpy as np
    import torch

_SEEDS = 2**63


@dataclass(frozen=True)
class Job:
    """A picture to paint. ``seed`` is that of the first try; each further one takes the next."""

    job_id: str
    prompt: str
    negative_prompt: str
    seed: int
    provenance: Provenance
    tries: int = 0

    @property
    def seed_now(self) -> int:
        """The seed of this try."""
        return (self.seed + self.tries) % _SEEDS


class Result(NamedTuple):
    """A job with its picture, or with the reason why there is none and whose ``fault`` that is."""

    job: Job
    painted: Painted | None
    reason: str | None
    fault: str | None = None


class _Prepared(NamedTuple):
    job: Job
    conditioning: Conditioning


class _Shown(NamedTuple):
    job: Job
    pixels: np.ndarray[Any, np.dtype[np.uint8]] | None
    reason: str | None
    fault: str = OF_SETTING
    """Of a picture that is no good: more tries (``painter.retries``) may paint one."""


class PipelineRunner:
    """A pipeline at work.

    Prompts of different encoded length are never painted together: the shorter would have to be padded, and a picture would
    depend on its neighbours.

    ``scheduler`` is what diffusers calls the sampler, with the profile's name for it if that has one.
    """

    def __init__(
        self,
        pipeline: Any,
        settings: DiffusionPainterSettings,
        device: str,
        batch: BatchSize,
        signer: PictureSigner | None,
    ) -> None:
        self._pipeline = pipeline
        self._settings = settings
        self._encoder = PromptEncoder(pipeline, settings, device)
        self._arguments = call_arguments(pipeline, settings)
        self.takes_negative_prompt = takes_negative_prompt(pipeline, settings)
        named = f" ({settings.scheduler})" if settings.scheduler else ""
        self.scheduler = f"{type(pipeline.scheduler).__name__}{named}"
        self._batch = batch
        self._signer = signer

    def paint(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """Every job's result, once, in the order in which they finish.

        Raises:
            PainterError: memory does not hold a single picture.
        """
        queue = _Queue(jobs, self._encoder)
        encoders = min(4, os.cpu_count() or 1)
        # One thread for all painting, since torch keeps state a thread; the encoders leave Python while they compress.
        with ThreadPoolExecutor(1, "paint") as easel, ThreadPoolExecutor(encoders, "encode") as encoding:
            under_way = easel.submit(self._next, queue)
            while (shown := under_way.result()) is not None:
                under_way = easel.submit(self._next, queue)
                finishing = [encoding.submit(_finished, picture, self._signer) for picture in shown]
                for result in finishing:
                    yield result.result()

    def _next(self, queue: _Queue) -> list[_Shown] | None:
        """Paint a batch; None when there is nothing left. A picture that is no good goes back into the queue."""
        batch = queue.take(self._batch.limit)
        if not batch:
            refused = queue.take_refused()
            return refused or None
        shown = self._painted(batch)
        if shown is None:
            # Only here is the memory of the call that failed free: its error held every tensor in it.
            self._batch.ran_out(len(batch))
            queue.put_back(batch)
            return queue.take_refused()
        good = [picture for picture in shown if picture.reason is None or picture.job.tries >= self._settings.retries]
        again = [picture.job for picture in shown if not any(picture is kept for kept in good)]
        queue.add([replace(job, tries=job.tries + 1) for job in again])
        return good + queue.take_refused()

    def _painted(self, batch: list[_Prepared]) -> list[_Shown] | None:
        """The pictures of a batch; None where memory does not hold so many."""
        try:
            with self._batch.measured():
                return self._look(batch)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return None

    def _look(self, batch: list[_Prepared]) -> list[_Shown]:
        import torch

        output = self._pipeline(
            **stacked([prepared.conditioning for prepared in batch]),
            # On the processor, where every machine draws the same noise from a seed.
            generator=[torch.Generator("cpu").manual_seed(prepared.job.seed_now) for prepared in batch],
            **self._arguments,
        )
        flags = getattr(output, "nsfw_content_detected", None) or [False] * len(batch)
        return [
            self._judge(prepared.job, image, flagged)
            for prepared, image, flagged in zip(batch, output.images, flags, strict=True)
        ]

    def _judge(self, job: Job, image: torch.Tensor, flagged: bool) -> _Shown:
        """A picture (channels, height, width; 0 to 1) as bytes, or what is wrong with it."""
        import torch

        if flagged:
            return _Shown(job, None, "the checkpoint's safety checker blanked the picture")
        image = image.float()
        if not bool(torch.isfinite(image).all()):
            return _Shown(job, None, "the picture holds NaN: try painter.dtype float32 or bfloat16")
        if reason := uniform(255 * float(image.mean(dim=0).std()), self._settings.min_spread):
            return _Shown(job, None, reason)
        return _Shown(job, (image * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy(), None)


class _Queue:
    """Jobs that are yet to be painted, encoded as they are needed and put together with their like."""

    def __init__(self, jobs: Iterable[Job], encoder: PromptEncoder) -> None:
        self._new = iter(jobs)
        self._again: deque[Job] = deque()
        self._encoder = encoder
        self._alike: dict[tuple[Any, ...], deque[_Prepared]] = {}
        self._refused: list[_Shown] = []

    def add(self, jobs: Iterable[Job]) -> None:
        self._again.extend(jobs)

    def put_back(self, batch: list[_Prepared]) -> None:
        self._alike.setdefault(signature_of(batch[0].conditioning), deque()).extendleft(reversed(batch))

    def take(self, count: int) -> list[_Prepared]:
        """``count`` jobs that can be painted together, fewer of them at the end; none when nothing is left."""
        while True:
            full = next((group for group in self._alike.values() if len(group) >= count), None)
            job = None if full else self._again.popleft() if self._again else next(self._new, None)
            if job is not None:
                self._prepare(job)
                continue
            group = full or next((group for group in self._alike.values() if group), None) or deque()
            return [group.popleft() for _ in range(min(count, len(group)))]

    def take_refused(self) -> list[_Shown]:
        """Jobs whose prompt cannot be encoded, with the reason."""
        refused, self._refused = self._refused, []
        return refused

    def _prepare(self, job: Job) -> None:
        try:
            conditioning = self._encoder.encode(job.prompt, job.negative_prompt)
        except PromptTooLongError as error:
            self._refused.append(_Shown(job, None, str(error), OF_ROW))
            return
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise PainterError(
                "memory ran out while a prompt was encoded, before any picture: set painter.offload, or painter.dtype to bfloat16"
            ) from error
        self._alike.setdefault(signature_of(conditioning), deque()).append(_Prepared(job, conditioning))


def _finished(shown: _Shown, signer: PictureSigner | None) -> Result:
    if shown.pixels is None:
        tries = f", in {shown.job.tries + 1} tries" if shown.job.tries else ""
        return Result(shown.job, None, f"{shown.reason}{tries}", shown.fault)
    from PIL import Image

    parameters = {**shown.job.provenance.parameters, "Seed": shown.job.seed_now}
    provenance = replace(shown.job.provenance, parameters=parameters)
    return Result(shown.job, finish(Image.fromarray(shown.pixels), provenance, signer), None)
