"""What each stage takes where a partition holds more images than memory may: peak memory, and bytes of images read.

An image endpoint on loopback sends pictures of noise, a chat endpoint writes the dialogues and sees every picture, and
each stage is a command of its own, as a user gives it. Usage::

    python benchmarks/volume.py FOLDER [--pictures 3000] [--bytes 1500000]

FOLDER must not exist; it takes about three times as much room as the pictures, at most one export at a time among them.
Memory is the largest of the command's processes (``ru_maxrss``). Bytes are those that are read of the file of images;
``again`` is the same command once more, with nothing to do.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # The parts of the tests are not installed.

import numpy as np
import yaml
from PIL import Image

from stablellava_assets.profiles.profile import DATA_VARIABLE, PROFILE_VARIABLE
from stablellava_assets_tests.fakes.chat_model import MODEL, write
from stablellava_assets_tests.fakes.loopback import loopback
from stablellava_assets_tests.fakes.serving import Handler, Server, serving

ROOT = Path(__file__).parents[1]
PARTITION = "animal|0001"
_GIB = 1 << 30
_COUNTING = '''
"""Appends to the file in VOLUME_BYTES_READ how much this process read of the file of images."""
import atexit, os, sys

_read = 0

def _install():
    from fsspec.implementations.local import LocalFileOpener
    read = LocalFileOpener.read

    def counted(opened, *arguments):
        global _read
        found = read(opened, *arguments)
        if "/images/" in opened.path:
            _read += len(found)
        return found

    LocalFileOpener.read = counted
    atexit.register(lambda: open(os.environ["VOLUME_BYTES_READ"], "a").write(f"{_read}\\n"))

if "VOLUME_BYTES_READ" in os.environ:
    _install()
'''


def profile(pictures: int, side: int, image_url: str, chat_url: str) -> dict[str, object]:
    """One ability, one batch, an image endpoint and a chat author that sees the pictures; nearly every pair is kept."""
    endpoint = {"api_key_variable": None, "max_in_flight": 16}
    return {
        "only": ["animal"],
        "rows_per_batch": pictures,
        "author": {
            "kind": "chat",
            "endpoint": {**endpoint, "base_url": chat_url, "model": MODEL},
            "subjects": "drawn",
            "prompts_per_request": 20,
            "sees_pictures": True,
            "dialogues": {"describe": 1, "what": 1},
        },
        "painter": {
            "kind": "api",
            "endpoint": {**endpoint, "base_url": image_url, "model": "loopback-painter"},
            "width": side,
            "height": side,
        },
        "filters": {
            "noted_only": ["duplicate_image", "contaminated_image"],
            "duplicates": {
                "specs_per_prompt": 100,
                "near_prompt": 1,
                "pairs_per_answer": 10_000,
                "near_answer": 1,
                "image_bits": 0,
            },
        },
        "gates": {"min_kept_pairs": 0, "min_made_prompts": 0.1, "min_made_dialogues": 0.1, "max_yes_surplus": 0.5},
        "benchmark": {"items_per_kind": 17},
        # The base paints images of its own, which are not measured.
        "tuning": {"model": {"kind": "embedded", "base_pictures": 40, "base_texts": 400}, "stage": {"passes": 1}},
    }


@contextmanager
def image_endpoint(side: int) -> Iterator[str]:
    """An endpoint that answers every request with noise, which no codec makes smaller; the
    painter writes the prompt's id into each file."""
    encoded = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(encoded, "PNG", compress_level=0)
    entry = {"b64_json": base64.b64encode(encoded.getvalue()).decode()}
    answer = json.dumps({"created": 1, "data": [entry]}).encode()

    class Images(Handler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send(200, answer)

    with serving(Server(Images)) as address:
        yield f"{address}/v1"


class Runner:
    """Runs commands with this checkout's sources, and prints what each took."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._read = folder / "read.txt"
        (folder / "counting").mkdir()
        (folder / "counting/sitecustomize.py").write_text(_COUNTING)
        self._log = folder / "log.txt"
        self._environment = {
            **os.environ,
            **environment,
            "PYTHONPATH": f"{folder / 'counting'}:{ROOT}",
            "VOLUME_BYTES_READ": str(self._read),
            "DAGSTER_HOME": str(folder / "dagster"),
        }
        (folder / "dagster").mkdir()

    def run(self, name: str, *command: str) -> None:
        """Run a command and print its seconds, its peak memory and the bytes of images that it read.

        Raises:
            SystemExit: it failed; its output is shown.
        """
        self._read.write_text("")
        started = time.monotonic()
        with self._log.open("ab") as log:
            tool = Path(sys.executable).with_name(command[0])
            process = subprocess.Popen(
                [tool, *command[1:]], cwd=ROOT, env=self._environment, stdout=log, stderr=subprocess.STDOUT
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{name} failed:\n{self._log.read_text()[-3000:]}")
        read = sum(map(int, self._read.read_text().split()))
        print(
            f"| {name} | {time.monotonic() - started:,.0f} | {usage.ru_maxrss / (1 << 20):.2f} | {read / 1e6:,.1f} |",
            flush=True,
        )

    def materialize(self, asset: str, name: str | None = None, partition: str | None = PARTITION) -> None:
        """Materialize an asset."""
        chosen = ["--partition", partition] if partition else []
        self.run(name or asset, "dagster", "asset", "materialize", "-m", "stablellava_assets.definitions",
                 "--select", asset, *chosen)  # fmt: skip


def main() -> None:
    """Run every stage and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=3000)
    parser.add_argument("--bytes", type=int, default=1_500_000)
    parser.add_argument("--tune", action="store_true", help="tune and score the embedded model, too")
    given = parser.parse_args()
    folder, side = given.folder.resolve(), round(math.sqrt(given.bytes / 3) / 8) * 8
    folder.mkdir(parents=True)
    with image_endpoint(side) as images, loopback(answer=write, keep_bodies=False) as (chat, _):
        settings = folder / "profile.yaml"
        settings.write_text(yaml.safe_dump(profile(given.pictures, side, images, chat)))
        runner = Runner(folder, {PROFILE_VARIABLE: str(settings), DATA_VARIABLE: str(folder / "data")})
        print(f"{given.pictures:,} pictures of {side} x {side} pixels, {3 * side * side / 1e6:.2f} MB each\n")
        print("| command | seconds | peak memory, GiB | MB of images read |\n|---|---:|---:|---:|", flush=True)
        runner.materialize("prompt_specs")
        runner.materialize("ability_benchmark", partition=None)
        for asset in ("images", "dialogues", "filtered_pairs"):
            runner.materialize(asset)
            runner.materialize(asset, f"{asset}, again")
        for name in ("llava", "huggingface", "webdataset"):
            runner.run(f"export {name}", "stablellava", "export", name, str(folder / "export"))
            shutil.rmtree(folder / "export")
        runner.run("gallery, every pair", "stablellava", "gallery", str(folder / "gallery"))
        if given.tune:
            for asset in ("llava_checkpoint", "ability_scores"):
                runner.materialize(asset, partition=None)
    stored = sum(path.stat().st_size for path in (folder / "data/tables/images").rglob("*.parquet"))
    print(f"\n{stored / _GIB:.2f} GiB of images are stored")


if __name__ == "__main__":
    main()
