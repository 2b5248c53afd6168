"""The reports on disk: one self-contained page per checkpoint, and an index."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from stablellava_assets.evaluation.scores.power import WANTED_GAIN
from stablellava_assets.filters.settled import Settling
from stablellava_assets.inputs.explained import ExplainedError, remedy_of, system_message
from stablellava_assets.report.content import gather, measured_by_benchmark
from stablellava_assets.report.page import index_html, report_html
from stablellava_assets.report.settings import ReportSettings
from stablellava_assets.tables.checkpoints import checkpoint_ids, checkpoints
from stablellava_assets.tables.files import publish_file
from stablellava_assets.tables.places import Place
from stablellava_assets.tables.schemas import ABILITY_SCORES
from stablellava_assets.tables.score_rows import Checkpoint
from stablellava_assets.tables.store import ParquetStore


class ReportError(ExplainedError, RuntimeError):
    """The report could not be made; the message names the problem and the remedy."""


class Report:
    """The pages in one folder, and where they are published.

    Args:
        folder: the folder of the pages.
        store: source of scores, answers, pairs and images.
        settings: how much is shown.
        judged_kinds: question kinds for which a judge's verdict replaces the keywords.
        settling: settles the verdicts, as before they are trained on; by default they are taken as published.
        published: where the pages of all machines are; None if the folder is the only place.
        wanted_gain: the gain in accuracy that verdicts should be able to show.
    """

    def __init__(
        self,
        folder: Path,
        store: ParquetStore,
        settings: ReportSettings,
        judged_kinds: Sequence[str] = (),
        settling: Settling | None = None,
        published: Place | None = None,
        wanted_gain: float = WANTED_GAIN,
    ) -> None:
        self._wanted_gain = wanted_gain
        self._settling = settling
        self._published = published
        self._judged_kinds = judged_kinds
        self._folder = folder
        self._store = store
        self._settings = settings

    @property
    def index(self) -> Path:
        """Path of the index."""
        return self._folder / "index.html"

    def page(self, checkpoint_id: str) -> Path:
        """Path of a checkpoint's page, which may not exist yet."""
        return self._folder / f"{checkpoint_id}.html"

    def publish(self, checkpoint_id: str | None = None) -> Path:
        """Write the page of a checkpoint (the current one by default) from the current tables; returns its path.

        The pages of other checkpoints are unchanged, because the rows behind them may be gone.

        Raises:
            ReportError: there is no such checkpoint, it has not been scored, or the folder cannot be written.
        """
        known = checkpoint_ids(self._store)
        if not known:
            raise ReportError("nothing has been tuned yet; run `make demo`")
        chosen = known[-1] if checkpoint_id is None else checkpoint_id
        if chosen not in known:
            raise ReportError(f"no checkpoint {chosen!r}; there are {', '.join(known)}")
        store = self._store if self._settling is None else self._settling.settle(self._store).store
        content = gather(store, chosen, self._settings, self._judged_kinds, self._wanted_gain)
        if content is None:
            raise ReportError(
                f"checkpoint {chosen} has not been scored; run `dagster asset materialize --select ability_scores`"
            )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self._folder / ".lock"):
                publish_file(self.page(chosen), report_html(content))
                self._fetch(known)
                publish_file(self.index, self._index())
                for page in (self.page(chosen), self.index):
                    if self._published is not None:
                        self._published.write(page.name, page.read_bytes())
        except OSError as error:
            raise ReportError(
                f"{self._folder}: the report cannot be written ({system_message(error)}); {remedy_of(error)}, then run "
                "`stablellava report`; the tables are published and untouched."
            ) from error
        return self.page(chosen)

    def _fetch(self, checkpoint_ids: Sequence[str]) -> None:
        """Fetch the pages that other machines made."""
        there = set() if self._published is None else set(self._published.names(""))
        for page in map(self.page, checkpoint_ids):
            if self._published is not None and page.name in there and not page.exists():
                publish_file(page, self._published.read(page.name) or b"")

    def _index(self) -> bytes:
        """Every scored checkpoint that has a page, the current one first."""
        listed = []
        for checkpoint in reversed(checkpoints(self._store, Checkpoint)):
            scores = self._store.read(ABILITY_SCORES, (checkpoint["checkpoint_id"],))
            page = self.page(checkpoint["checkpoint_id"])
            if scores is not None and page.exists():
                listed.append((checkpoint, page.name, measured_by_benchmark(ABILITY_SCORES.rows(scores))))
        return index_html(listed)
