"""Pictures/s of the diffusion painter beside the paper's loop: one prompt at a time, unseeded, a file a picture."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from gpu.measurement import Measurement
from gpu.shapes import flux, sdxl

from stablellava_assets.abilities.catalog import load_catalog
from stablellava_assets.authors.embedded.author import EmbeddedAuthor
from stablellava_assets.painters.diffusion.checkpoint import denoiser_of, device_of, dtype_of, prepare
from stablellava_assets.painters.diffusion.painter import DiffusionPainter
from stablellava_assets.painters.settings import DiffusionPainterSettings
from stablellava_assets.pictures.encoding import encode_png

Report = Callable[[Measurement], None]
_PROMPT_CHARACTERS = 70
"""Of a prompt: the tokenizer makes a token of each, and the paper's loop would cut off what is beyond 77."""
_UNIT = "pictures/s"
_HALVING_GIB = 20
"""Memory that is left to batches of one step: with that of the largest cards, halving would take minutes."""


class Bench:
    """A pipeline with what it is asked to paint, by the loop and by the painter in turn.

    Args:
        pipeline: of random weights.
        settings: of the painter at the loop's own steps.
        folder: for what is painted.
    """

    def __init__(self, pipeline: Any, settings: DiffusionPainterSettings, folder: Path) -> None:
        self.pipeline = pipeline
        self.settings = settings
        self._folder = folder
        prepare(pipeline, settings, device_of(settings), "the pipeline")
        self._own_scheduler = pipeline.scheduler

    def loop(self, specs: Sequence[dict[str, Any]]) -> float:
        """Pictures/s of the paper's loop."""
        started = time.perf_counter()
        for number, spec in enumerate(specs):
            image = self.pipeline(
                **self._said(spec),
                num_inference_steps=self.settings.steps,
                guidance_scale=self.settings.guidance,
                width=self.settings.width,
                height=self.settings.height,
            ).images[0]
            image.save(self._folder / f"{number}.png")
        return len(specs) / (time.perf_counter() - started)

    def paint(self, specs: Sequence[dict[str, Any]], warm_up: int = 1, **changes: Any) -> tuple[float, str]:
        """Pictures/s of the painter with ``changes`` to its settings, ``warm_up`` pictures left out; and a remark."""
        settings = self.settings.model_copy(update=changes)
        self.pipeline.scheduler = self._own_scheduler
        prepare(self.pipeline, settings, device_of(settings), "the pipeline")
        batches: list[int] = []
        painter = DiffusionPainter(settings, self._folder / "batch_sizes.json", lambda _: self.pipeline)
        with _counted(self.pipeline, batches):
            if warm_up:
                list(painter.paint(painter.plan(specs[:warm_up])))
            batches.clear()
            started = time.perf_counter()
            rows = list(painter.paint(painter.plan(specs)))
            seconds = time.perf_counter() - started
        remark = f"batches of {', '.join(map(str, dict.fromkeys(batches)))}"
        if reasons := [str(row["reason"]) for row in rows if row["status"] != "made"]:
            remark += f"; {len(reasons)} of {len(rows)} pictures are no good: {reasons[0]}"
        return len(rows) / seconds, remark

    def _said(self, spec: dict[str, Any]) -> dict[str, str]:
        prompt = {"prompt": spec["prompt"].replace("(", "").replace(")", "")}
        return (
            prompt if hasattr(self.pipeline, "transformer") else {**prompt, "negative_prompt": spec["negative_prompt"]}
        )


def prompts(count: int) -> list[dict[str, Any]]:
    """Specs of the embedded author, of every ability in turn, cut to what the loop reads."""
    catalog, author = load_catalog(), EmbeddedAuthor()
    each = -(-count // len(catalog))
    specs = [
        spec
        for ability in catalog.values()
        for spec in author.write_prompts(author.plan_prompts(ability, "0001", each))
    ]
    cut = ("prompt", "negative_prompt")
    return [{**spec, **{name: spec[name][:_PROMPT_CHARACTERS] for name in cut}} for spec in specs[:count]]


def measure_sdxl(tiny: bool, report: Report) -> None:
    """Everything about SDXL, the most valuable first."""
    specs = prompts(12)
    some, few = specs[: 4 if tiny else 12], specs[: 2 if tiny else 4]
    with bench(sdxl, tiny, steps=4 if tiny else 50, guidance=5.0) as one:
        one.loop(few[:1])
        _measured(report, "the paper's loop", lambda: (one.loop(few), ""), is_peer=True)
        _measured(report, "the painter, equal settings", lambda: one.paint(some), goal=1.5)
        fast = {"steps": 2 if tiny else 25, "scheduler": "dpm++_2m_karras"}
        _measured(report, "the painter, recommended settings", lambda: one.paint(some, **fast), goal=5)
        report(_encoding(one.settings.width))
        if not tiny:  # What is compiled is what the warm-up paints, so that it has to be as many.
            started = time.perf_counter()
            compiled = {**fast, "compile": True}
            _measured(report, "... compiled", lambda: one.paint(some, len(some), **compiled), goal=5)
            both = time.perf_counter() - started
            report(Measurement("SDXL", "compiling, warm-up and painting", both, "s"))
            _uncompile(one.pipeline)
        many = prompts(8 if tiny else 64)
        with _memory_of(_HALVING_GIB << 30):
            halved = {"steps": 1, "batch_size": len(many)}
            _measured(
                report, "batches halved until memory holds one", lambda: one.paint(many, 0, **halved), "SDXL, one step"
            )


def measure_flux(tiny: bool, report: Report) -> None:
    """The loop and the painter with a FLUX at equal settings."""
    specs = prompts(4 if tiny else 6)
    with bench(flux, tiny, steps=2 if tiny else 28, guidance=3.5) as one:
        one.loop(specs[:1])
        _measured(report, "the loop", lambda: (one.loop(specs[:2]), ""), group="FLUX", is_peer=True)
        _measured(report, "the painter, equal settings", lambda: one.paint(specs[1:]), group="FLUX", goal=1.5)
        if not tiny:
            compiled = {"compile": True}
            _measured(report, "... compiled", lambda: one.paint(specs[1:], 5, **compiled), group="FLUX", goal=1.5)


@contextmanager
def bench(shape: Callable[..., Any], tiny: bool, **settings: Any) -> Iterator[Bench]:
    """A pipeline of a :mod:`gpu.shapes` function, full-size on the GPU or tiny on the processor."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model_index.json").write_text("{}")
        size = 64 if tiny else 1024
        asked = DiffusionPainterSettings(
            kind="diffusion",
            model=name,
            width=size,
            height=size,
            device="cpu" if tiny else "cuda",
            retries=0,
            min_spread=0,
            **settings,
        )
        device = device_of(asked)
        yield Bench(shape(tiny, device, dtype_of(asked, device)), asked, folder)


def _measured(
    report: Report, what: str, run: Callable[[], tuple[float, str]], group: str = "SDXL", **more: Any
) -> None:
    """Run once; what goes wrong costs its row."""
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    try:
        rate, remark = run()
    except Exception as error:
        report(Measurement(group, what, None, _UNIT, remark=f"{type(error).__name__}: {str(error)[:200]}", **more))
        return
    peak = torch.cuda.max_memory_allocated() if on_gpu else None
    report(Measurement(group, what, rate, _UNIT, peak_memory=peak, remark=remark, **more))


@contextmanager
def _counted(pipeline: Any, batches: list[int]) -> Iterator[None]:
    """Note how many pictures the pipeline is asked for at once, and was able to paint."""
    decode = pipeline.image_processor.postprocess

    def noting(image: Any, *rest: Any, **options: Any) -> Any:
        batches.append(len(image))
        return decode(image, *rest, **options)

    pipeline.image_processor.postprocess = noting
    try:
        yield
    finally:
        pipeline.image_processor.postprocess = decode


@contextmanager
def _memory_of(most: int) -> Iterator[None]:
    """No more than ``most`` bytes of the GPU's memory inside."""
    if not torch.cuda.is_available():
        yield
        return
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(min(1.0, most / torch.cuda.mem_get_info()[1]))
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def _uncompile(pipeline: Any) -> None:
    for module in denoiser_of(pipeline).modules():
        module._compiled_call_impl = None  # As torch.nn.Module.compile undoes itself.


def _encoding(size: int) -> Measurement:
    """Seconds of a picture's encoding on one core, of noise, which is the least that can be packed."""
    import numpy as np
    from PIL import Image

    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8))
    started = time.perf_counter()
    for _ in range(3):
        encode_png(picture)
    ours = (time.perf_counter() - started) / 3
    started = time.perf_counter()
    picture.save(io.BytesIO(), "PNG")
    remark = f"{size} pixels of noise, one core; Pillow's default {time.perf_counter() - started:.3f} s"
    return Measurement("SDXL", "encoding a picture to PNG", ours, "s", remark=remark)
