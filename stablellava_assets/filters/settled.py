"""The verdicts as if all batches had been filtered in order, whatever order they were filtered in.

A batch is compared with the batches before it that were published when it was filtered. If others have been published
since, its repeats are found again from the published verdicts. Nothing else is judged again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from stablellava_assets.filters.judge import rejudge
from stablellava_assets.filters.near_duplicates.comparisons import (
    KEPT_COLUMNS,
    NOTHING,
    KeptVersions,
    followed_by,
    judged_key,
    kept_version,
    recorded,
    sequences,
)
from stablellava_assets.filters.near_duplicates.earlier_pairs import EarlierPairs
from stablellava_assets.filters.settings import FilterSettings
from stablellava_assets.inputs.explained import ExplainedError
from stablellava_assets.tables.overlaid import OverlaidStore
from stablellava_assets.tables.pair_rows import Verdict
from stablellava_assets.tables.reading import texts_of
from stablellava_assets.tables.schemas import DIALOGUES, FILTERED_PAIRS, REJECTED_PAIRS
from stablellava_assets.tables.store import ParquetStore, Partition

_MOST_NAMED = 5


class UnsettledError(ExplainedError, RuntimeError):
    """The published verdicts on a batch are incomplete; the message names the command that completes them."""


class Settled(NamedTuple):
    """Tables with verdicts as if all batches had been filtered in order.

    ``store`` is the given one if its verdicts are so already. ``rejudged`` are the partitions whose published verdicts
    differ from these, in order.
    """

    store: ParquetStore
    rejudged: tuple[Partition, ...] = ()

    @property
    def notice(self) -> str | None:
        """What was found again, and the commands that publish it; None if nothing was."""
        if not self.rejudged:
            return None
        named = ["|".join(partition) for partition in self.rejudged[:_MOST_NAMED]]
        more = f", and {len(self.rejudged) - _MOST_NAMED} more" if len(self.rejudged) > _MOST_NAMED else ""
        commands = "\n".join(f"  {_command(name)}" for name in named)
        return (
            f"earlier batches were filtered after {', '.join(named)}{more}, whose pairs repeat others than "
            "filtered_pairs says. Their repeats were found again, and the pairs are those of batches that are filtered "
            f"in order. To publish them so:\n{commands}"
        )


class Settling:
    """Settles the verdicts of a profile.

    Args:
        settings: its filters.
        folder: local folder where embeddings are kept.
        report: receives a line per partition that is judged again.
    """

    def __init__(
        self, settings: FilterSettings, folder: Path, report: Callable[[str], None] = lambda line: None
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._report = report

    def settle(self, store: ParquetStore, partitions: Sequence[Partition] | None = None) -> Settled:
        """The tables with settled verdicts on ``partitions``, by default on all.

        Raises:
            UnsettledError: a partition was interrupted while it was published, and earlier ones have changed since.
            PretrainedModelError: the settings name an embedding model that cannot be loaded.
            StoreError: a partition cannot be read.
        """
        rejudged: list[Partition] = []
        overlaid: OverlaidStore | None = None
        across = self._settings.duplicates.across_abilities
        for sequence in sequences(store.partitions(FILTERED_PAIRS), across):
            wanted = len(sequence)
            if partitions is not None:
                wanted = max((at for at, name in enumerate(sequence, 1) if name in partitions), default=0)
            # The first has nothing to be compared with.
            if wanted < 2:
                continue
            compared = NOTHING
            for partition, version in KeptVersions(store).of(sequence[:wanted]).items():
                if compared != NOTHING and not _is_settled(store, partition, version, compared):
                    if overlaid is None:
                        overlaid = OverlaidStore(store)
                        earlier = EarlierPairs(overlaid, self._folder, self._settings.duplicates)
                    self._report(f"finding the repeats in {'|'.join(partition)} again")
                    if self._rejudge(overlaid, earlier, partition):
                        rejudged.append(partition)
                        kept = kept_version(overlaid.read_all(FILTERED_PAIRS, [partition], KEPT_COLUMNS))
                        compared = followed_by(compared, partition, kept)
                        continue
                compared = followed_by(compared, partition, version)
        return Settled(store if overlaid is None or not rejudged else overlaid, tuple(rejudged))

    def _rejudge(self, store: OverlaidStore, earlier: EarlierPairs, partition: Partition) -> bool:
        """Find the repeats of a partition again; returns whether verdicts have changed."""
        verdicts = _verdicts(store, partition)
        found = earlier.repeatable_by(partition, verdicts)
        judged = rejudge(verdicts, found.pairs, self._settings, earlier.embeddings)
        if all(_is_same(row, published) for row, published in zip(judged.rows, verdicts, strict=True)):
            return False
        for table, rows in ((REJECTED_PAIRS, judged.rejected), (FILTERED_PAIRS, judged.kept)):
            store.publish(table, partition, table.from_rows(rows))
        return True


def _is_settled(store: ParquetStore, partition: Partition, kept: str, compared: str) -> bool:
    known = recorded(store, partition)
    return known is not None and known["kept"] == kept and known["compared_with"] == compared


def _is_same(row: Verdict, published: Verdict) -> bool:
    """Whether the findings are the same; earlier versions published them in another order."""
    return sorted(map(str, row["findings"])) == sorted(map(str, published["findings"]))


def _verdicts(store: ParquetStore, partition: Partition) -> list[Verdict]:
    """The published verdicts on a partition, kept or not, in the order in which they were judged."""
    rows = [row for table in (FILTERED_PAIRS, REJECTED_PAIRS) for row in table.rows(store.read_all(table, [partition]))]
    ids = [row["pair_id"] for row in rows]
    known = recorded(store, partition)
    if len(set(ids)) < len(ids) or (known is not None and known["pairs"] != judged_key(ids)):
        name = "|".join(partition)
        raise UnsettledError(
            f"{name}: a run was interrupted while it published filtered_pairs, and earlier batches have changed since. "
            f"Filter it again:\n  {_command(name)}"
        )
    written = texts_of(store.read_all(DIALOGUES, [partition], ["pair_id"]), "pair_id")
    at = {pair_id: position for position, pair_id in enumerate(written)}
    return sorted(rows, key=lambda row: (at.get(row["pair_id"], len(at)), row["pair_id"]))


def _command(partition: str) -> str:
    return f"dagster asset materialize --select filtered_pairs --partition '{partition}'"
