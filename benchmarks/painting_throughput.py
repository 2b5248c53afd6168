"""How fast prompts become pictures: the paper's loop (one prompt at a time, unseeded) beside the diffusion painter.

Both run in turn, several times, in one process, with one pipeline of random weights, since speed does not depend on them; what
counts is their ratio. Usage::

    python benchmarks/painting_throughput.py                     # a tiny pipeline on the processor
    python benchmarks/painting_throughput.py --sdxl --pictures 64  # the size of SDXL base, on a GPU

``equal``: the same steps, size and dtype. ``recommended``: half the steps with DPM++ 2M Karras (of the paper's 50 the 25 of docs/painters.md), with
``--compile`` compiled.
``repeated``: equal, and every prompt four times, painted once (the paper's released prompts repeat as often).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from stablellava_assets.abilities.catalog import load_catalog
from stablellava_assets.authors.embedded import EmbeddedAuthor
from stablellava_assets.painters.diffusion.checkpoint import denoiser_of, set_scheduler
from stablellava_assets.painters.diffusion.painter import DiffusionPainter
from stablellava_assets.painters.settings import DiffusionPainterSettings
from stablellava_assets.tables.rows import Row

sys.path.insert(0, str(Path(__file__).parents[1]))  # The parts of the tests are not installed.

_REPEATS = 4
_PROMPT_CHARACTERS = 70
"""Of a prompt: the tokenizer makes a token of each, and the paper's loop would cut off what is beyond 77."""


def sdxl_sized(dtype: torch.dtype) -> Any:
    """A pipeline with the public configuration of stabilityai/stable-diffusion-xl-base-1.0, on the GPU."""
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    from stablellava_assets_tests.painters.tiny_sdxl import tokenizer

    tokens = tokenizer()
    words = {
        "vocab_size": 49408,
        "bos_token_id": tokens.bos_token_id,
        "eos_token_id": tokens.eos_token_id,
        "pad_token_id": tokens.pad_token_id,
    }
    small = CLIPTextConfig(
        hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, **words
    )
    large = CLIPTextConfig(
        hidden_size=1280,
        intermediate_size=5120,
        num_hidden_layers=32,
        num_attention_heads=20,
        projection_dim=1280,
        hidden_act="gelu",
        **words,
    )
    with torch.device("cuda"):
        unet = UNet2DConditionModel(
            sample_size=128,
            block_out_channels=(320, 640, 1280),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            attention_head_dim=(5, 10, 20),
            transformer_layers_per_block=(1, 2, 10),
            cross_attention_dim=2048,
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=2816,
        ).to(dtype)
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            latent_channels=4,
            sample_size=1024,
            scaling_factor=0.13025,
            force_upcast=dtype == torch.float16,
        ).to(dtype)
        encoders = CLIPTextModel(small).to(dtype), CLIPTextModelWithProjection(large).to(dtype)
    pipeline = StableDiffusionXLPipeline(
        vae=vae,
        unet=unet,
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            timestep_spacing="leading",
            steps_offset=1,
        ),
        text_encoder=encoders[0],
        text_encoder_2=encoders[1],
        tokenizer=tokens,
        tokenizer_2=tokenizer(),
        add_watermarker=False,
    )
    pipeline.vae.enable_slicing()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to("cuda")


def prompts(count: int) -> list[Row]:
    """Specs of the embedded author, of every ability in turn."""
    catalog, author = load_catalog(), EmbeddedAuthor()
    each = -(-count // len(catalog))
    specs = [
        spec
        for ability in catalog.values()
        for spec in author.write_prompts(author.plan_prompts(ability, "0001", each))
    ]
    return [{**spec, "prompt": spec["prompt"][:_PROMPT_CHARACTERS]} for spec in specs[:count]]


def paper_loop(pipeline: Any, specs: Sequence[Row], settings: DiffusionPainterSettings, folder: Path) -> int:
    """As the paper's script does: a prompt, a picture, a file, and the next."""
    for number, spec in enumerate(specs):
        image = pipeline(
            spec["prompt"].replace("(", "").replace(")", ""),
            negative_prompt=spec["negative_prompt"][:_PROMPT_CHARACTERS],
            num_inference_steps=settings.steps,
            guidance_scale=settings.guidance,
            width=settings.width,
            height=settings.height,
        ).images[0]
        image.save(folder / f"{number}.png")
    return len(specs)


def measured(name: str, run: Callable[[], int], rates: dict[str, list[float]], work: dict[str, list[float]]) -> None:
    """Run once and keep pictures a second, and processor seconds a picture, which other work on the machine changes less."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    started, worked = time.perf_counter(), time.process_time()
    painted = run()
    rates.setdefault(name, []).append(painted / (time.perf_counter() - started))
    work.setdefault(name, []).append((time.process_time() - worked) / painted)
    memory = f", peak {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if torch.cuda.is_available() else ""
    print(f"  {name:<12} {rates[name][-1]:8.3f} pictures/s, {painted} pictures{memory}", flush=True)


def main(options: argparse.Namespace) -> None:
    """Print the rate of each, the median of the rounds, and the ratios."""
    from stablellava_assets_tests.painters.tiny_sdxl import assemble_sdxl

    dtype = torch.bfloat16 if options.sdxl else torch.float32
    size = options.size or (1024 if options.sdxl else 64)
    specs = [
        {**spec, "negative_prompt": spec["negative_prompt"][:_PROMPT_CHARACTERS]} for spec in prompts(options.pictures)
    ]
    pipeline = sdxl_sized(dtype) if options.sdxl else assemble_sdxl()
    pipeline.set_progress_bar_config(disable=True)
    own_scheduler = pipeline.scheduler
    device = "cuda" if options.sdxl else "cpu"
    rates: dict[str, list[float]] = {}
    work: dict[str, list[float]] = {}
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model_index.json").write_text("{}")
        equal = DiffusionPainterSettings(
            kind="diffusion",
            model=name,
            width=size,
            height=size,
            steps=options.steps,
            device=device,
            batch_size=options.batch_size,
            retries=0,
            min_spread=0,
        )
        fast = equal.model_copy(update={"steps": -(-options.steps // 2), "scheduler": "dpm++_2m_karras"})
        once = equal.model_copy(update={"repeated_prompts": "once"})
        painters = {
            key: DiffusionPainter(settings, folder / "batch_sizes.json", lambda _: pipeline)
            for key, settings in (("equal", equal), ("recommended", fast), ("repeated", once))
        }
        repeated = [{**spec, "spec_id": f"{spec['spec_id']} {copy}"} for spec in specs for copy in range(_REPEATS)]

        def ours(key: str, given: Sequence[Row]) -> int:
            painter = painters[key]
            rows = list(painter.paint(painter.plan(given)))
            if failed := [row["reason"] for row in rows if row["status"] != "made"]:
                print(f"  {key}: {len(failed)} failed, the first: {failed[0]}")
            return len(rows)

        for number in range(options.rounds + 1):
            print("warm-up" if number == 0 else f"round {number}")
            kept: tuple[dict[str, list[float]], ...] = (rates, work) if number else ({}, {})
            pipeline.scheduler = own_scheduler
            measured("paper", lambda: paper_loop(pipeline, specs, equal, folder), *kept)
            measured("equal", lambda: ours("equal", specs), *kept)
            measured("repeated", lambda: ours("repeated", repeated), *kept)
            set_scheduler(pipeline, fast, "this pipeline")
            if options.sdxl and options.compile:
                denoiser_of(pipeline).compile()
            measured("recommended", lambda: ours("recommended", specs), *kept)
            if options.sdxl and options.compile:
                denoiser_of(pipeline)._compiled_call_impl = None  # As torch.nn.Module.compile undoes itself.
    where = torch.cuda.get_device_name() if options.sdxl else f"{torch.get_num_threads()} threads"
    print(f"{where}, {size} px, {options.steps} steps, {options.pictures} pictures, {dtype}")
    paper, paper_work = statistics.median(rates["paper"]), statistics.median(work["paper"])
    for name, values in rates.items():
        rate, each = statistics.median(values), statistics.median(work[name])
        print(
            f"{name:<12} {rate:8.3f} pictures/s, {rate / paper:5.2f} times the loop; "
            f"{each:.3f} processor seconds a picture, {each / paper_work:.2f} of the loop's"
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sdxl", action="store_true", help="a pipeline of SDXL's size, on a GPU")
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--steps", type=int, default=50, help="the paper's; the recommended settings take half")
    parser.add_argument("--size", type=int, help="pixels; 1024 with --sdxl, else 64")
    parser.add_argument("--batch-size", type=int, help="unset: what fits into the GPU's memory, 4 without a GPU")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="compile the denoiser for the recommended settings")
    return parser.parse_args()


if __name__ == "__main__":
    main(_options())
