"""A process that publishes a large partition over and over, for tests that end it: ``python -m ... URL TABLE_SIZE``."""

from __future__ import annotations

import sys

from stablellava_assets.tables.store import ParquetStore
from stablellava_assets_tests.tables.big_rows import BIG, big_rows


def main(url: str) -> None:
    store = ParquetStore(url)
    print("ready", flush=True)
    number = 1
    while True:
        store.publish(BIG, ("animal", "0001"), big_rows(number))
        print(number, flush=True)
        number += 1


if __name__ == "__main__":
    main(sys.argv[1])
