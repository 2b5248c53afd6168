"""Samples/s and peak memory of tuning a LLaVA with random weights: our settings, TRL's and the original recipe's.

    python benchmarks/llava_tuning.py                      # tiny, anywhere
    python benchmarks/llava_tuning.py --size 135m --batch 8 --micro-batch 8  # on SmolLM2-135M's shape: what two cores can do
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

sys.path.insert(0, str(Path(__file__).parents[1]))  # The parts of the tests are not installed.

if TYPE_CHECKING:
    from stablellava_assets.tuning.pretrained.encoding import Encoder
    from stablellava_assets.tuning.pretrained.rows import TuningRow
    from stablellava_assets.tuning.pretrained.settings import PretrainedTuningSettings

CONTENDERS = ("ours", "original", "trl")
SIDES = {"tiny": 56, "135m": 84, "7b": 336}
"""Pixels of a picture's side; a patch has 14."""
TOWERS = {
    "135m": {"hidden_size": 192, "intermediate_size": 768, "num_hidden_layers": 12, "num_attention_heads": 3},
    "7b": {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16},
}
"""The vision towers: DeiT-tiny's shape, and that of CLIP ViT-L."""
LANGUAGE_MODELS = {
    "135m": {
        "hidden_size": 576,
        "intermediate_size": 1536,
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "head_dim": 64,
        "vocab_size": 49_152,
        "tie_word_embeddings": True,
    },
    "7b": {
        "hidden_size": 4096,
        "intermediate_size": 11_008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "head_dim": 128,
        "vocab_size": 32_064,
        "max_position_embeddings": 4096,
    },
}
"""The language models: SmolLM2-135M's shape, and Vicuna-7B's."""
WORDS = ("red", "blue", "tree", "house", "a", "the", "stands", "near", "it", "is", "old", "small")


def main() -> None:
    """Print a row a contender."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=tuple(SIDES), default="tiny")
    parser.add_argument("--batch", type=int, default=None, help="effective batch; 16 where tiny, else 128")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--micro-batch", type=int, default=16, help="ours: rows at once")
    parser.add_argument("--rank", type=int, default=128)
    parser.add_argument("--method", choices=("lora", "full"), default="lora")
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--words", type=int, nargs=2, default=(30, 120), help="least and most words of an answer")
    parser.add_argument("--contender", choices=CONTENDERS, help="used by the benchmark itself")
    parser.add_argument("--folder", type=Path, help="used by the benchmark itself")
    options = parser.parse_args()
    options.batch = options.batch or (16 if options.size == "tiny" else 128)
    if options.contender:
        print(json.dumps(measure(options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), options)
        print(
            "| settings | tokens a row | samples/s | ours is faster by | peak memory, GiB |\n|---|---:|---:|---:|---:|"
        )
        ours = None
        for contender in CONTENDERS:
            command = [sys.executable, __file__, *sys.argv[1:], "--contender", contender, "--folder", folder]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"| {contender} | failed: {done.stderr.strip().splitlines()[-1]} | | | |")
                continue
            found = json.loads(done.stdout.strip().splitlines()[-1])
            memory = found["memory"] / (1 << 30)
            ours = ours or found["rate"]
            factor = ours / found["rate"]
            print(
                f"| {contender} | {found['tokens']:.0f} | {found['rate']:.2f} | {factor:.2f} | {memory:.2f} |",
                flush=True,
            )


def make(folder: Path, options: argparse.Namespace) -> None:
    """A checkpoint and the rows of one step more than are measured."""
    import numpy as np
    import torch
    from PIL import Image
    from transformers import AutoConfig, LlavaForConditionalGeneration

    from stablellava_assets.tuning.pretrained.rows import MIX, TuningRow, write_rows
    from stablellava_assets_tests.tuning.pretrained.checkpoints import save_llava

    save_llava(folder / "model", side=SIDES[options.size])
    if options.size != "tiny":
        config = AutoConfig.from_pretrained(folder / "model")
        for part, shape in ((config.vision_config, TOWERS), (config.text_config, LANGUAGE_MODELS)):
            for name, value in shape[options.size].items():
                setattr(part, name, value)
        config.tie_word_embeddings = LANGUAGE_MODELS[options.size].get("tie_word_embeddings", False)
        torch.set_default_dtype(torch.bfloat16)
        LlavaForConditionalGeneration(config).save_pretrained(folder / "model")
        torch.set_default_dtype(torch.float32)
    random = np.random.default_rng(0)
    rows = []
    for number in range(options.batch * (options.steps + 1)):
        path = folder / f"{number % 64}.png"
        if not path.exists():
            Image.fromarray(random.integers(0, 256, (336, 336, 3), dtype=np.uint8)).save(path)
        answer = " ".join(random.choice(WORDS, random.integers(*options.words)))
        turns = ({"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": answer})
        rows.append(TuningRow(str(number), MIX, "", (str(path),), turns))
    write_rows(folder / "rows.jsonl", rows)


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Mean tokens a row; the rate without the first step, in rows a second; bytes."""
    import torch

    from stablellava_assets.tuning.pretrained.encoding import Encoder
    from stablellava_assets.tuning.pretrained.model import load_processor
    from stablellava_assets.tuning.pretrained.progress import peak_memory
    from stablellava_assets.tuning.pretrained.rows import read_rows
    from stablellava_assets.tuning.pretrained.settings import PretrainedTuningSettings

    micro = {"ours": options.micro_batch, "original": 16, "trl": 8}[options.contender]
    settings = PretrainedTuningSettings.model_validate(
        {
            "model": {
                "kind": "pretrained",
                "model": str(options.folder / "model"),
                "method": options.method,
                "dtype": options.dtype,
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
    encoder = Encoder(load_processor(settings), settings.model.max_length)
    rows = read_rows(options.folder / "rows.jsonl")
    lengths = [encoder.length(row) for row in rows]
    ticks: list[float] = []
    if options.contender == "trl":
        _with_trl(rows, settings, ticks)
    else:
        _with_us(rows, lengths, encoder, settings, ticks)
    rate = options.batch * (len(ticks) - 1) / (ticks[-1] - ticks[0])
    return {"tokens": sum(lengths) / len(lengths), "rate": rate, "memory": peak_memory()}


def _with_us(
    rows: list[TuningRow],
    lengths: list[int],
    encoder: Encoder,
    settings: PretrainedTuningSettings,
    ticks: list[float],
) -> None:
    from stablellava_assets.tuning.pretrained.jobs import JobFolder
    from stablellava_assets.tuning.pretrained.model import device_of, load_model
    from stablellava_assets.tuning.pretrained.parts import trainable
    from stablellava_assets.tuning.pretrained.phases import Phase, train_phase

    device = device_of(settings)
    model = trainable(load_model(settings, device), settings, settings.stage, aligning=False)
    with tempfile.TemporaryDirectory() as job:
        phase = Phase("instruction", settings.stage, rows, lengths)
        _tick_every_step(ticks)
        train_phase(model, encoder, phase, settings, JobFolder(Path(job)), device, lambda line: None)


def _with_trl(rows: list[TuningRow], settings: PretrainedTuningSettings, ticks: list[float]) -> None:
    import torch
    from datasets import Dataset, Image
    from trl import SFTConfig, SFTTrainer

    from stablellava_assets.tuning.pretrained.model import device_of, dtype_of, load_model, load_processor
    from stablellava_assets.tuning.pretrained.parts import trainable
    from stablellava_assets.tuning.pretrained.rows import messages_of

    device = device_of(settings)
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
            bf16=dtype_of(settings, device) is torch.bfloat16,
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
