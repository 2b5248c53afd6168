"""How long the embedded painter's worker processes take to start, and how fast they paint. Usage::

    python benchmarks/painting_pool.py --rounds 5

``start``: from the first order to the first picture of a new pool, with Dagster's command line as the main module, as
in a run. ``rate``: pictures a second of 144 pixels by the workers that are there, PNG and perceptual hash included.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1])]

from stablellava_assets.painters.embedded.painting import Order, PaintingPool  # noqa: E402
from stablellava_assets.painters.embedded.scene_plan import ScenePlan, SpriteLayer  # noqa: E402

_SCENE = ScenePlan(drawing=(SpriteLayer(("1f418.png",)),))


def main(options: argparse.Namespace) -> None:
    """Print both, of each round and their medians."""
    starts, rates = [], []
    orders = [Order(str(seed), _SCENE, seed, 144, "((elephant))") for seed in range(options.pictures)]
    for _ in range(options.rounds):
        pool = PaintingPool(options.workers)
        began = time.perf_counter()
        painting = pool.paint(orders)
        next(painting)
        starts.append(time.perf_counter() - began)
        sum(1 for _ in painting)
        began = time.perf_counter()
        count = sum(1 for _ in pool.paint(orders))
        rates.append(count / (time.perf_counter() - began))
        print(f"start {starts[-1]:.2f} s, {rates[-1]:.0f} pictures/s", flush=True)
    print(f"median: start {statistics.median(starts):.2f} s, {statistics.median(rates):.0f} pictures/s")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1500)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    import dagster  # noqa: F401  (As in a run; a worker must not load it.)

    main(_options())
