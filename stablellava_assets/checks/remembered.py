"""Results of gates that are looked up where neither the rows nor anything that decides the results has changed.

Great Expectations takes a second per partition, which is most of what a run takes that changes nothing.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import stablellava_assets
from stablellava_assets.checks.gates import GateResult, GateSettings, Suite, validate
from stablellava_assets.tables.files import publish_file
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.store import Partition


class RememberedGates:
    """Evaluates gates, and keeps the results of partitions that pass in a file each of ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def results(self, suite: Suite, partition: Partition, data: pa.Table, settings: GateSettings) -> list[GateResult]:
        """As :func:`~stablellava_assets.checks.gates.validate`, which is asked unless the same rows have passed before
        under the same settings and the same code."""
        path = self._folder / suite.table.name / f"{'-'.join(partition) or 'whole'}.json"
        key = content_key(_digest(data.select(suite.table.without_images)), settings, _code())
        if (known := _read(path, key)) is not None:
            return known
        results = validate(suite, data, settings)
        if all(result.passed for result in results):
            _write(path, key, results)
        return results


def _digest(data: pa.Table) -> str:
    """Hash of the rows, however they lie in memory."""
    encoded = io.BytesIO()
    pq.write_table(data.combine_chunks(), encoded, compression="none")
    return hashlib.sha256(encoded.getbuffer()).hexdigest()


@cache
def _code() -> str:
    """Hash of what decides results beside rows and settings: this package, and Great Expectations."""
    root = Path(stablellava_assets.__file__).parent
    sources = hashlib.sha256(importlib.metadata.version("great-expectations").encode())
    for path in sorted(root.rglob("*.py")):
        sources.update(path.read_bytes())
    return sources.hexdigest()


def _read(path: Path, key: str) -> list[GateResult] | None:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return [GateResult(**result) for result in kept["results"]] if kept["key"] == key else None
    except (OSError, ValueError, TypeError, KeyError):  # It is only a copy.
        return None


def _write(path: Path, key: str, results: Sequence[GateResult]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        publish_file(path, json.dumps({"key": key, "results": [asdict(result) for result in results]}).encode())
    except OSError:  # A full disk is told of by what has to be written.
        return
