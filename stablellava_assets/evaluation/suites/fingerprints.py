"""Fingerprints of the published benchmarks in a profile, for decontamination of training pairs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from stablellava_assets.evaluation.settings import PopeSettings, SuiteSettings
from stablellava_assets.evaluation.suites.suites import read_suite
from stablellava_assets.filters.benchmark_fingerprints import BenchmarkFingerprint
from stablellava_assets.pictures.decoding import upright
from stablellava_assets.pictures.encoding import perceptual_hash
from stablellava_assets.tables.files import publish_file
from stablellava_assets.tables.identity import content_key


def suite_fingerprints(suites: Sequence[SuiteSettings], folder: Path) -> list[BenchmarkFingerprint]:
    """The fingerprints of every item. They are cached: thousands of images are decoded once, and again
    if a benchmark's file changes.

    Args:
        suites: the files.
        folder: where fingerprints are cached.

    Raises:
        SuiteError: a file, a row or an image is invalid.
    """
    return [each for settings in suites for each in _fingerprints(settings, folder)]


def _fingerprints(settings: SuiteSettings, folder: Path) -> list[BenchmarkFingerprint]:
    paths = [settings.file, *([] if settings.suite == "mmbench" else [settings.images])]
    # A missing file is reported by its reader.
    states = [(path.stat().st_size, path.stat().st_mtime_ns) for path in paths if path.exists()]
    kept = folder / f"{settings.name}-{content_key('suite prints', settings, states)}.json"
    if kept.exists():
        return [BenchmarkFingerprint(*each) for each in json.loads(kept.read_text())]
    fingerprints = list(_read(settings))
    kept.parent.mkdir(parents=True, exist_ok=True)
    publish_file(kept, json.dumps(fingerprints).encode())
    return fingerprints


def _read(settings: SuiteSettings) -> Iterator[BenchmarkFingerprint]:
    instruction = f"\n{settings.instruction}" if isinstance(settings, PopeSettings) else ""
    known: dict[int, tuple[str, str]] = {}
    items = read_suite(settings)
    for item in items:
        encoded = item["image"]["bytes"]
        # All items about an image share its bytes.
        if id(encoded) not in known:
            known[id(encoded)] = hashlib.sha256(encoded).hexdigest(), perceptual_hash(upright(encoded))
        question = item["question"].removesuffix(instruction)
        yield BenchmarkFingerprint(f"{settings.name} ({item['ability']}) {question!r}", question, *known[id(encoded)])
