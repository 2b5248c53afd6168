"""Samples/s and peak memory of tuning a LLaVA with random weights on the processor: our settings,
TRL's and the original recipe's.

    python benchmarks/llava_tuning.py                      # tiny
    python benchmarks/llava_tuning.py --size 135m --batch 8 --micro-batch 8  # on
    SmolLM2-135M's shape: what two cores can do

``on_gpu.py`` measures LLaVA-1.5-7B's shape on a GPU. Each contender (``gpu/tuning.py`` tells what they are)
runs in a process of its own, LoRA of one rank over the same layers, at the same effective batch, on the same
rows: noise of 336 x 336 pixels and answers of 30 to 120 words. The first step of each is left out of the rate.
`trl` needs `pip install trl`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1])]  # The parts of the tests are not installed.

from gpu.tuning import CONTENDERS, noise_rows, settings_of, train, train_with_trl  # noqa: E402

SIDES = {"tiny": 56, "135m": 84}
"""Pixels of a picture's side; a patch has 14."""
TOWER = {"hidden_size": 192, "intermediate_size": 768, "num_hidden_layers": 12, "num_attention_heads": 3}
"""DeiT-tiny's shape."""
LANGUAGE_MODEL = {
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "head_dim": 64,
    "vocab_size": 49_152,
    "tie_word_embeddings": True,
}
"""SmolLM2-135M's shape."""


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
    """A checkpoint."""
    import torch
    from transformers import AutoConfig, LlavaForConditionalGeneration

    from stablellava_assets_tests.fakes.tuning_checkpoints import save_llava

    save_llava(folder / "model", side=SIDES[options.size])
    if options.size != "tiny":
        config = AutoConfig.from_pretrained(folder / "model")
        shapes: tuple[tuple[Any, dict[str, Any]], ...] = (
            (config.vision_config, TOWER),
            (config.text_config, LANGUAGE_MODEL),
        )
        for part, shape in shapes:
            for name, value in shape.items():
                setattr(part, name, value)
        config.tie_word_embeddings = True
        torch.set_default_dtype(torch.bfloat16)
        LlavaForConditionalGeneration(config).save_pretrained(folder / "model")
        torch.set_default_dtype(torch.float32)


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Mean tokens a row; the rate without the first step, in rows a second; bytes."""
    from stablellava_assets.tuning.pretrained.encoding import Encoder
    from stablellava_assets.tuning.pretrained.model import load_model, load_processor
    from stablellava_assets.tuning.pretrained.progress import peak_memory

    settings = settings_of(
        options.contender,
        str(options.folder / "model"),
        options.batch,
        options.micro_batch,
        "cpu",
        method=options.method,
        dtype=options.dtype,
        lora={"rank": options.rank, "alpha": 2 * options.rank},
    )
    processor = load_processor(settings)
    encoder = Encoder(processor, settings.model.max_length)
    rows = noise_rows(options.folder, options.batch * (options.steps + 1), options.words)
    lengths = [encoder.length(row) for row in rows]
    model = load_model(settings, "cpu")
    if options.contender == "trl":
        course = train_with_trl(model, processor, rows, settings)
    else:
        course = train(model, encoder, rows, lengths, settings)
    return {"tokens": sum(lengths) / len(lengths), "rate": course.rate, "memory": peak_memory()}


if __name__ == "__main__":
    main()
