"""The ledger: every request with its answer and its cost, so that nothing is paid twice and no budget is exceeded.

One a data folder, shared by all its processes, or one in the database that several machines share. An answer is in it
before anything is done with it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from typing import Any

from stablellava_assets.endpoint.prices import PICO
from stablellava_assets.endpoint.replies.replies import Reply
from stablellava_assets.endpoint.requests import ChatRequest
from stablellava_assets.inputs.explained import ExplainedError
from stablellava_assets.state.database import DatabaseError
from stablellava_assets.state.locks import Lease
from stablellava_assets.state.sql import SharedTables, SqlError, StatePlace, state_of

_VERSION = 1
_MOST = 2**62
"""More picodollars than anybody spends."""
_SCHEMA = """
CREATE TABLE requests (
    request_id TEXT PRIMARY KEY,
    stage TEXT NOT NULL,
    model TEXT NOT NULL,
    repair_of TEXT,
    state TEXT NOT NULL CHECK (state IN ('unanswered', 'answered', 'failed')),
    attempts INTEGER NOT NULL,
    held BIGINT NOT NULL,
    text TEXT,
    refusal TEXT,
    finish_reason TEXT,
    answered_by TEXT,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    cached_tokens INTEGER,
    cost BIGINT,
    reason TEXT
);
CREATE INDEX by_use ON requests (stage, model) WHERE state = 'answered';
CREATE TABLE batches (
    batch_key TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    file_id TEXT,
    batch_id TEXT,
    begun_at DOUBLE PRECISION NOT NULL
);
CREATE TABLE batch_requests (request_id TEXT PRIMARY KEY, batch_key TEXT NOT NULL, worst TEXT);
CREATE INDEX by_batch ON batch_requests (batch_key);
CREATE TABLE totals (spent BIGINT NOT NULL, held BIGINT NOT NULL, unknown INTEGER NOT NULL);
INSERT INTO totals VALUES (0, 0, 0);
"""


class LedgerError(ExplainedError, RuntimeError):
    """The ledger cannot be opened or written; the message names it and what to do."""


@dataclass(frozen=True)
class Entry:
    """What the ledger knows of a request: its ``reply`` once answered, and how often it was sent."""

    reply: Reply | None
    cost: Decimal | None
    attempts: int


@dataclass(frozen=True)
class Spending:
    """US dollars over the whole ledger.

    ``held`` is reserved for requests under way, and stays reserved where nobody learned whether the endpoint charged
    for them: a killed process, a lost connection. It counts against the budget. ``unknown`` answers have no known cost.
    """

    spent: Decimal
    held: Decimal
    unknown: int


@dataclass(frozen=True)
class Usage:
    """Averages over the ``requests`` of a stage that were answered, repairs included in what each one took."""

    requests: int
    prompt_tokens: float | None
    completion_tokens: float | None
    cost_usd: float | None


class Ledger:
    """The ledger at ``place``, opened, and made if it is not there.

    Args:
        place: the SQLite file, or the schema in a database.
        budget: most US dollars that all its requests may cost together; None for no limit.

    Raises:
        LedgerError: it is damaged, of another version, or cannot be written.
    """

    def __init__(self, place: StatePlace, budget: Decimal | None = None) -> None:
        self._state = state_of(place)
        self._budget = None if budget is None else _picos(budget)
        self._lock = threading.RLock()
        try:
            self._tables = self._state.open(_SCHEMA, _VERSION)
        except DatabaseError as error:
            raise LedgerError(str(error)) from None
        except SqlError as error:
            raise LedgerError(
                f"{self._state}: cannot be opened ({error}); move it away to start with no paid answers"
            ) from None

    def close(self) -> None:
        """Close it."""
        self._tables.close()

    def alone(self, what: str) -> AbstractContextManager[Lease]:
        """A context that one process of all that use this ledger is in at a time."""
        return self._state.locks.hold(self._state.lock_name(what))

    def find(self, request_id: str) -> Entry | None:
        """What is known of a request; None if it was never sent."""
        found = self._read(
            "SELECT state, attempts, text, refusal, finish_reason, answered_by, prompt_tokens, completion_tokens, "
            "cached_tokens, cost FROM requests WHERE request_id = ?",
            request_id,
        )
        if not found:
            return None
        ((state, attempts, *reply, cost),) = found
        return Entry(Reply(*reply) if state == "answered" else None, _dollars(cost), attempts)

    def reserve(self, request: ChatRequest, model: str, worst: Decimal | None) -> bool:
        """Enter that a request is about to be sent and may cost ``worst`` US dollars (None: unknown).

        Returns False, and enters nothing, when the budget has no room for it.
        """
        amount = _picos(worst)
        room = _MOST if self._budget is None else self._budget - amount
        with self._entering() as tables:
            # The second statement has the condition of the first, whose totals are unchanged.
            entered = tables.enter(
                (
                    "INSERT INTO requests (request_id, stage, model, repair_of, state, attempts, held) "
                    "SELECT ?, ?, ?, ?, 'unanswered', 1, ? FROM totals WHERE spent + held <= ? "
                    "ON CONFLICT (request_id) DO UPDATE SET "
                    "attempts = requests.attempts + 1, held = requests.held + excluded.held, "
                    "state = CASE requests.state WHEN 'answered' THEN 'answered' ELSE 'unanswered' END",
                    (request.request_id, request.stage, model, request.repair_of, amount, room),
                ),
                ("UPDATE totals SET held = held + ? WHERE spent + held <= ?", (amount, room)),
            )
        return entered > 0

    def settle(self, request_id: str, reply: Reply, cost: Decimal | None, worst: Decimal | None) -> None:
        """Enter the answer to a reserved request. Of several answers to one request the first with a
        text counts, but all are paid.

        An answer of unknown cost keeps what was reserved for it.
        """
        freed = 0 if cost is None else _picos(worst)
        values = (reply.text, reply.refusal, reply.finish_reason, reply.model)
        tokens = (reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens)
        with self._entering() as tables:
            tables.enter(
                (
                    "UPDATE requests SET state = 'answered', held = held - ?, reason = NULL, text = ?, refusal = ?, "
                    "finish_reason = ?, answered_by = ?, prompt_tokens = ?, completion_tokens = ?, cached_tokens = ?, "
                    "cost = CASE state WHEN 'answered' THEN cost ELSE 0 END + ? "
                    "WHERE request_id = ? AND (state <> 'answered' OR trim(text) = '')",
                    (freed, *values, *tokens, None if cost is None else _picos(cost), request_id),
                ),
                (
                    "UPDATE totals SET held = held - ?, spent = spent + ?, unknown = unknown + ?",
                    (freed, _picos(cost), int(cost is None)),
                ),
            )

    def release(self, request_id: str, worst: Decimal | None, failure: str | None = None) -> None:
        """Free what was reserved for a request that the endpoint did not charge for;
        ``failure`` if it refused it for good.

        A request that it may have charged for although no answer arrived is not released.
        """
        amount = _picos(worst)
        with self._entering() as tables:
            tables.enter(
                (
                    "UPDATE requests SET held = held - ?, reason = ?, "
                    "state = CASE ? WHEN 1 THEN 'failed' ELSE state END WHERE request_id = ? AND state <> 'answered'",
                    (amount, failure, int(failure is not None), request_id),
                ),
                ("UPDATE totals SET held = held - ?", (amount,)),
            )

    def spending(self) -> Spending:
        """What all requests of this ledger cost."""
        ((spent, held, unknown),) = self._read("SELECT spent, held, unknown FROM totals")
        return Spending(spent * PICO, held * PICO, unknown)

    def usage(self, stage: str, model: str) -> Usage | None:
        """Measured averages of a stage with a model; None where nothing was answered yet."""
        ((requests, replies, prompt, completion, counted, cost, priced),) = self._read(
            "SELECT count(*) FILTER (WHERE repair_of IS NULL), count(*), CAST(sum(prompt_tokens) AS BIGINT), "
            "CAST(sum(completion_tokens) AS BIGINT), count(prompt_tokens), CAST(sum(cost) AS BIGINT), count(cost) "
            "FROM requests "
            "WHERE stage = ? AND model = ? AND state = 'answered'",
            stage,
            model,
        )
        if not requests:
            return None

        def average(total: int | None, known: int) -> float | None:
            return None if total is None else total / known * replies / requests

        dollars = average(cost, priced)
        return Usage(
            requests,
            average(prompt, counted),
            average(completion, counted),
            None if dollars is None else dollars * float(PICO),
        )

    @contextmanager
    def transaction(self) -> Iterator[SharedTables]:
        """What is entered inside is entered together or not at all; joins one that is under way.

        Raises:
            LedgerError: it could not be written.
        """
        with self._entering() as tables:
            if tables.in_transaction:
                yield tables
                return
            with tables.transaction():
                yield tables

    @contextmanager
    def _entering(self) -> Iterator[SharedTables]:
        with self._lock:
            try:
                yield self._tables
            except SqlError as error:
                raise LedgerError(
                    f"{self._state}: could not be written ({error}); {self._state.remedy} and run again, paid answers "
                    "are kept"
                ) from error

    def _read(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        try:
            with self._lock:
                return self._tables.execute(query, values).fetchall()
        except SqlError as error:
            raise LedgerError(f"{self._state}: could not be read ({error})") from error


def _picos(dollars: Decimal | None) -> int:
    return 0 if dollars is None else int((dollars / PICO).to_integral_value(ROUND_UP))


def _dollars(picos: int | None) -> Decimal | None:
    return None if picos is None else picos * PICO
