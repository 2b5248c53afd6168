"""How fast prompts become pictures on the processor: the paper's loop (one prompt at a time,
unseeded) beside the diffusion painter.

Both run in turn, several times, in one process, with one tiny pipeline of random weights, since speed does not depend
on them; what counts is their ratio. ``on_gpu.py`` measures a pipeline of SDXL's size on a GPU. Usage::

    python benchmarks/painting_throughput.py

``equal``: the same steps, size and dtype. ``recommended``: half the steps with DPM++ 2M Karras (of the paper's
50 the 25 of docs/painters.md). ``repeated``: equal, and every prompt four times, painted once (the paper's
released prompts repeat as often).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1])]  # The parts of the tests are not installed.

import torch  # noqa: E402
from gpu.painting import bench, prompts  # noqa: E402
from gpu.shapes import sdxl  # noqa: E402

_REPEATS = 4


def main(options: argparse.Namespace) -> None:
    """Print the rate of each, the median of the rounds, and the ratios."""
    specs = prompts(options.pictures)
    repeated = [{**spec, "spec_id": f"{spec['spec_id']} {copy}"} for spec in specs for copy in range(_REPEATS)]
    fast = {"steps": -(-options.steps // 2), "scheduler": "dpm++_2m_karras"}
    settings = {"steps": options.steps, "batch_size": options.batch_size}
    with bench(sdxl, True, **settings, guidance=5.0) as one:
        runs: dict[str, Callable[[], float]] = {
            "paper": lambda: one.loop(specs),
            "equal": lambda: one.paint(specs, 0)[0],
            "repeated": lambda: one.paint(repeated, 0, repeated_prompts="once")[0],
            "recommended": lambda: one.paint(specs, 0, **fast)[0],
        }
        rates: dict[str, list[float]] = {name: [] for name in runs}
        work: dict[str, list[float]] = {name: [] for name in runs}
        for number in range(options.rounds + 1):
            print("warm-up" if number == 0 else f"round {number}")
            for name, run in runs.items():
                worked = time.process_time()
                rate = run()
                # Processor seconds a picture, which other work on the machine changes less.
                each = (time.process_time() - worked) / (len(repeated) if name == "repeated" else len(specs))
                print(f"  {name:<12} {rate:8.3f} pictures/s", flush=True)
                if number:
                    rates[name].append(rate)
                    work[name].append(each)
    print(f"{torch.get_num_threads()} threads, {options.steps} steps, {options.pictures} pictures")
    paper, paper_work = statistics.median(rates["paper"]), statistics.median(work["paper"])
    for name, values in rates.items():
        rate, each = statistics.median(values), statistics.median(work[name])
        print(
            f"{name:<12} {rate:8.3f} pictures/s, {rate / paper:5.2f} times the loop; "
            f"{each:.3f} processor seconds a picture, {each / paper_work:.2f} of the loop's"
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--steps", type=int, default=50, help="the paper's; the recommended settings take half")
    parser.add_argument("--batch-size", type=int, help="unset: 4")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


if __name__ == "__main__":
    main(_options())
