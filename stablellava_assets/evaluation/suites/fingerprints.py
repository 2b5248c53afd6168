"""Fingerprints of the published benchmarks in a profile, for decontamination of training pairs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from stablellava_assets.evaluation.settings import MMVetSettings, PopeSettings, SuiteSettings
from stablellava_assets.evaluation.suites.suites import read_suite
from stablellava_assets.filters.benchmark_fingerprints import BenchmarkFingerprint
from stablellava_assets.pictures.decoding import upright
from stablellava_assets.pictures.encoding import perceptual_hash
from stablellava_assets.tables.files import publish_file
from stablellava_assets.tables.identity import content_key
from stablellava_assets.text.conversations import without_marks


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
    paths = [settings.file, *([settings.images] if isinstance(settings, PopeSettings | MMVetSettings) else [])]
    paths += sorted(settings.file.rglob("*.parquet"))
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
        question = without_marks(item["question"].removesuffix(instruction))
        for picture in item["pictures"]:
            # All items about an image share it.
            if id(picture) not in known:
                known[id(picture)] = picture.sha256, perceptual_hash(upright(picture.encoded))
            named = f"{settings.name} ({item['ability']}) {question!r}"
            yield BenchmarkFingerprint(named, question, *known[id(picture)])
