"""Deduplicates the same file with Data-Juicer: exact first, then MinHash over the same shingles at the same
threshold."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from processor_time import processor_seconds


def main(source: Path, kept_ids: Path) -> None:
    """Write the ids of the kept rows; print wall and processor seconds."""
    from data_juicer.core.data import NestedDataset
    from data_juicer.ops.deduplicator.document_deduplicator import DocumentDeduplicator
    from data_juicer.ops.deduplicator.document_minhash_deduplicator import DocumentMinhashDeduplicator
    from datasets import load_dataset

    started, used = time.perf_counter(), processor_seconds()
    rows = NestedDataset(load_dataset("json", data_files=str(source), split="train"))
    rows = DocumentDeduplicator(lowercase=True, num_proc=2).run(rows)
    near = DocumentMinhashDeduplicator(
        tokenization="character",
        window_size=5,
        jaccard_threshold=0.9,
        num_permutations=128,
        num_proc=2,
    )
    kept = near.run(rows)
    kept_ids.write_text("".join(f"{row}\n" for row in kept["id"]))
    print(f"{time.perf_counter() - started:.2f} {processor_seconds() - used:.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
