"""How close asking comes to the ideal, side by side with other projects, each in a virtual environment of its own.

A loopback server in a process of its own answers after 200 ms; 1,000 requests, 32 in flight, so 6.25 s is the least. Each
project is timed over its whole call, from configuring the model to the answers in memory, without importing it. The
environments are made in the folder given, once, from PyPI (1.5 GB)::

    python benchmarks/chat_throughput.py FOLDER [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # The parts of the tests are not installed.

REQUESTS, IN_FLIGHT, LATENCY_S = 1000, 32, 0.2
IDEAL_S = REQUESTS * LATENCY_S / IN_FLIGHT
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


def seconds_of(python: Path | str, script: Path, scratch: Path) -> float:
    """How long a project takes; an error if an answer is missing or more requests were in flight than agreed."""
    from stablellava_assets_tests.fakes.loopback import Script, loopback_process

    with loopback_process(Script(latency_s=LATENCY_S)) as (url, counts):
        shown = subprocess.run(
            [python, script, url, str(REQUESTS), str(IN_FLIGHT)],
            env={**os.environ, **ENVIRONMENT, "HOME": str(scratch), "PYTHONPATH": str(SCRIPTS.parent.parent)},
            cwd=scratch,
            capture_output=True,
            text=True,
            check=False,
        )
        if shown.returncode:
            raise RuntimeError(f"{script.name} failed:\n{shown.stdout[-2000:]}\n{shown.stderr[-2000:]}")
        seen = counts()
    seconds, answers = shown.stdout.strip().splitlines()[-1].split()
    if int(answers) != REQUESTS or seen.most_at_once > IN_FLIGHT:
        raise RuntimeError(f"{script.name}: {answers} answers, {seen.most_at_once} requests at once")
    return float(seconds)


def main() -> None:
    """Time everybody in turn, several times, and print the medians."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path, help="where the environments of the others are made")
    arguments.add_argument("--rounds", type=int, default=3)
    given = arguments.parse_args()
    folder = given.folder.resolve()
    runs = {OURS: (Path(sys.executable), SCRIPTS / "ours.py")}
    runs |= {name: (python_of(folder, packages), SCRIPTS / script) for name, (script, packages) in PEERS.items()}
    scratch = folder / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(given.rounds):
        for name, (python, script) in runs.items():
            seconds[name].append(seconds_of(python, script, scratch))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print(f"{REQUESTS} requests, {IN_FLIGHT} in flight, {LATENCY_S * 1000:.0f} ms each: {IDEAL_S:.2f} s at best")
    for name, median in medians.items():
        spread = f"{min(seconds[name]):.2f} to {max(seconds[name]):.2f}"
        share, ratio = IDEAL_S / median, median / medians[OURS]
        print(f"{name:<34} {median:6.2f} s ({spread})  {share:.3f} of the ideal  {ratio:5.2f} times ours")


if __name__ == "__main__":
    main()
