"""How long 1, 8 and 64 machines take for a number of partitions, from measured times of steps. Usage::

    python benchmarks/simulated_cluster.py --batches 200

Runs are taken from one queue, a partition each; each has its steps in turn. A machine has one GPU. What machines share
is queued for: transactions of the ledger go one after the other, the object store has a bandwidth, the chat model so
many answers a second. A share of runs dies at a random moment with its machine, which is back after a while; what it
had not published is made again.
"""

from __future__ import annotations

import argparse
import heapq
import random
from dataclasses import dataclass

ABILITIES = 13


@dataclass
class Shared:
    """Something that serves one after the other: when it is free next, and how long it has worked, in seconds."""

    free_at: float = 0.0
    busy: float = 0.0

    def serve(self, now: float, seconds: float) -> float:
        """When work that asks at ``now`` is done."""
        self.free_at = max(self.free_at, now) + seconds
        self.busy += seconds
        return self.free_at


def simulate(machines: int, options: argparse.Namespace) -> tuple[float, dict[str, float]]:
    """Wall time in seconds, and the share of it for which each shared part was busy."""
    draw = random.Random(0)
    ledger, store, model = Shared(), Shared(), Shared()
    free = [(0.0, machine) for machine in range(machines)]
    heapq.heapify(free)
    waiting = ABILITIES * options.batches
    ended = 0.0
    prompts = options.rows
    requests = prompts * options.requests_per_row
    megabytes = prompts * options.picture_mb
    while waiting:
        began, machine = heapq.heappop(free)
        waiting -= 1
        now = began + options.start
        # The shares of shared parts are served in small pieces, so a run is slowed down and does not wait for others.
        now = max(now + requests * options.request / options.in_flight, model.serve(now, requests / options.answers))
        now = max(now, ledger.serve(began, 2 * requests * options.transaction))
        now += prompts / options.pictures_per_second
        # Written once, and read by dialogues (if the author sees pictures), filters and gallery.
        now = max(now + 4 * megabytes / options.machine_mb, store.serve(now, 4 * megabytes / options.store_mb))
        now += prompts * options.filters
        if draw.random() < options.dies:
            waiting += 1
            now = began + draw.random() * (now - began) + options.back
        heapq.heappush(free, (now, machine))
        ended = max(ended, now)
    return ended, {name: part.busy / ended for name, part in (("ledger", ledger), ("store", store), ("model", model))}


def main(options: argparse.Namespace) -> None:
    """Print a row per number of machines."""
    partitions = ABILITIES * options.batches
    print(f"{partitions:,} partitions of {options.rows:,} rows: {partitions * options.rows:,} pictures")
    print("| machines | days | times as fast | ledger busy | store busy | chat model busy |")
    print("|---:|---:|---:|---:|---:|---:|")
    alone = None
    for machines in options.machines:
        seconds, busy = simulate(machines, options)
        alone = alone or seconds
        shares = " | ".join(f"{busy[name]:.1%}" for name in ("ledger", "store", "model"))
        print(f"| {machines} | {seconds / 86400:.1f} | {alone / seconds:.1f} | {shares} |")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--start", type=float, default=25, help="seconds until a run works, imports included")
    parser.add_argument("--pictures-per-second", type=float, default=0.889, help="SDXL, 25 steps, on an H200")
    parser.add_argument("--picture-mb", type=float, default=1.6)
    parser.add_argument(
        "--requests-per-row", type=float, default=6.35, help="prompts by tens, 6.25 dialogues a picture"
    )
    parser.add_argument("--request", type=float, default=10, help="seconds of one request to the chat model")
    parser.add_argument("--in-flight", type=int, default=512, help="requests of one machine at a time")
    parser.add_argument(
        "--answers", type=float, default=400, help="requests a second that the chat model answers in all"
    )
    parser.add_argument(
        "--transaction", type=float, default=0.0027, help="seconds of one transaction (shared_ledger.py)"
    )
    parser.add_argument("--filters", type=float, default=0.05, help="seconds a row")
    parser.add_argument(
        "--machine-mb", type=float, default=100, help="megabytes a second between a machine and the store"
    )
    parser.add_argument("--store-mb", type=float, default=2000, help="megabytes a second of the store")
    parser.add_argument("--dies", type=float, default=0.01, help="share of runs whose machine dies")
    parser.add_argument("--back", type=float, default=300, help="seconds until a machine is back")
    return parser.parse_args()


if __name__ == "__main__":
    main(_options())
