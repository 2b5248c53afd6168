"""Saving and loading a 7B checkpoint, and answers/s of the base and of the tuned model in turn."""

from __future__ import annotations

import gc
import io
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import yaml
from gpu.measurement import Measurement
from gpu.shapes import llava_1_5

import stablellava_assets
from stablellava_assets.evaluation.answers.generation import ImageQuestion, answers_of
from stablellava_assets.models.checkpoints import load_checkpoint, save_checkpoint
from stablellava_assets_tests.fakes.tuning_checkpoints import llava_processor, tiny_llava

_GROUP = "scoring LLaVA-1.5-7B"
_PROFILE = Path(stablellava_assets.__file__).parent / "profiles/cluster.yaml"


def measure(tiny: bool, report: Callable[[Measurement], None]) -> None:
    """Save, load, and ask, at the batch size of the profile ``cluster``."""
    import numpy as np
    from PIL import Image

    batch = yaml.safe_load(_PROFILE.read_text())["benchmark"]["answer_batch_size"]
    picture = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (336, 336, 3), dtype=np.uint8)
    Image.fromarray(noise).save(picture, "PNG")
    questions = [
        ImageQuestion(picture.getvalue(), f"Which of the {number} things is it?") for number in range(6 * batch)
    ]
    with TemporaryDirectory(dir=os.environ.get("STABLELLAVA_BENCHMARK_FOLDER")) as name:
        base, tuned = Path(name) / "base", Path(name) / "tuned"
        model = tiny_llava(56) if tiny else llava_1_5("cuda", torch.bfloat16)
        started = time.perf_counter()
        save_checkpoint(model, llava_processor(56 if tiny else 336), base)
        size = sum(path.stat().st_size for path in base.iterdir())
        del model
        report(Measurement(_GROUP, "saving a checkpoint", time.perf_counter() - started, "s", remark=f"{size:,} bytes"))
        _free()
        started = time.perf_counter()
        load_checkpoint(base)
        report(Measurement(_GROUP, "loading it", time.perf_counter() - started, "s", remark="just written, so cached"))
        _free()
        shutil.copytree(base, tuned, copy_function=os.link)
        for folder in (base, tuned):
            report(_asked(folder, questions, batch, 8 if tiny else 64))


def _asked(folder: Path, questions: list[ImageQuestion], batch: int, max_new_tokens: int) -> Measurement:
    """Answers/s without the first batch, before which the model is loaded."""
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    ends = [time.perf_counter() for _ in answers_of(folder, questions, batch, max_new_tokens, print)]
    rate = (len(questions) - batch) / (ends[-1] - ends[batch - 1])
    _free()
    return Measurement(
        _GROUP,
        f"answers of the {folder.name} model",
        rate,
        "answers/s",
        peak_memory=torch.cuda.max_memory_allocated() if on_gpu else None,
        remark=f"{batch} questions at once, answers of up to {max_new_tokens} tokens",
    )


def _free() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
