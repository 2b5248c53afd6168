"""Tuning a 7B model, a step for each contender, and Qwen2.5-VL with its large vocabulary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from gpu.measurement import Measurement
from gpu.shapes import built_on, llava_1_5, qwen2_5_vl
from gpu.tuning import Course, noise_rows, settings_of, train, train_with_trl

_NAMES = {
    "ours": "ours",
    "compiled": "ours, compiled",
    "original": "the original recipe's settings",
    "trl": "TRL's SFTTrainer",
}
_STEPS = 4
"""Optimizer steps, of which the first is left out; twice as many where the first half compiles."""


def measure_llava(contender: str, tiny: bool, report: Callable[[Measurement], None]) -> None:
    """LoRA of rank 128 on LLaVA-1.5-7B."""
    from stablellava_assets.tuning.pretrained.encoding import Encoder
    from stablellava_assets.tuning.pretrained.model import load_processor
    from stablellava_assets.tuning.pretrained.progress import peak_memory
    from stablellava_assets_tests.fakes.tuning_checkpoints import llava_processor

    batch, device = (4, "cpu") if tiny else (64, "cuda")
    with TemporaryDirectory() as name:
        folder = Path(name)
        llava_processor(56 if tiny else 336).save_pretrained(folder)
        (folder / "config.json").write_text('{"model_type": "llava"}')
        settings = settings_of(contender, name, batch, 16, device)
        processor = load_processor(settings)
        warm_up = _STEPS if contender == "compiled" else 1
        rows = noise_rows(folder, batch * (_STEPS - 1 + warm_up))
        model = _llava(tiny, device)
        if contender == "trl":
            course = train_with_trl(model, processor, rows, settings)
        else:
            encoder = Encoder(processor, settings.model.max_length)
            course = train(model, encoder, rows, [encoder.length(row) for row in rows], settings, warm_up)
    report(_row("tuning LLaVA-1.5-7B", _NAMES[contender], course, peak_memory(), contender, batch))


def measure_qwen(tiny: bool, report: Callable[[Measurement], None]) -> None:
    """LoRA of rank 128 on Qwen2.5-VL-7B, whose logits of all tokens would take gigabytes."""
    from stablellava_assets.tuning.pretrained.progress import peak_memory

    batch, device = (4, "cpu") if tiny else (64, "cuda")
    with built_on(device, torch.float32 if tiny else torch.bfloat16):
        model = qwen2_5_vl(tiny)
    settings = settings_of("ours", "Qwen2.5-VL-7B", batch, 16, device)
    with TemporaryDirectory() as name:
        rows = noise_rows(Path(name), batch * _STEPS)
    encoder = _QwenTokens(model.config)
    course = train(model, encoder, rows, [encoder.length(row) for row in rows], settings)
    report(_row("tuning Qwen2.5-VL-7B", "ours", course, peak_memory(), "qwen", batch))


def _llava(tiny: bool, device: str) -> Any:
    if not tiny:
        return llava_1_5(device, torch.bfloat16)
    from stablellava_assets_tests.fakes.tuning_checkpoints import tiny_llava

    return tiny_llava(56)


def _row(group: str, what: str, course: Course, memory: int, contender: str, batch: int) -> Measurement:
    is_peer = contender in ("original", "trl")
    remark = f"{course.micro_batch} rows at once, {batch} a step" + (", gradient checkpointing" if is_peer else "")
    return Measurement(
        group,
        what,
        course.rate,
        "samples/s",
        is_peer=is_peer,
        goal=1.2 if contender in ("ours", "compiled") else None,
        peak_memory=memory,
        remark=remark,
    )


class _QwenTokens:
    """What Qwen2.5-VL's processor makes of rows of one picture of 336 x 336 pixels, made up:
    the processor needs torchvision."""

    _GRID = (1, 24, 24)
    _PICTURE = 24 * 24 // 4
    """Tokens of a picture: four patches of 14 pixels become one."""
    _QUESTION = 12

    def __init__(self, config: Any) -> None:
        self._config = config

    def length(self, row: Any) -> int:
        return self._PICTURE + 2 + self._QUESTION + self._answer(row)

    def batch(self, rows: Sequence[Any]) -> dict[str, torch.Tensor]:
        longest = max(self.length(row) for row in rows)
        ids = torch.randint(2, 300, (len(rows), longest), generator=torch.Generator().manual_seed(0))
        labels = torch.full_like(ids, -100)
        attended = torch.zeros_like(ids)
        for number, row in enumerate(rows):
            length = self.length(row)
            labels[number, length - self._answer(row) : length] = ids[number, length - self._answer(row) : length]
            attended[number, :length] = 1
        config = self._config
        ids[:, 0], ids[:, self._PICTURE + 1] = config.vision_start_token_id, config.vision_end_token_id
        ids[:, 1 : self._PICTURE + 1] = config.image_token_id
        vision = config.vision_config
        pixels = 3 * vision.temporal_patch_size * vision.patch_size**2
        return {
            "input_ids": ids,
            "attention_mask": attended,
            "mm_token_type_ids": (ids == config.image_token_id).int(),
            "pixel_values": torch.randn(len(rows) * 24 * 24, pixels),
            "image_grid_thw": torch.tensor([self._GRID] * len(rows)),
            "labels": labels,
        }

    @staticmethod
    def _answer(row: Any) -> int:
        return len(row.conversations[1]["value"].split()) * 4 // 3
