"""Times the whole filter stage over StableLLaVA's published files and prints what it decided.

Run: ``python benchmarks/filters_on_released.py FOLDER_OF_JSON_FILES``. The files come without pictures, so every row
gets a small noise picture of its own, made before the clock starts: pictures are decoded and compared as in a real run.
What a batch keeps is published to Parquet in a temporary folder, and later batches find it through the index, as in a
real run. ``--verdicts FILE`` writes every verdict as a line of JSON, for reading.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import resource
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from embedded_experiment import images_of
from PIL import Image

from stablellava_assets.abilities.ability import Ability
from stablellava_assets.abilities.catalog import load_catalog
from stablellava_assets.authors.released.author import ReleasedAuthor
from stablellava_assets.authors.released.rows import released_files
from stablellava_assets.authors.settings import ReleasedAuthorSettings
from stablellava_assets.filters.benchmark_fingerprints import BenchmarkFingerprints
from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.filters.judge import judge
from stablellava_assets.filters.near_duplicates.earlier_pairs import EarlierPairs
from stablellava_assets.profiles.profile import PROFILE_VARIABLE, load_profile
from stablellava_assets.tables.findings import NOTES, REJECTS, rules_with
from stablellava_assets.tables.schemas import FILTERED_PAIRS, MADE
from stablellava_assets.tables.store import ParquetStore

_SIDE = 32
_MEBIBYTE = 1024


def main() -> None:
    """Judge every file in batches, later ones against what earlier ones kept."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--batch", type=int, default=2000, help="rows a batch")
    arguments.add_argument("--verdicts", type=Path, help="file for the verdicts, as JSON Lines")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as tables:
        verdicts = _judge_all(given.folder, given.batch, Path(tables))
    if given.verdicts:
        given.verdicts.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in verdicts))


def _judge_all(folder: Path, batch_size: int, scratch: Path) -> list[dict[str, Any]]:
    catalog, settings = load_catalog(), load_profile({PROFILE_VARIABLE: "released"}).filters
    store = ParquetStore(str(scratch / "tables"))
    earlier = EarlierPairs(store, scratch / "index", settings.duplicates)
    verdicts: list[dict[str, Any]] = []
    author = ReleasedAuthor(ReleasedAuthorSettings(kind="released", folder=folder))
    rows, seconds, processor = 0, 0.0, 0.0
    for path in released_files(folder):
        batches = _batches(author, catalog.single[path.stem], batch_size)
        counts: Counter[str] = Counter()
        took, kept = 0.0, 0
        for number, batch in enumerate(batches, 1):
            partition = (path.stem, f"{number:04d}")
            started, used = time.perf_counter(), time.process_time()
            repeatable = earlier.repeatable_by(partition, [candidate.compared for candidate in batch]).pairs
            judged = judge(
                batch, images_of(batch), repeatable, BenchmarkFingerprints([], settings.contamination_bits), settings
            )
            took += time.perf_counter() - started
            processor += time.process_time() - used
            published = FILTERED_PAIRS.from_rows([{**row, "run_id": "benchmark"} for row in judged.kept])
            store.publish(FILTERED_PAIRS, partition, published)
            kept += len(judged.kept)
            verdicts += judged.rows
            findings = [found for row in judged.rows for found in row["findings"]]
            counts.update(rules_with(REJECTS, findings))
            counts.update(f"({rule})" for rule in rules_with(NOTES, findings))
        pairs = sum(map(len, batches))
        rows, seconds = rows + pairs, seconds + took
        print(f"{path.stem:<12}{pairs:>7} pairs {kept:>6} kept {took:>6.2f} s {pairs / took:>8,.0f} rows/s")
        for reason, count in counts.most_common():
            print(f"{'':<12}{count:>7} {reason}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MEBIBYTE
    print(
        f"{rows} rows in {seconds:.2f} s ({processor:.2f} s of processor), {rows / seconds:,.0f} rows/s, {peak:.0f} "
        "MiB at the peak; (notes) reject nothing"
    )
    return verdicts


def _batches(author: ReleasedAuthor, ability: Ability, size: int) -> list[list[Candidate]]:
    batches = []
    number = 1
    while planned := author.plan_prompts(ability, f"{number:04d}", size):
        specs = [row for row in author.write_prompts(planned) if row["status"] == MADE]
        painted = [(spec, _noise(spec)) for spec in specs]
        dialogues = author.write_dialogues(author.plan_dialogues(ability, painted))
        batches.append(
            [Candidate(dialogue, spec, image) for dialogue, (spec, image) in zip(dialogues, painted, strict=True)]
        )
        number += 1
    return batches


def _noise(spec: dict[str, Any]) -> dict[str, Any]:
    pixels = np.random.default_rng(spec["seed"]).integers(0, 256, (_SIDE, _SIDE, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    encoded = buffer.getvalue()
    return {
        "image_id": spec["spec_id"],
        "spec_id": spec["spec_id"],
        "image": {"bytes": encoded, "path": f"{spec['spec_id']}.png"},
        "width": _SIDE,
        "height": _SIDE,
        "sha256": hashlib.sha256(encoded).hexdigest(),
        "perceptual_hash": spec["spec_id"][:16],
        "row_key": spec["row_key"],
    }


if __name__ == "__main__":
    main()
