"""How close asking comes to the ideal, side by side with other projects, each in a virtual environment of its own.

A loopback server in a process of its own answers after 200 ms; 1,000 requests, 32 in flight, so 6.25 s is the least.
Each project is timed over its whole call, from configuring the model to the answers in memory, without importing it.
The environments are made in the folder given, once, from PyPI (1.5 GB)::

    python benchmarks/chat_throughput.py FOLDER [--rounds 3]

Without a folder, this project is timed alone. ``--checkout`` names another checkout of it to be timed beside this one::

    python benchmarks/chat_throughput.py --checkout ../before --latency 2 --in-flight 256 --requests 5120
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1]))  # The parts of the tests are not installed.

SCRIPTS = Path(__file__).parent / "chat_peers"
PEERS = {
    "Bespoke Curator 0.1.31 (litellm)": ("curator.py", ["bespokelabs-curator==0.1.31"]),
    "NeMo Data Designer 0.9.6": ("designer.py", ["data-designer==0.9.6"]),
    "distilabel 1.5.3": ("distil.py", ["distilabel[openai]==1.5.3", "requests"]),
}
OURS = "stablellava-assets"
ENVIRONMENT = {
    # Nobody but the server is to be asked, and nothing is to be drawn.
    "HF_HUB_OFFLINE": "1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "TELEMETRY_ENABLED": "false",
    "NEMO_TELEMETRY_ENABLED": "false",
    "CURATOR_DISABLE_RICH_DISPLAY": "1",
    "OPENAI_API_KEY": "none",
}


def python_of(folder: Path, packages: list[str]) -> Path:
    """The interpreter of an environment with these packages, made if it is not there."""
    home = folder / packages[0].partition("=")[0].partition("[")[0]
    python = home / "bin/python"
    if not (home / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        subprocess.run([python, "-m", "pip", "install", "-qq", *packages], check=True)
        (home / "ready").touch()
    return python


@dataclass(frozen=True)
class Load:
    """What everybody is to do."""

    requests: int
    in_flight: int
    latency_s: float

    @property
    def ideal_s(self) -> float:
        """The least time that it can take."""
        return self.requests * self.latency_s / self.in_flight


def seconds_of(python: Path | str, script: Path, load: Load, scratch: Path) -> float:
    """How long a project takes; an error if an answer is missing or more requests were in flight than agreed."""
    from stablellava_assets_tests.fakes.loopback import Script, loopback_process

    with loopback_process(Script(latency_s=load.latency_s)) as (url, counts):
        shown = subprocess.run(
            [python, script, url, str(load.requests), str(load.in_flight)],
            env={**os.environ, **ENVIRONMENT, "HOME": str(scratch), "PYTHONPATH": str(script.parents[2])},
            cwd=scratch,
            capture_output=True,
            text=True,
            check=False,
        )
        if shown.returncode:
            raise RuntimeError(f"{script.name} failed:\n{shown.stdout[-2000:]}\n{shown.stderr[-2000:]}")
        seen = counts()
    seconds, answers = shown.stdout.strip().splitlines()[-1].split()
    if int(answers) != load.requests or seen.most_at_once > load.in_flight:
        raise RuntimeError(f"{script.name}: {answers} answers, {seen.most_at_once} requests at once")
    return float(seconds)


def main() -> None:
    """Time everybody in turn, several times, and print the medians."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path, nargs="?", help="where the environments of the others are made")
    arguments.add_argument("--checkout", type=Path, help="another checkout of this project")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--requests", type=int, default=1000)
    arguments.add_argument("--in-flight", type=int, default=32)
    arguments.add_argument("--latency", type=float, default=0.2, help="seconds until the server answers")
    given = arguments.parse_args()
    load = Load(given.requests, given.in_flight, given.latency)
    runs = {OURS: (Path(sys.executable), SCRIPTS / "ours.py")}
    if given.checkout is not None:
        script = given.checkout.resolve() / SCRIPTS.relative_to(SCRIPTS.parents[1]) / "ours.py"
        runs[given.checkout.name] = (Path(sys.executable), script)
    if given.folder is not None:
        folder = given.folder.resolve()
        runs |= {name: (python_of(folder, packages), SCRIPTS / script) for name, (script, packages) in PEERS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    with TemporaryDirectory() as scratch:
        for number in range(given.rounds):
            for name, (python, script) in list(runs.items())[:: -1 if number % 2 else 1]:
                seconds[name].append(seconds_of(python, script, load, Path(scratch)))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(
        f"{load.requests} requests, {load.in_flight} in flight, {load.latency_s * 1000:.0f} ms each: "
        f"{load.ideal_s:.2f} s at best"
    )
    for name, median in medians.items():
        spread = f"{min(seconds[name]):.2f} to {max(seconds[name]):.2f}"
        share, ratio = load.ideal_s / median, median / medians[OURS]
        print(f"{name:<34} {median:6.2f} s ({spread})  {share:.3f} of the ideal  {ratio:5.2f} times ours")


if __name__ == "__main__":
    main()
