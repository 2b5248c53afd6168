"""Fingerprints of the published benchmarks that a profile names, which training pairs are compared with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from stablellava_assets.evaluation.settings import PopeSettings, SuiteSettings
from stablellava_assets.evaluation.suites.suites import read_suite
from stablellava_assets.filters.benchmark_prints import Print
from stablellava_assets.pictures.decoding import upright
from stablellava_assets.pictures.encoding import perceptual_hash
from stablellava_assets.tables.files import publish_file
from stablellava_assets.tables.identity import content_key


def suite_prints(suites: Sequence[SuiteSettings], folder: Path) -> list[Print]:
    """The prints of every item. Thousands of pictures are decoded for them once, and again when a benchmark's file changes.

    Args:
        suites: the files.
        folder: where prints are kept.

    Raises:
        SuiteError: a file, a row or a picture is at fault.
    """
    return [each for settings in suites for each in _prints(settings, folder)]


def _prints(settings: SuiteSettings, folder: Path) -> list[Print]:
    paths = [settings.file, *([] if settings.suite == "mmbench" else [settings.images])]
    # A file that is not there is named by its reader.
    states = [(path.stat().st_size, path.stat().st_mtime_ns) for path in paths if path.exists()]
    kept = folder / f"{settings.name}-{content_key('suite prints', settings, states)}.json"
    if kept.exists():
        return [Print(*each) for each in json.loads(kept.read_text())]
    prints = list(_read(settings))
    kept.parent.mkdir(parents=True, exist_ok=True)
    publish_file(kept, json.dumps(prints).encode())
    return prints


def _read(settings: SuiteSettings) -> Iterator[Print]:
    instruction = f"\n{settings.instruction}" if isinstance(settings, PopeSettings) else ""
    known: dict[int, tuple[str, str]] = {}
    items = read_suite(settings)
    for item in items:
        encoded = item["image"]["bytes"]
        # All items about a picture share its bytes.
        if id(encoded) not in known:
            known[id(encoded)] = hashlib.sha256(encoded).hexdigest(), perceptual_hash(upright(encoded))
        question = item["question"].removesuffix(instruction)
        yield Print(f"{settings.name} ({item['ability']}) {question!r}", question, *known[id(encoded)])
