"""Fingerprints of the published benchmarks in a profile, for decontamination of training pairs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from stablellava_assets.evaluation.settings import MMVetSettings, PopeSettings, SuiteSettings
from stablellava_assets.evaluation.suites.pictures import Picture, SuiteError
from stablellava_assets.evaluation.suites.suites import read_suite
from stablellava_assets.filters.benchmark_fingerprints import BenchmarkFingerprint
from stablellava_assets.filters.kept_prints import KeptPrints
from stablellava_assets.inputs.explained import system_message
from stablellava_assets.inputs.folders import files_below
from stablellava_assets.text.conversations import without_marks


def suite_fingerprints(suites: Sequence[SuiteSettings], folder: Path) -> list[BenchmarkFingerprint]:
    """The fingerprints of every item. They are kept: thousands of images are decoded once, and again
    if a benchmark's file changes.

    Args:
        suites: the files.
        folder: where fingerprints are kept.

    Raises:
        SuiteError: a file, a row or an image is invalid.
    """
    kept = KeptPrints(folder)
    return [each for settings in suites for each in _fingerprints(settings, kept)]


def suite_images(suites: Sequence[SuiteSettings], wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """The images with these SHA-256, each once.

    Raises:
        SuiteError: as above.
    """
    left = set(wanted)
    for settings in suites:
        for picture in (picture for item in (read_suite(settings) if left else ()) for picture in item["pictures"]):
            if picture.sha256 in left:
                left.discard(picture.sha256)
                yield picture.sha256, picture.encoded


def _fingerprints(settings: SuiteSettings, kept: KeptPrints) -> list[BenchmarkFingerprint]:
    # A missing file is reported by its reader.
    files = sorted(settings.file.rglob("*.parquet")) if settings.file.is_dir() else [settings.file]
    beside = settings.images if isinstance(settings, PopeSettings | MMVetSettings) else None
    try:
        contents = [kept.sha256_of(file) for file in files if file.is_file()]
        # Such a folder may hold far more images than the items show, so that these are told by their times.
        found = [] if beside is None else [(path.name, path.stat()) for path in files_below(beside)]
    except OSError as error:
        raise SuiteError(
            f"{settings.file}: cannot be read ({system_message(error)}); see benchmark.external in the profile"
        ) from error
    states = [(name, state.st_size, state.st_mtime_ns) for name, state in found]
    return kept.of(settings.name, [settings, contents, states], lambda: _read(settings, kept))


def _read(settings: SuiteSettings, kept: KeptPrints) -> Iterator[BenchmarkFingerprint]:
    instruction = f"\n{settings.instruction}" if isinstance(settings, PopeSettings) else ""
    for item in read_suite(settings):
        question = without_marks(item["question"].removesuffix(instruction))
        named = f"{settings.name} ({item['ability']}) {question!r}"
        for picture in item["pictures"]:
            looks = _perceptual_hash(picture, kept)
            yield BenchmarkFingerprint(named, question, picture.sha256, looks, settings.name, item["item_id"])


def _perceptual_hash(picture: Picture, kept: KeptPrints) -> str:
    return kept.perceptual_hash_of(picture.sha256, lambda: picture.encoded)
