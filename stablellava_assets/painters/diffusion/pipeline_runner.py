"""Runs jobs through a pipeline in batches, each image with its own generator, while finished images are encoded."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from stablellava_assets.models.memory import is_out_of_memory
from stablellava_assets.painters.base import PainterError
from stablellava_assets.painters.diffusion.batch_size import BatchSize
from stablellava_assets.painters.diffusion.pipeline_call import (
    call_arguments,
    editing_arguments,
    editing_pipeline,
    takes_negative_prompt,
)
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
from stablellava_assets.pictures.decoding import upright
from stablellava_assets.tables.schemas import OF_ROW, OF_SETTING

if TYPE_CHECKING:
    import numpy as np
    import torch

_SEEDS = 2**63


@dataclass(frozen=True)
class Job:
    """An image to make. ``seed`` is that of the first attempt; each further attempt uses the next one.

    ``original`` is the file of the image that it is an edit of, empty if it is none.
    """

    job_id: str
    prompt: str
    negative_prompt: str
    seed: int
    provenance: Provenance
    original: bytes = b""
    tries: int = 0

    @property
    def seed_now(self) -> int:
        """The seed of this attempt."""
        return (self.seed + self.tries) % _SEEDS


class Result(NamedTuple):
    """A job with its image, or with the reason why there is none and the ``fault``."""

    job: Job
    painted: Painted | None
    reason: str | None
    fault: str | None = None


class _Prepared(NamedTuple):
    job: Job
    conditioning: Conditioning


class _CheckedPicture(NamedTuple):
    job: Job
    pixels: np.ndarray[Any, np.dtype[np.uint8]] | None
    reason: str | None
    fault: str = OF_SETTING
    """The cause of an unusable image; further attempts (``painter.retries``) may succeed."""


class PipelineRunner:
    """Runs a pipeline.

    Prompts of different encoded length are never batched together: the shorter one would need padding, and an image
    would depend on the others in its batch.

    ``scheduler`` is the class name of the sampler in diffusers, with its name in the profile if it has one.
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
        """Yield the result of every job as it finishes; either all jobs are edits, or none is.

        Raises:
            PainterError: memory does not hold a single image.
        """
        queue = _Queue(jobs, self._encoder)
        encoders = min(4, os.cpu_count() or 1)
        # All inference runs on one thread, because torch has thread-local state; encoders release
        # the GIL while they compress.
        with ThreadPoolExecutor(1, "paint") as painting_thread, ThreadPoolExecutor(encoders, "encode") as encoding:
            under_way = painting_thread.submit(self._next, queue)
            while (shown := under_way.result()) is not None:
                under_way = painting_thread.submit(self._next, queue)
                finishing = [encoding.submit(_finished, picture, self._signer) for picture in shown]
                for result in finishing:
                    yield result.result()

    def _next(self, queue: _Queue) -> list[_CheckedPicture] | None:
        """Run a batch; None if no jobs are left. Unusable images go back into the queue."""
        batch = queue.take(self._batch.limit)
        if not batch:
            refused = queue.take_refused()
            return refused or None
        shown = self._run_batch(batch)
        if shown is None:
            # Memory of the failed call is free only here: its exception held every tensor.
            self._batch.on_out_of_memory(len(batch))
            queue.put_back(batch)
            return queue.take_refused()
        good = [picture for picture in shown if picture.reason is None or picture.job.tries >= self._settings.retries]
        again = [picture.job for picture in shown if not any(picture is kept for kept in good)]
        queue.add([replace(job, tries=job.tries + 1) for job in again])
        return good + queue.take_refused()

    def _run_batch(self, batch: list[_Prepared]) -> list[_CheckedPicture] | None:
        """The images of a batch; None if memory does not hold that many."""
        try:
            with self._batch.measured():
                return self._look(batch)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            return None

    def _look(self, batch: list[_Prepared]) -> list[_CheckedPicture]:
        import torch

        originals = [upright(prepared.job.original) for prepared in batch if prepared.job.original]
        pipeline, arguments = self._editing if originals else (self._pipeline, self._arguments)
        output = pipeline(
            **stacked([prepared.conditioning for prepared in batch]),
            **({"image": originals} if originals else {}),
            # On the CPU, where a seed gives the same noise on every machine.
            generator=[torch.Generator("cpu").manual_seed(prepared.job.seed_now) for prepared in batch],
            **arguments,
        )
        flags = getattr(output, "nsfw_content_detected", None) or [False] * len(batch)
        return [
            self._check(prepared.job, image, flagged)
            for prepared, image, flagged in zip(batch, output.images, flags, strict=True)
        ]

    @cached_property
    def _editing(self) -> tuple[Any, dict[str, Any]]:
        """The pipeline of edits, which shares the parts of the other, and its arguments."""
        strength = self._settings.edit_strength
        assert strength is not None, "edits are planned only with a strength"
        pipeline = editing_pipeline(self._pipeline)
        return pipeline, editing_arguments(pipeline, self._arguments, strength)

    def _check(self, job: Job, image: torch.Tensor, flagged: bool) -> _CheckedPicture:
        """An image (channels, height, width; 0 to 1) as bytes, or what is wrong with it."""
        import torch

        if flagged:
            return _CheckedPicture(job, None, "the checkpoint's safety checker blanked the picture")
        image = image.float()
        if not bool(torch.isfinite(image).all()):
            return _CheckedPicture(job, None, "the picture holds NaN: try painter.dtype float32 or bfloat16")
        if reason := uniform(255 * float(image.mean(dim=0).std()), self._settings.min_spread):
            return _CheckedPicture(job, None, reason)
        return _CheckedPicture(job, (image * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy(), None)


class _Queue:
    """Pending jobs, encoded on demand and grouped by signature."""

    def __init__(self, jobs: Iterable[Job], encoder: PromptEncoder) -> None:
        self._new = iter(jobs)
        self._again: deque[Job] = deque()
        self._encoder = encoder
        self._alike: dict[tuple[Any, ...], deque[_Prepared]] = {}
        self._refused: list[_CheckedPicture] = []

    def add(self, jobs: Iterable[Job]) -> None:
        self._again.extend(jobs)

    def put_back(self, batch: list[_Prepared]) -> None:
        self._alike.setdefault(signature_of(batch[0].conditioning), deque()).extendleft(reversed(batch))

    def take(self, count: int) -> list[_Prepared]:
        """``count`` jobs that can be batched, fewer at the end; none if no jobs are left."""
        while True:
            full = next((group for group in self._alike.values() if len(group) >= count), None)
            job = None if full else self._again.popleft() if self._again else next(self._new, None)
            if job is not None:
                self._prepare(job)
                continue
            group = full or next((group for group in self._alike.values() if group), None) or deque()
            return [group.popleft() for _ in range(min(count, len(group)))]

    def take_refused(self) -> list[_CheckedPicture]:
        """Jobs whose prompt cannot be encoded, with the reason."""
        refused, self._refused = self._refused, []
        return refused

    def _prepare(self, job: Job) -> None:
        try:
            conditioning = self._encoder.encode(job.prompt, job.negative_prompt)
        except PromptTooLongError as error:
            self._refused.append(_CheckedPicture(job, None, str(error), OF_ROW))
            return
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise PainterError(
                "memory ran out while a prompt was encoded, before any picture: set painter.offload, or painter.dtype "
                "to bfloat16"
            ) from error
        self._alike.setdefault(signature_of(conditioning), deque()).append(_Prepared(job, conditioning))


def _finished(shown: _CheckedPicture, signer: PictureSigner | None) -> Result:
    if shown.pixels is None:
        tries = f", in {shown.job.tries + 1} tries" if shown.job.tries else ""
        return Result(shown.job, None, f"{shown.reason}{tries}", shown.fault)
    from PIL import Image

    parameters = {**shown.job.provenance.parameters, "Seed": shown.job.seed_now}
    provenance = replace(shown.job.provenance, parameters=parameters)
    return Result(shown.job, finish(Image.fromarray(shown.pixels), provenance, signer), None)
