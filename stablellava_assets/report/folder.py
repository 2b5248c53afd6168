"""The reports on disk: a page a checkpoint, and an index of them; each opens as a file and needs nothing beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from stablellava_assets.inputs.explained import ExplainedError, remedy_of, said_by_the_system
from stablellava_assets.report.content import gather, measured_by_benchmark
from stablellava_assets.report.page import index_html, report_html
from stablellava_assets.report.settings import ReportSettings
from stablellava_assets.tables.files import publish_file
from stablellava_assets.tables.reading import texts_of
from stablellava_assets.tables.schemas import ABILITY_SCORES, LLAVA_CHECKPOINT
from stablellava_assets.tables.store import ParquetStore


class ReportError(ExplainedError, RuntimeError):
    """The report could not be made; the message says why and what to do."""


class Report:
    """The pages in one folder.

    Args:
        folder: where the pages lie or will lie.
        store: where scores, answers, pairs and pictures are read.
        settings: how much is shown.
        judged_kinds: kinds of questions for which a judge's verdict counts instead of the keywords.
    """

    def __init__(
        self, folder: Path, store: ParquetStore, settings: ReportSettings, judged_kinds: Sequence[str] = ()
    ) -> None:
        self._judged_kinds = judged_kinds
        self._folder = folder
        self._store = store
        self._settings = settings

    @property
    def index(self) -> Path:
        """The page that lists the others."""
        return self._folder / "index.html"

    def page(self, checkpoint_id: str) -> Path:
        """Where a checkpoint's page lies or would lie."""
        return self._folder / f"{checkpoint_id}.html"

    def publish(self, checkpoint_id: str | None = None) -> Path:
        """Make the page of a checkpoint, of the current one unless given, from what the tables hold now; returns its path.

        The pages of other checkpoints stay as they are, as what they were made from may be gone.

        Raises:
            ReportError: there is no such checkpoint, it has not been scored, or the folder cannot be written.
        """
        known = texts_of(self._store.read_all(LLAVA_CHECKPOINT, columns=["checkpoint_id"]), "checkpoint_id")
        if not known:
            raise ReportError("nothing has been tuned yet; run `make demo`")
        chosen = known[-1] if checkpoint_id is None else checkpoint_id
        if chosen not in known:
            raise ReportError(f"no checkpoint {chosen!r}; there are {', '.join(known)}")
        content = gather(self._store, chosen, self._settings, self._judged_kinds)
        if content is None:
            raise ReportError(
                f"checkpoint {chosen} has not been scored; run `dagster asset materialize --select ability_scores`"
            )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self._folder / ".lock"):
                publish_file(self.page(chosen), report_html(content))
                publish_file(self.index, self._index())
        except OSError as error:
            raise ReportError(
                f"{self._folder}: the report cannot be written ({said_by_the_system(error)}); {remedy_of(error)}, then run `stablellava report`; "
                "the tables are published and untouched."
            ) from error
        return self.page(chosen)

    def _index(self) -> bytes:
        """Every scored checkpoint that has a page, the current one first."""
        listed = []
        for checkpoint in reversed(LLAVA_CHECKPOINT.rows(self._store.read_all(LLAVA_CHECKPOINT))):
            scores = self._store.read(ABILITY_SCORES, (checkpoint["checkpoint_id"],))
            page = self.page(checkpoint["checkpoint_id"])
            if scores is not None and page.exists():
                listed.append((checkpoint, page.name, measured_by_benchmark(ABILITY_SCORES.rows(scores))))
        return index_html(listed)
