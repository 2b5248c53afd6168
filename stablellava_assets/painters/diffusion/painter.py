"""The diffusion painter: any text-to-image checkpoint that diffusers loads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from stablellava_assets.painters.base import FinishedImages, FreePainter, nothing_finished
from stablellava_assets.painters.diffusion.batch_size import BatchSize
from stablellava_assets.painters.diffusion.checkpoint import Identity, checkpoint_identity, device_of, load_pipeline
from stablellava_assets.painters.diffusion.pipeline_runner import Job, PipelineRunner, Result
from stablellava_assets.painters.edits import Inputs, Original, first_of_groups, originals_first, row_without_original
from stablellava_assets.painters.image_rows import image_row
from stablellava_assets.painters.provenance import Provenance
from stablellava_assets.painters.settings import DiffusionPainterSettings
from stablellava_assets.painters.signing import signer_of
from stablellava_assets.tables.identity import content_key, derive_seed
from stablellava_assets.tables.pair_rows import ImageRow, PromptToPaint
from stablellava_assets.tables.rows import AnyPlanned, PlannedRow

_VERSION = 2
"""Part of every row key. Increase it when the same settings and seed would give different pixels."""
_EDIT_VERSION = 1
"""The same for edits."""
_NOT_IN_ROW_KEY = {
    *("batch_size", "compile", "offload", "device", "retries"),
    *("model", "revision", "variant", "edit_strength"),
}
"""Settings that are not part of every row's key; the checkpoint is included through its identity."""


class _Inputs(Inputs):
    """Inputs of an image. Rows with the same ``job_id`` share one image, which is labelled with ``prompt_id``."""

    job_id: str
    prompt_id: str


_Planned = PlannedRow[_Inputs]


def job_of(row: AnyPlanned) -> str:
    """The job that a planned row belongs to, and of an edit that of its original; rows of one job share an image."""
    job: str = row.inputs["original"].spec_id if "original" in row.inputs else row.inputs["job_id"]
    return job


class DiffusionPainter(FreePainter):
    """Makes images with a checkpoint, which is loaded when the first image is needed.

    Args:
        settings: the profile's.
        memory: file with the batch sizes that fit into memory.
        load: creates the pipeline.
    """

    name = "diffusion"

    def __init__(
        self,
        settings: DiffusionPainterSettings,
        memory: Path,
        load: Callable[[DiffusionPainterSettings], Any] = load_pipeline,
    ) -> None:
        self._settings = settings
        self._memory = memory
        self._load = load

    def plan(self, specs: Sequence[PromptToPaint]) -> list[_Planned]:
        """Plan one image per spec. A row's key covers prompts, seed, checkpoint and every
        setting that affects the image; that of an edit covers also its strength and the key of its original.

        Raises:
            PainterError: the checkpoint's folder does not exist.
        """
        first_of_prompt: dict[tuple[str, str], str] = {}
        for spec in specs:
            first_of_prompt.setdefault((spec["prompt"], self._negative(spec)), spec["spec_id"])
        firsts = first_of_groups(specs) if self._settings.edit_strength is not None else {}
        return [self._plan(spec, first_of_prompt, firsts.get(spec["spec_id"])) for spec in specs]

    def paint(self, planned: Sequence[_Planned], finished: FinishedImages = nothing_finished) -> Iterable[ImageRow]:
        """Make ``images`` rows, in batches; a prompt that the checkpoint cannot paint
        gives a failed row with the reason. Edits are made after their originals.

        Raises:
            PainterError: the checkpoint cannot be loaded or has no image-to-image pipeline, or memory does not hold a
                single image.
        """
        return originals_first(planned, finished, self._make, self._without_original)

    def _make(self, wanted: Sequence[tuple[_Planned, bytes]]) -> Iterator[ImageRow]:
        """The rows of images; with each its original's file, if it is an edit."""
        rows: dict[str, list[_Planned]] = {}
        originals = {row.inputs["job_id"]: original for row, original in wanted}
        for row, _ in wanted:
            rows.setdefault(row.inputs["job_id"], []).append(row)
        if not rows:
            return
        for result in self._runner.paint(self._job(sharing[0], originals[job]) for job, sharing in rows.items()):
            for row in rows[result.job.job_id]:
                yield self._row(row, result)

    def _without_original(self, row: _Planned, missing: ImageRow | None) -> ImageRow:
        return row_without_original(row, missing, painter=self.name, model=self._identity.label)

    @cached_property
    def _identity(self) -> Identity:
        return checkpoint_identity(self._settings)

    @cached_property
    def _runner(self) -> PipelineRunner:
        settings, device = self._settings, device_of(self._settings)
        # Problems with the signer's files must surface before the checkpoint is loaded, which takes minutes.
        signer = signer_of(settings.c2pa)
        batch = BatchSize(settings, self._identity.key, device, self._memory)
        return PipelineRunner(self._load(settings), settings, device, batch, signer)

    @cached_property
    def _settings_key(self) -> str:
        return content_key(
            _VERSION, self._identity.key, self._settings.model_dump(mode="json", exclude=_NOT_IN_ROW_KEY)
        )

    def _negative(self, spec: PromptToPaint) -> str:
        return ", ".join(text for text in (self._settings.negative_prompt, spec["negative_prompt"]) if text)

    def _plan(
        self,
        spec: PromptToPaint,
        first_of_prompt: Mapping[tuple[str, str], str],
        first_of_group: PromptToPaint | None = None,
    ) -> _Planned:
        prompt, negative = spec["prompt"], self._negative(spec)
        # A seed that came from the prompt would make an exact group differ in everything.
        if self._settings.repeated_prompts == "once" and spec.get("group_id") is None:
            shared = content_key("prompt", prompt, negative)
            seed, job_id, prompt_id = derive_seed(shared), shared, first_of_prompt[prompt, negative]
        else:
            seed, job_id, prompt_id = spec["seed"], spec["spec_id"], spec["spec_id"]
        image_id = content_key("image", spec["spec_id"], self.name)
        inputs: _Inputs = {
            "spec_id": spec["spec_id"],
            "ability": spec["ability"],
            "batch": spec["batch"],
            "prompt": prompt,
            "negative_prompt": negative,
            "seed": seed,
            "job_id": job_id,
            "prompt_id": prompt_id,
        }
        row_key = content_key("diffusion row", self._settings_key, job_id, prompt, negative, seed)
        if first_of_group is not None:
            edited = self._plan(first_of_group, first_of_prompt)
            inputs["original"] = Original(
                edited.row_id, edited.row_key, first_of_group["spec_id"], first_of_group["prompt"]
            )
            row_key = content_key(
                "diffusion edit", _EDIT_VERSION, row_key, edited.row_key, self._settings.edit_strength
            )
        return PlannedRow(image_id, row_key, inputs, content_key("diffusion tries", self._settings.retries))

    def _job(self, row: _Planned, original: bytes) -> Job:
        inputs = row.inputs
        settings = self._settings
        parameters = {
            "NegativePrompt": self._painted_against(row),
            "Steps": settings.steps,
            "Guidance": settings.guidance,
            "Scheduler": self._runner.scheduler,
            "Width": settings.width,
            "Height": settings.height,
        }
        if "original" in inputs:
            parameters |= {"EditOf": inputs["original"].row_id, "Strength": settings.edit_strength}
        provenance = Provenance(self._identity.label, inputs["prompt"], inputs["prompt_id"], parameters=parameters)
        return Job(inputs["job_id"], inputs["prompt"], inputs["negative_prompt"], inputs["seed"], provenance, original)

    def _row(self, row: _Planned, result: Result) -> ImageRow:
        return image_row(
            row,
            result.painted,
            painter=self.name,
            model=self._identity.label,
            seed=result.job.seed_now,
            steps=self._settings.steps,
            guidance=self._settings.guidance,
            scheduler=self._runner.scheduler,
            negative_prompt=self._painted_against(row),
            reason=result.reason,
            fault=result.fault,
        )

    def _painted_against(self, row: _Planned) -> str | None:
        return row.inputs["negative_prompt"] if self._runner.takes_negative_prompt else None
