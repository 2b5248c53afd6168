"""The gallery on disk: a page that opens as a file, and one folder per batch with its pairs and images.

A batch is written under a new name, and then the manifest is switched to it, so that a reader sees the old batch or
the new one. The name contains a hash of the batch's inputs: an unchanged batch is not written again.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypedDict

import pyarrow as pa

from stablellava_assets.filters.review.borderline import MeasuredVerdict, ScoredStatement, is_borderline, scores_of
from stablellava_assets.filters.settings import FilterSettings
from stablellava_assets.gallery.entries import entry, names_of
from stablellava_assets.gallery.sample import sample
from stablellava_assets.gallery.settings import GallerySettings
from stablellava_assets.gallery.thumbnails import thumbnail
from stablellava_assets.inputs.explained import ExplainedError, remedy_of, system_message
from stablellava_assets.tables.encoded_images import PublishedImages
from stablellava_assets.tables.findings import StoredFinding, is_rejected
from stablellava_assets.tables.identity import content_key
from stablellava_assets.tables.places import Place
from stablellava_assets.tables.schemas import ALIGNMENT_SCORES, FILTERED_PAIRS, IMAGES, REJECTED_PAIRS
from stablellava_assets.tables.store import ParquetStore, Partition
from stablellava_assets.tables.table import columns_of, rows_of

_VERSION = 5
"""Increase it to rewrite all batches after a change to the page."""

_PAGE = Path(__file__).parent / "page"
_INDEX, _MANIFEST, _BATCHES = "index.html", "manifest.js", "batches"
_CALL = "gallery.manifest("
_TABLES = (FILTERED_PAIRS, REJECTED_PAIRS)


class _PairSummary(MeasuredVerdict):
    """The columns needed to choose which pairs are shown."""

    pair_id: str
    findings: list[StoredFinding]


class _Batch(TypedDict):
    """The manifest's entry of a batch."""

    ability: str
    batch: str
    folder: str
    shown: int
    kept: int
    rejected: int
    reasons: list[tuple[str, int, int]]


class GalleryError(ExplainedError, RuntimeError):
    """The gallery could not be written; the message names the folder and the remedy."""


class Gallery:
    """The gallery in one place.

    Args:
        place: its folder or URL, which must hold nothing else.
        store: source of pairs and images.
        filters: the thresholds shown with the scores.
        settings: how much is shown.
        every_pair: show every pair instead of ``settings.pairs_per_batch`` per batch.
    """

    def __init__(
        self,
        place: Place,
        store: ParquetStore,
        filters: FilterSettings,
        settings: GallerySettings,
        *,
        every_pair: bool = False,
    ) -> None:
        self._place = place
        self._store = store
        self._filters = filters
        self._settings = settings
        self._count = None if every_pair else settings.pairs_per_batch

    @property
    def page(self) -> str:
        """Absolute path or URL of the page."""
        return self._place.at(_INDEX)

    @property
    def exists(self) -> bool:
        """Whether the page was ever published."""
        return self._place.read(_INDEX) is not None

    def publish(self, partitions: Iterable[Partition] | None = None) -> int:
        """Show the current rows of these partitions (all of them by default) and of no others.

        Returns the number of batches written; the others had not changed.

        Raises:
            GalleryError: the folder cannot be written, or holds something else.
        """
        self._refuse_foreign()
        try:
            with self._place.locked():
                return self._publish(self._store.partitions(FILTERED_PAIRS) if partitions is None else list(partitions))
        except OSError as error:
            raise GalleryError(
                f"{self._place.at()}: the gallery cannot be written ({system_message(error)}); {remedy_of(error)}, or "
                "choose another folder; the tables are published and untouched."
            ) from error

    def _refuse_foreign(self) -> None:
        """Batches that are no longer shown are deleted, so the folder must belong to the gallery."""
        try:
            names = {name for name in self._place.names("") if not name.startswith(".")}
        except OSError as error:
            raise GalleryError(
                f"{self._place.at()}: the gallery cannot be written ({system_message(error)}); {remedy_of(error)}, or "
                "choose another folder."
            ) from error
        own = {_BATCHES, _MANIFEST, *(path.name for path in _PAGE.iterdir())}
        if names - own or (_BATCHES in names and "gallery.js" not in names):
            raise GalleryError(f"{self._place.at()}: holds something other than a gallery; choose another folder")

    def _publish(self, partitions: Sequence[Partition]) -> int:
        for source in sorted(_PAGE.iterdir()):
            self._place.write(source.name, source.read_bytes())
        there = set(self._place.names(_BATCHES))
        before = {batch["folder"]: batch for batch in self._manifest() if batch["folder"] in there}
        shown = []
        for partition in partitions:
            name = f"{'-'.join(partition)}-{self._key(partition)}"
            shown.append(before.get(name) or self._write_batch(partition, name))
        # Two projects may have equal pair ids, so the browser stores decisions under the location of the pairs. It is
        # hashed, because pages are passed on to others.
        project = content_key("gallery of", self._store.url)
        content = {"project": project, "pairs_per_batch": self._count, "batches": shown}
        self._place.write(_MANIFEST, f"{_CALL}{_script_json(content)});\n".encode())
        folders = {batch["folder"] for batch in shown}
        for name in there - folders:
            self._place.delete(f"{_BATCHES}/{name}")
        return len(folders - before.keys())

    def _manifest(self) -> list[_Batch]:
        """The current manifest; empty if there is none or it cannot be read."""
        written = (self._place.read(_MANIFEST) or b"").decode("utf-8", "replace")
        try:
            return list(json.loads(written.strip().removeprefix(_CALL).removesuffix(");"))["batches"])
        except (ValueError, KeyError, TypeError):
            return []

    def _key(self, partition: Partition) -> str:
        made_from = (*_TABLES, IMAGES, ALIGNMENT_SCORES)
        versions = [self._store.version(table, partition) for table in made_from if self._store.holds(table, partition)]
        settings = self._settings.model_dump(mode="json", exclude={"pairs_per_batch"})
        return content_key("gallery", _VERSION, self._count, settings, self._filters, versions)[:12]

    def _write_batch(self, partition: Partition, name: str) -> _Batch:
        tables = [table for table in (self._store.read(table, partition) for table in _TABLES) if table is not None]
        verdicts = pa.concat_tables(tables)
        summaries = rows_of(_PairSummary, verdicts.select(columns_of(_PairSummary)))
        aligned, share = self._alignment_scores(partition), self._settings.borderline
        scores = [scores_of(row, aligned, self._filters) for row in summaries]
        chosen = sample(summaries, [is_borderline(found, share) for found in scores], self._count)
        rows = FILTERED_PAIRS.rows(verdicts.take(pa.array(chosen, pa.int64())))

        with self._place.folder(f"{_BATCHES}/{name}") as unfinished:
            files = self._write_pictures(partition, {image for row in rows for image in row["image_ids"]}, unfinished)
            pairs = [
                entry(row, [files.get(image) for image in row["image_ids"]], scores[position], share)
                for row, position in zip(rows, chosen, strict=True)
            ]
            (unfinished / "pairs.js").write_text(
                f"gallery.batch({_script_json(name)}, {_script_json(pairs)});\n", encoding="utf-8"
            )
        named = Counter(found for row in summaries for found in names_of(row))
        named_here = Counter(found for row in rows for found in names_of(row))
        rejected = sum(is_rejected(row["findings"]) for row in summaries)
        return {
            "ability": partition[0],
            "batch": partition[1],
            "folder": name,
            "shown": len(rows),
            "kept": len(summaries) - rejected,
            "rejected": rejected,
            "reasons": [(found, named_here[found], count) for found, count in sorted(named.items())],
        }

    def _alignment_scores(self, partition: Partition) -> dict[str, list[ScoredStatement]]:
        data = self._store.read(ALIGNMENT_SCORES, partition, columns_of(ScoredStatement))
        of_image: dict[str, list[ScoredStatement]] = {}
        for row in rows_of(ScoredStatement, data) if data is not None else ():
            of_image.setdefault(row["image_id"], []).append(row)
        return of_image

    def _write_pictures(self, partition: Partition, wanted: set[str], folder: Path) -> dict[str, str]:
        """Write the wanted images; returns the file name of each that can be shown."""
        files: dict[str, str] = {}
        for image_id, image in PublishedImages(self._store, IMAGES, partition)(wanted):
            if (small := thumbnail(image, self._settings.picture_side)) is not None:
                encoded, suffix = small
                files[image_id] = f"{content_key(image_id)}.{suffix}"
                (folder / files[image_id]).write_bytes(encoded)
        return files


def _script_json(content: object) -> str:
    """JSON that is safe inside a script element: nothing in it ends a script, a comment or a line."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    # Lone surrogates cannot be encoded; the escape can.
    return text.encode("utf-8", "backslashreplace").decode()
