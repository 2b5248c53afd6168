"""Exports kept pairs in one of three formats, with a README, licences, provenance and checksums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

from stablellava_assets.exports.destination import README, export_folder
from stablellava_assets.exports.huggingface import HuggingFaceWriter, card_header
from stablellava_assets.exports.licences import Origins, origin_sections
from stablellava_assets.exports.llava import LlavaWriter
from stablellava_assets.exports.preference import PreferenceWriter
from stablellava_assets.exports.selection import Pair, SelectionError, read_pairs, read_shared
from stablellava_assets.exports.shards import ShardsWriter
from stablellava_assets.exports.splits import Splits
from stablellava_assets.exports.wrong_answers import WrongAnswers
from stablellava_assets.tables.store import ParquetStore, Partition


class Writer(Protocol):
    """Writes one format's files into a folder."""

    title: str

    def rejection_reason(self, pair: Pair) -> str | None:
        """Why the format cannot represent the pair; None if it can."""
        ...

    def add(self, pair: Pair, split: str) -> None:
        """Write a pair."""
        ...

    def close(self) -> None:
        """Finish the files."""
        ...

    def usage(self) -> str:
        """Instructions for reading the export, as Markdown."""
        ...


FORMATS: dict[str, Callable[[Path, list[str]], Writer]] = {
    "llava": LlavaWriter,
    "huggingface": HuggingFaceWriter,
    "webdataset": ShardsWriter,
}
"""The formats of kept pairs by name."""

PREFERENCE = "preference"
"""The format of kept pairs beside wrong answers, which takes :class:`WrongAnswers`."""


@dataclass
class Exported:
    """Statistics of an export: pairs by split and by ability, omitted pairs by reason, and origins."""

    splits: dict[str, int]
    abilities: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    origins: Origins = field(default_factory=Origins)

    @property
    def pairs(self) -> int:
        """Number of pairs written."""
        return sum(self.splits.values())


def export_pairs(
    name: str,
    store: ParquetStore,
    partitions: Sequence[Partition],
    destination: Path | str,
    splits: Splits,
    *,
    replace: bool = False,
    wrong: WrongAnswers | None = None,
) -> Exported:
    """Export the kept pairs of ``partitions`` to a new folder.

    Args:
        name: one of :data:`FORMATS`, or :data:`PREFERENCE`.
        store: source of pairs and images.
        partitions: the partitions to export.
        destination: the folder, which appears atomically, or a URL.
        splits: how the pairs are divided.
        replace: whether an earlier export there may be replaced.
        wrong: the wrong answers of preference pairs; by default those of rejected pairs.

    Raises:
        SelectionError: no pair is left to export, or pairs are older than the rows they were made from.
        DestinationError: the folder cannot be written, or holds something else.
    """
    exported = Exported(dict.fromkeys(splits.names, 0))
    wrong = wrong or WrongAnswers(store)
    formats: dict[str, Callable[[Path, list[str]], Writer]] = {**FORMATS, PREFERENCE: partial(PreferenceWriter, wrong)}
    with export_folder(destination, replace=replace) as folder:
        writer = formats[name](folder, splits.names)
        with closing(writer):
            together = splits.together(read_shared(store, partitions)) if splits.shares else {}
            for pair in read_pairs(store, partitions):
                if (reason := writer.rejection_reason(pair)) is not None:
                    exported.left_out[reason] += 1
                    continue
                split = splits.of(pair, together)
                writer.add(pair, split)
                exported.splits[split] += 1
                exported.abilities[pair.row["ability"]] += 1
                exported.origins.add(pair, [each.written for each in wrong.of(pair)] if name == PREFERENCE else ())
        if not exported.pairs:
            reasons = "".join(f" {count} pairs: each {reason}." for reason, count in exported.left_out.items())
            raise SelectionError(f"these partitions hold no pair that could be exported.{reasons}")
        (folder / README).write_text(_readme(name, writer, exported), encoding="utf-8")
    return exported


def _readme(name: str, writer: Writer, exported: Exported) -> str:
    header = [card_header(exported.origins.licence, exported.splits)] if name in ("huggingface", PREFERENCE) else []
    sizes = "\n".join(
        [
            "| split | pairs |",
            "|---|---:|",
            *(f"| {split} | {count:,} |" for split, count in exported.splits.items()),
            "",
            "| ability | pairs |",
            "|---|---:|",
            *(f"| {ability} | {count:,} |" for ability, count in sorted(exported.abilities.items())),
        ]
    )
    left_out = [f"Left out: {count:,} pairs, each of which {why}." for why, count in exported.left_out.items()]
    sections = [
        *header,
        "# Image-dialogue pairs",
        (
            f"{exported.pairs:,} pairs of images and a conversation about them, for tuning vision-language models. "
            "Made and filtered by stablellava-assets, which follows StableLLaVA (arXiv 2308.10253). Format: "
            f"{writer.title}."
        ),
        writer.usage(),
        "`sha256sum -c SHA256SUMS` checks the files.",
        "## Contents",
        sizes,
        *left_out,
        origin_sections(exported.origins),
    ]
    return "\n\n".join(sections) + "\n"
