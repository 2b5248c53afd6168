"""Times text deduplication as it grows, beside Data-Juicer on the same rows: exact first, then
MinHash at a Jaccard index of 0.9.

Synthetic prompts with planted repeats (``duplicate_peers/prompts.py``). Ours goes through them in batches of 10,000,
each compared with the index on disk of all before, as the pipeline does; Data-Juicer takes all at once with two
processes. Time is the whole call, from reading the file to the ids of the kept rows, without the imports before it;
memory is the largest sum over a run's processes of what each holds (proportional set size). Data-Juicer's environment
is made in the folder given, once, from PyPI (1 GB)::

    python benchmarks/duplicates_at_scale.py FOLDER [--sizes 10000 100000 1000000] [--peer-up-to 100000]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from math import log
from pathlib import Path
from typing import NamedTuple

from duplicate_peers.prompts import rows

SCRIPTS = Path(__file__).parent / "duplicate_peers"
# aiohttp and scipy: Data-Juicer imports both and declares neither.
PEER = ("Data-Juicer 1.6.1", "juicer.py", ["py-data-juicer==1.6.1", "aiohttp", "scipy"])
OURS = ("stablellava-assets", "ours.py")
_SECONDS_BETWEEN_LOOKS = 0.25
_MEBIBYTE_IN_KIB = 1024


class Run(NamedTuple):
    """Wall seconds, processor seconds, MiB at the peak, how many rows of each kind were
    kept, and what else was printed."""

    seconds: float
    processor: float
    peak: float
    kept: dict[str, int]
    further: str


def python_of(folder: Path, packages: list[str]) -> Path:
    """The interpreter of an environment with these packages, made if it is not there."""
    home = folder / packages[0].partition("=")[0]
    python = home / "bin/python"
    if not (home / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", *packages], check=True)
        (home / "ready").touch()
    return python


def prompts(folder: Path, size: int) -> tuple[Path, list[str]]:
    """A JSON Lines file of ``size`` rows, and what was planted in each."""
    path, planted = folder / f"prompts-{size}.jsonl", []
    with path.open("w") as file:
        for number, row in enumerate(rows(size)):
            planted.append(row.planted)
            file.write(json.dumps({"id": str(number), "text": row.prompt, "subject": row.subject}) + "\n")
    return path, planted


def measure(python: Path | str, script: str, source: Path, planted: list[str], scratch: Path) -> Run:
    """One run in a process of its own, from an empty cache."""
    kept_ids = scratch / "kept.txt"
    # No id may come from an earlier run.
    kept_ids.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_CACHE": str(scratch / f"cache-{time.time_ns()}"),
        "PYTHONPATH": str(SCRIPTS.parent.parent),
    }
    with (scratch / f"{script}.log").open("w+") as log_file:
        process = subprocess.Popen(
            [python, SCRIPTS / script, source, kept_ids], stdout=log_file, stderr=subprocess.STDOUT, env=environment
        )
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, sum(map(_proportional_mib, _tree(process.pid))))
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        log_file.seek(0)
        shown = log_file.read()
    if process.returncode:
        raise RuntimeError(f"{script} failed:\n{shown[-3000:]}")
    kept = dict.fromkeys(("new", "same", "near"), 0)
    for line in kept_ids.read_text().split():
        kept[planted[int(line)]] += 1
    seconds, used = map(float, shown.split()[-2:])
    further = next((line for line in shown.splitlines() if line.startswith("what ")), "")
    return Run(seconds, used, peak, kept, further)


def _tree(root: int) -> list[int]:
    """A process and all below it."""
    found, todo = [], [root]
    while todo:
        process = todo.pop()
        found.append(process)
        for task in Path(f"/proc/{process}/task").glob("*/children"):
            try:
                todo += map(int, task.read_text().split())
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def _proportional_mib(process: int) -> float:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / _MEBIBYTE_IN_KIB


def main() -> None:
    """Measure every size, ours and the peer in turn, and print a table and the growth."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    arguments.add_argument("--peer-up-to", type=int, default=100_000, help="largest size that the peer gets")
    given = arguments.parse_args()
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    name, script, packages = PEER
    peer = python_of(folder, packages) if given.peer_up_to >= min(given.sizes) else None
    seconds: list[tuple[int, float, float]] = []
    for size in given.sizes:
        source, planted = prompts(folder, size)
        ours = measure(sys.executable, OURS[1], source, planted, folder)
        _show(OURS[0], size, ours, planted)
        seconds.append((size, ours.seconds, ours.processor))
        if peer is not None and size <= given.peer_up_to:
            _show(name, size, measure(peer, script, source, planted, folder), planted)
        source.unlink()
    for (small, wall_small, used_small), (large, wall, used) in pairwise(seconds):
        times = log(large / small)
        growth = log(wall / wall_small) / times, log(used / used_small) / times
        print(f"from {small:,} to {large:,} rows: n^{growth[0]:.2f} of wall time, n^{growth[1]:.2f} of processor time")
    if len(seconds) > 2:
        (small, wall_small, used_small), (large, wall, used) = seconds[0], seconds[-1]
        times = log(large / small)
        growth = log(wall / wall_small) / times, log(used / used_small) / times
        print(f"over all: n^{growth[0]:.2f} of wall time, n^{growth[1]:.2f} of processor time")


def _show(name: str, size: int, run: Run, planted: list[str]) -> None:
    found = {kind: 1 - run.kept[kind] / max(1, planted.count(kind)) for kind in ("same", "near")}
    wrong = planted.count("new") - run.kept["new"]
    print(
        f"{name:<20}{size:>10,} rows {run.seconds:>8.1f} s {run.processor:>8.1f} s of processor {run.peak:>7.0f} MiB "
        f" {sum(run.kept.values()):>8,} kept; found {found['same']:.4f} of repeats, {found['near']:.4f} of near "
        f"repeats; {wrong} first rows lost",
        flush=True,
    )
    if run.further:
        print(f"  {run.further}")


if __name__ == "__main__":
    main()
