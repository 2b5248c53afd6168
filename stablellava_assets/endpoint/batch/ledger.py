"""What the ledger knows of batches that are under way, so that each is submitted once and none is forgotten."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from stablellava_assets.endpoint.ledger import Ledger
from stablellava_assets.endpoint.replies.refusals import RefusedError
from stablellava_assets.endpoint.replies.replies import Reply
from stablellava_assets.endpoint.requests import ChatRequest


@dataclass(frozen=True)
class OpenBatch:
    """A batch whose results were not taken yet.

    Without ``file_id`` it was never submitted; with a ``file_id`` alone it may have been. ``begun_at``
    is in seconds since the epoch.
    """

    key: str
    file_id: str | None
    batch_id: str | None
    begun_at: float


@dataclass(frozen=True)
class Unanswered:
    """Why a request of a batch has no answer. ``refused``: as the endpoint did. ``charged``: perhaps it was paid."""

    reason: str
    refused: RefusedError | None = None
    charged: bool = False


Result = tuple[Reply, Decimal | None] | Unanswered
"""An answer with its cost (None: unknown), or why there is none."""


class BatchLedger:
    """The batches in a ledger that went to one endpoint."""

    def __init__(self, ledger: Ledger, url: str) -> None:
        self._ledger = ledger
        self._url = url

    def begin(self, requests: Iterable[tuple[ChatRequest, Decimal | None]], model: str) -> tuple[OpenBatch, set[str]]:
        """Enter a batch that is about to be submitted, with each request and what it may cost.

        Returns the ids of those that the budget had room for: they make the batch, the others are not entered.
        """
        batch = OpenBatch(uuid.uuid4().hex, None, None, time.time())
        admitted: set[str] = set()
        with self._ledger.transaction() as connection:
            for request, worst in requests:
                if self._ledger.reserve(request, model, worst):
                    admitted.add(request.request_id)
                    connection.execute(
                        "INSERT INTO batch_requests VALUES (?, ?, ?)",
                        (request.request_id, batch.key, None if worst is None else str(worst)),
                    )
            if admitted:
                connection.execute(
                    "INSERT INTO batches VALUES (?, ?, NULL, NULL, ?)", (batch.key, self._url, batch.begun_at)
                )
        return batch, admitted

    def uploaded(self, key: str, file_id: str) -> None:
        """Enter that the file of requests is there, and the batch about to be created."""
        with self._ledger.transaction() as connection:
            connection.execute("UPDATE batches SET file_id = ? WHERE batch_key = ?", (file_id, key))

    def created(self, key: str, batch_id: str) -> None:
        """Enter under which id the endpoint works on the batch."""
        with self._ledger.transaction() as connection:
            connection.execute("UPDATE batches SET batch_id = ? WHERE batch_key = ?", (batch_id, key))

    def open_batches(self) -> list[OpenBatch]:
        """Every batch whose results were not taken, the oldest first."""
        with self._ledger.transaction() as connection:
            rows = connection.execute(
                "SELECT batch_key, file_id, batch_id, begun_at FROM batches WHERE url = ? ORDER BY begun_at, batch_key",
                (self._url,),
            ).fetchall()
        return [OpenBatch(*row) for row in rows]

    def batch_of(self, request_id: str) -> str | None:
        """The key of the batch that a request is under way in."""
        with self._ledger.transaction() as connection:
            row = connection.execute(
                "SELECT batch_key FROM batch_requests WHERE request_id = ?", (request_id,)
            ).fetchone()
        return row[0] if row else None

    def close(self, key: str, results: Mapping[str, Result], otherwise: Unanswered) -> dict[str, Result]:
        """Take the results of a batch, all or none; what it holds no result of ended as ``otherwise`` says.

        Returns what became of each request; nothing if another process has closed the batch already.
        """
        taken: dict[str, Result] = {}
        with self._ledger.transaction() as connection:
            requests = connection.execute(
                "SELECT request_id, worst FROM batch_requests WHERE batch_key = ?", (key,)
            ).fetchall()
            for request_id, worst_text in requests:
                worst = None if worst_text is None else Decimal(worst_text)
                taken[request_id] = result = results.get(request_id, otherwise)
                if not isinstance(result, Unanswered):
                    self._ledger.settle(request_id, *result, worst)
                elif not result.charged:
                    self._ledger.release(request_id, worst, result.reason if result.refused else None)
            connection.execute("DELETE FROM batch_requests WHERE batch_key = ?", (key,))
            connection.execute("DELETE FROM batches WHERE batch_key = ?", (key,))
        return taken
