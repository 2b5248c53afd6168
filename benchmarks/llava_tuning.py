"""Samples/s and peak memory of tuning a LLaVA with random weights: our settings, TRL's and the original recipe's.

    python benchmarks/llava_tuning.py                      # tiny, anywhere
    python benchmarks/llava_tuning.py --size 7b --steps 6  # LLaVA-1.5-7B's shape, on a GPU of 80 GB

Each contender runs in a process of its own, LoRA of one rank over the same layers, at the same effective batch, on the same rows:
noise of 336 x 336 pixels and answers of 30 to 120 words. `trl` is SFTTrainer with what its VLM example sets (8 rows at once,
gradient checkpointing); it needs `pip install trl`. `original` is LLaVA-1.5's finetune_lora.sh (16 rows at once, gradient
checkpointing) run by our code. The first step of each is left out of the rate.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stablellava_assets.tuning.pretrained.settings import PretrainedTuningSettings

CONTENDERS = ("ours", "original", "trl")
WORDS = ("red", "blue", "tree", "house", "a", "the", "stands", "near", "it", "is", "old", "small")


def main() -> None:
    """Print a row a contender."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("tiny", "7b"), default="tiny")
    parser.add_argument("--batch", type=int, default=None, help="effective batch; 16 where tiny, else 128")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--micro-batch", type=int, default=16, help="ours: rows at once")
    parser.add_argument("--rank", type=int, default=128)
    parser.add_argument("--contender", choices=CONTENDERS, help="used by the benchmark itself")
    parser.add_argument("--folder", type=Path, help="used by the benchmark itself")
    options = parser.parse_args()
    options.batch = options.batch or (16 if options.size == "tiny" else 128)
    if options.contender:
        print(json.dumps(measure(options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), options)
        print("| settings | samples/s | peak memory, GiB |\n|---|---:|---:|")
        for contender in CONTENDERS:
            command = [sys.executable, __file__, *sys.argv[1:], "--contender", contender, "--folder", folder]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"| {contender} | failed: {done.stderr.strip().splitlines()[-1]} | |")
                continue
            found = json.loads(done.stdout.strip().splitlines()[-1])
            print(f"| {contender} | {found['rate']:.2f} | {found['memory'] / (1 << 30):.2f} |")


def make(folder: Path, options: argparse.Namespace) -> None:
    """A checkpoint and the rows of one step more than are measured."""
    import numpy as np
    import torch
    from PIL import Image
    from transformers import AutoConfig, LlavaForConditionalGeneration

    from stablellava_assets.tuning.pretrained.rows import MIX, TuningRow, write_rows
    from stablellava_assets_tests.tuning.pretrained.checkpoints import save_llava

    save_llava(folder / "model", side=336 if options.size == "7b" else 56)
    if options.size == "7b":
        config = AutoConfig.from_pretrained(folder / "model")
        for name, value in {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24}.items():
            setattr(config.vision_config, name, value)
        config.vision_config.num_attention_heads = 16
        for name, value in {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32}.items():
            setattr(config.text_config, name, value)
        config.text_config.num_attention_heads = config.text_config.num_key_value_heads = 32
        config.text_config.head_dim = 128
        config.text_config.vocab_size, config.text_config.max_position_embeddings = 32064, 4096
        torch.set_default_dtype(torch.bfloat16)
        LlavaForConditionalGeneration(config).save_pretrained(folder / "model")
        torch.set_default_dtype(torch.float32)
    random = np.random.default_rng(0)
    rows = []
    for number in range(options.batch * (options.steps + 1)):
        path = folder / f"{number % 64}.png"
        if not path.exists():
            Image.fromarray(random.integers(0, 256, (336, 336, 3), dtype=np.uint8)).save(path)
        answer = " ".join(random.choice(WORDS, random.integers(30, 120)))
        turns = ({"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": answer})
        rows.append(TuningRow(str(number), MIX, "", (str(path),), turns))
    write_rows(folder / "rows.jsonl", rows)


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Rate without the first step, in rows a second, and bytes."""
    import torch

    from stablellava_assets.tuning.pretrained.progress import peak_memory
    from stablellava_assets.tuning.pretrained.settings import PretrainedTuningSettings

    micro = {"ours": options.micro_batch, "original": 16, "trl": 8}[options.contender]
    settings = PretrainedTuningSettings.model_validate(
        {
            "model": {
                "kind": "pretrained",
                "model": str(options.folder / "model"),
                "lora": {"rank": options.rank, "alpha": 2 * options.rank},
            },
            "stage": {"batch_size": options.batch, "epochs": 1},
            "machine": {
                "micro_batch": micro,
                "workers": 4 if torch.cuda.is_available() else 0,
                "gradient_checkpointing": options.contender != "ours",
                "save_every": 1_000_000,
            },
        }
    )
    ticks: list[float] = []
    (_with_trl if options.contender == "trl" else _with_us)(options.folder, settings, ticks)
    return {"rate": options.batch * (len(ticks) - 1) / (ticks[-1] - ticks[0]), "memory": peak_memory()}


def _with_us(folder: Path, settings: PretrainedTuningSettings, ticks: list[float]) -> None:
    from stablellava_assets.tuning.pretrained.encoding import Encoder
    from stablellava_assets.tuning.pretrained.jobs import JobFolder
    from stablellava_assets.tuning.pretrained.model import device_of, load_model, load_processor, trainable
    from stablellava_assets.tuning.pretrained.phases import Phase, train_phase
    from stablellava_assets.tuning.pretrained.rows import read_rows

    device = device_of(settings)
    encoder = Encoder(load_processor(settings), settings.model.max_length)
    rows = read_rows(folder / "rows.jsonl")
    lengths = [encoder.length(row) for row in rows]
    model = trainable(load_model(settings, device), settings, settings.stage, aligning=False)
    with tempfile.TemporaryDirectory() as job:
        phase = Phase("instruction", settings.stage, rows, lengths)
        _tick_every_step(ticks)
        train_phase(model, encoder, phase, settings, JobFolder(Path(job)), device, lambda line: None)


def _with_trl(folder: Path, settings: PretrainedTuningSettings, ticks: list[float]) -> None:
    from datasets import Dataset, Image
    from trl import SFTConfig, SFTTrainer

    from stablellava_assets.tuning.pretrained.model import device_of, load_model, load_processor, trainable
    from stablellava_assets.tuning.pretrained.rows import messages_of, read_rows

    device = device_of(settings)
    rows = read_rows(folder / "rows.jsonl")
    data = Dataset.from_dict(
        {"images": [list(row.images) for row in rows], "messages": [messages_of(row) for row in rows]}
    ).cast_column("images", [Image()])
    model = trainable(load_model(settings, device), settings, settings.stage, aligning=False)
    with tempfile.TemporaryDirectory() as out:
        arguments = SFTConfig(
            output_dir=out,
            per_device_train_batch_size=settings.machine.micro_batch,
            gradient_accumulation_steps=settings.stage.batch_size // settings.machine.micro_batch,
            max_steps=len(rows) // settings.stage.batch_size,
            max_length=None,
            gradient_checkpointing=True,
            bf16=device == "cuda",
            use_cpu=device == "cpu",
            dataloader_num_workers=settings.machine.workers,
            report_to="none",
            save_strategy="no",
        )
        _tick_every_step(ticks)
        SFTTrainer(model=model, args=arguments, train_dataset=data, processing_class=load_processor(settings)).train()


def _tick_every_step(ticks: list[float]) -> None:
    """Note when each optimizer step of any Trainer ends."""
    from transformers import trainer_callback

    handler: Any = trainer_callback.CallbackHandler
    original = handler.on_step_end

    def on_step_end(self: Any, *rest: Any) -> Any:
        ticks.append(time.monotonic())
        return original(self, *rest)

    handler.on_step_end = on_step_end


if __name__ == "__main__":
    main()
