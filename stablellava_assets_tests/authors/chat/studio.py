"""The stages that the chat author works in, without Dagster: plan, resume, make, publish,
paint and judge, all of them real.

As a process of its own (to be killed): ``python -m stablellava_assets_tests.authors.chat.studio FOLDER URL COUNT``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import yaml

from stablellava_assets.abilities.catalog import AnyAbility, Catalog, load_catalog
from stablellava_assets.authors.chat.author import ChatAuthor
from stablellava_assets.authors.settings import ChatAuthorSettings
from stablellava_assets.filters.benchmark_fingerprints import BenchmarkFingerprints
from stablellava_assets.filters.candidates import Candidate
from stablellava_assets.filters.settings import FilterSettings
from stablellava_assets.painters.embedded.painter import EmbeddedPainter
from stablellava_assets.painters.settings import EmbeddedPainterSettings
from stablellava_assets.tables.complete_rows import complete_rows
from stablellava_assets.tables.journal import RowJournal
from stablellava_assets.tables.rows import AnyPlanned
from stablellava_assets.tables.schemas import DIALOGUES, FILTERED_PAIRS, IMAGES, MADE, PROMPT_SPECS, REJECTED_PAIRS
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets.tables.table import AnyTable
from stablellava_assets_tests.fakes.chat_model import MODEL
from stablellava_assets_tests.filters.pairs import judge
from stablellava_assets_tests.tables.made_up import Row, but
from stablellava_assets_tests.tables.refreshing import refresh

CATALOG = load_catalog()
NOTHING: dict[str, Any] = {"ignored_keywords": []}


class Studio:
    """One data folder, and the author that a new process would make for it whenever it is asked for."""

    written = (PROMPT_SPECS, DIALOGUES)

    def __init__(self, folder: Path, url: str, catalog: Catalog = CATALOG) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.catalog = catalog
        self.store = ParquetStore(str(folder / "tables"))
        self.ledger_path = folder / "chat_ledger.sqlite"
        prices = folder / "prices.yaml"
        prices.write_text(yaml.safe_dump({MODEL: {"input": 1, "output": 2}}))
        self.endpoint: dict[str, Any] = {
            "base_url": url,
            "model": MODEL,
            "prices": str(prices),
            "api_key_variable": None,
            "backoff_s": 0.02,
        }
        self.settings: dict[str, Any] = {}
        self.run = 0

    def author(self) -> ChatAuthor:
        """As a new process makes it."""
        document = {"kind": "chat", "endpoint": self.endpoint, **self.settings}
        return ChatAuthor(ChatAuthorSettings.model_validate(document), self.store, self.ledger_path)

    def ability(self, name: str) -> AnyAbility:
        return self.catalog[name]

    def write_prompts(self, ability: str, batch: str, count: int) -> list[Row]:
        """Bring the prompts of a partition up to date and publish them."""
        author = self.author()
        planned = author.plan_prompts(self.ability(ability), batch, count)
        return self._publish(PROMPT_SPECS, (ability, batch), planned, author.write_prompts)

    def paint(self, ability: str, batch: str) -> None:
        """Paint what was written."""
        painter = EmbeddedPainter(EmbeddedPainterSettings(kind="embedded", size=48, workers=1), self.catalog)
        specs = [row for row in self.rows(PROMPT_SPECS, ability, batch) if row["status"] == MADE]
        self._publish(IMAGES, (ability, batch), painter.plan(specs), painter.paint)

    def painted(self, ability: str, batch: str) -> list[tuple[Row, Row]]:
        """What dialogues are written about."""
        specs = {row["spec_id"]: row for row in self.rows(PROMPT_SPECS, ability, batch)}
        images = [row for row in self.rows(IMAGES, ability, batch) if row["status"] == MADE]
        return [(specs[row["spec_id"]], {key: value for key, value in row.items() if key != "image"}) for row in images]

    def as_if_painted(self, ability: str, batch: str) -> list[tuple[Row, Row]]:
        """All prompts, with images that do not exist."""
        specs = [row for row in self.rows(PROMPT_SPECS, ability, batch) if row["status"] == MADE]
        return [(row, dict.fromkeys(("image_id", "spec_id", "sha256"), row["spec_id"]) | NOTHING) for row in specs]

    def write_dialogues(self, ability: str, batch: str, painted: list[tuple[Row, Row]] | None = None) -> list[Row]:
        """Bring the dialogues of a partition up to date and publish them."""
        author = self.author()
        about: Any = self.painted(ability, batch) if painted is None else painted
        planned = author.plan_dialogues(self.ability(ability), about)
        return self._publish(DIALOGUES, (ability, batch), planned, author.write_dialogues)

    def judge(self, ability: str, batch: str, settings: FilterSettings | None = None) -> tuple[list[Row], list[Row]]:
        """Judge the pairs of a partition by themselves, and publish what is kept and what is rejected."""
        specs = {row["spec_id"]: row for row in self.rows(PROMPT_SPECS, ability, batch)}
        images = {row["image_id"]: row for row in self.rows(IMAGES, ability, batch)}
        candidates = [
            Candidate(row, specs[row["spec_ids"][0]], images[row["image_ids"][0]])
            for row in self.rows(DIALOGUES, ability, batch)
            if row["status"] == MADE
        ]
        judged = judge(candidates, [], BenchmarkFingerprints([], 2), settings or FilterSettings())
        for table, rows in ((FILTERED_PAIRS, judged.kept), (REJECTED_PAIRS, judged.rejected)):
            self.store.publish(table, (ability, batch), table.from_rows([but(row, run_id="run") for row in rows]))
        return judged.kept, judged.rejected

    def whole_batch(self, ability: str, batch: str, count: int) -> None:
        """Everything up to the verdicts."""
        self.write_prompts(ability, batch, count)
        self.paint(ability, batch)
        self.write_dialogues(ability, batch)
        self.judge(ability, batch)

    def rows(self, table: AnyTable, ability: str, batch: str) -> list[Row]:
        data = self.store.read(table, (ability, batch))
        assert data is not None
        rows: list[Row] = data.to_pylist()
        return rows

    def _publish(
        self,
        table: AnyTable,
        partition: tuple[str, str],
        planned: Sequence[AnyPlanned],
        make: Callable[[Sequence[Any]], Iterable[Row]],
    ) -> list[Row]:
        self.run += 1
        previous = self.store.read(table, partition)
        with RowJournal(self.folder / "journal", table, partition) as journal:
            refreshed = refresh(table, planned, previous, journal, make, f"run {self.run}", lambda line: None)
            with self.store.open(table, partition) if previous is not None else nullcontext() as published:
                self.store.publish(table, partition, complete_rows(refreshed.taken, published, journal))
            journal.discard()
        made: list[Row] = refreshed.data.to_pylist()
        return made


def content(rows: list[Row]) -> list[Mapping[str, Any]]:
    """Rows without the run that made them."""
    return [{key: value for key, value in row.items() if key != "run_id"} for row in rows]


def total(rows: list[Row], column: str) -> Any:
    """The exact sum of a column; costs in picodollars."""
    values = [row[column] for row in rows if row[column] is not None]
    return sum(round(value * 1e12) for value in values) if column == "cost_usd" else sum(values)


def main(folder: str, url: str, count: str) -> None:
    studio = Studio(Path(folder), url)
    studio.settings = {"subjects": "drawn", "prompts_per_request": 3}
    studio.endpoint["initial_in_flight"] = studio.endpoint["max_in_flight"] = 4
    studio.write_prompts("animal", "0001", int(count))
    studio.paint("animal", "0001")
    studio.write_dialogues("animal", "0001")


if __name__ == "__main__":
    main(*sys.argv[1:])
