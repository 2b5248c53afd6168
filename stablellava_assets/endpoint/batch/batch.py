"""The same requests through OpenAI's Batch API: within a day, at half the price.

A batch outlives the process that submitted it. The ledger knows it from before it is submitted until its results are
taken, so that the next process that wants the same answers waits for the same batch.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal

from stablellava_assets.endpoint.batch.api import BatchApi, MissingBatchError, MissingFileError
from stablellava_assets.endpoint.batch.ledger import BatchLedger, OpenBatch, Result, Unanswered
from stablellava_assets.endpoint.batch.results import ResultFiles, Standing, missing_from, read_results, told_of
from stablellava_assets.endpoint.call_context import CallContext
from stablellava_assets.endpoint.estimates import prompt_size, worst_cost
from stablellava_assets.endpoint.replies.refusals import RefusedError, UnavailableError
from stablellava_assets.endpoint.requests import ChatOutcome, ChatRequest, EndpointError, body_of
from stablellava_assets.endpoint.resolution import deferred, over_budget, refused, resolve

_FILES_IN_MEMORY = 2


@dataclass(frozen=True)
class _Item:
    """A request, and what is to be sent for it: itself, then perhaps its repair."""

    request: ChatRequest
    to_send: ChatRequest
    worst: Decimal | None
    size: int

    @property
    def id(self) -> str:
        return self.to_send.request_id


class BatchCall:
    """One call of ``ask`` in batches."""

    def __init__(self, call: CallContext) -> None:
        self._settings = call.settings
        self._ledger = call.ledger
        self._price = call.price
        self._transport = call.transport
        self._progress = call.progress
        self._report = call.report
        self._batches = BatchLedger(call.ledger, call.settings.url)
        self._same: dict[str, int] = {}
        self._gathered: list[_Item] = []
        self._held_back: list[_Item] = []
        self._under_way: dict[str, list[_Item]] = {}
        self._paid: set[str] = set()
        self._outcomes: deque[ChatOutcome] = deque()
        self._failed_polls = 0
        self._reported = ""

    def outcomes(self, requests: Iterable[ChatRequest]) -> Iterator[ChatOutcome]:
        """Every request's outcome, once, batch by batch; first of those that are answered already.

        Raises:
            EndpointError: no request can be answered with these settings.
            LedgerError: the ledger could not be written.
        """
        source, more = iter(requests), True
        with BatchApi(self._settings, self._transport) as self._api:
            self._take_leftovers()
            while more or self._gathered or self._held_back or self._under_way:
                while more and self._has_room:
                    request = next(source, None)
                    if request is None:
                        more = False
                    else:
                        self._take(request)
                        yield from self._delivered()
                self._submit()
                ended = self._collect()
                yield from self._delivered()
                if self._under_way and not ended:
                    self._report_changes()
                    time.sleep(self._settings.batch_poll_s)
        self._progress.sample(last=True)
        self._report(self._progress.line())

    @property
    def _has_room(self) -> bool:
        """Whether memory should hold another request, and the budget may have room for it."""
        kept = sum(item.size for items in (self._gathered, *self._under_way.values()) for item in items)
        return not self._held_back and kept < _FILES_IN_MEMORY * self._settings.batch_bytes

    def _take_leftovers(self) -> None:
        """Take the results of batches that earlier processes left behind and that ended since."""
        for batch in self._batches.open_batches():
            with suppress(UnavailableError, MissingBatchError):
                batch_id = self._id_of(batch)
                standing = self._api.look(batch_id) if batch_id is not None else None
                if standing is not None and standing.has_ended:
                    self._take_results(batch.key, standing)

    def _take(self, request: ChatRequest) -> None:
        if request.request_id in self._same:
            self._same[request.request_id] += 1
        else:
            self._same[request.request_id] = 0
            self._continue(request, sent_now=False)

    def _continue(self, request: ChatRequest, *, sent_now: bool = True) -> None:
        """Deliver the outcome if the ledger has it, else gather what is to be sent."""
        step = resolve(self._ledger, request, self._paid)
        if not isinstance(step, ChatRequest):
            self._deliver(step, reused=not sent_now and step.paid_usd == 0)
            return
        body = body_of(self._settings, step)
        worst = worst_cost(prompt_size(body), step.max_output_tokens, self._price)
        item = _Item(request, step, worst, len(self._line(step)))
        file_size = sum(other.size for other in self._gathered) + item.size
        if len(self._gathered) == self._settings.batch_requests or file_size > self._settings.batch_bytes:
            self._submit()
        self._gathered.append(item)

    def _submit(self) -> None:
        """Submit what was gathered, as far as the budget goes, and wait for it; what is under way already is joined."""
        items, self._gathered = self._gathered, []
        if not self._under_way:
            # What was under way may have cost less than was reserved for it.
            items, self._held_back = self._held_back + items, []
        if not items:
            return
        with self._ledger.alone("batches"):
            fresh = [item for item in items if not self._joined(item)]
            batch, admitted = self._batches.begin([(item.to_send, item.worst) for item in fresh], self._settings.model)
            if admitted:
                self._under_way[batch.key] = [item for item in fresh if item.id in admitted]
                self._send(batch)
        rejected = [item for item in fresh if item.id not in admitted]
        if self._under_way:
            self._held_back += rejected
        else:
            for item in rejected:
                self._deliver(over_budget(self._ledger, item.request, self._settings.budget_usd, self._paid))

    def _joined(self, item: _Item) -> bool:
        """Whether an item need not be submitted: an earlier process did, or another one."""
        entry = self._ledger.find(item.id)
        if entry is not None and entry.reply is not None:
            self._continue(item.request)
            return True
        key = self._batches.batch_of(item.id)
        if key is not None:
            self._under_way.setdefault(key, []).append(item)
        return key is not None

    def _send(self, batch: OpenBatch) -> None:
        items = self._under_way[batch.key]
        try:
            with tempfile.TemporaryFile() as file:
                file.writelines(self._line(item.to_send) for item in items)
                file_id = self._api.upload(f"{batch.key}.jsonl", file)
            self._batches.uploaded(batch.key, file_id)
            batch_id = self._api.create(batch, file_id)
            self._batches.created(batch.key, batch_id)
            self._progress.sent += len(items)
        except EndpointError as error:
            self._batches.close(batch.key, {}, Unanswered(str(error)))
            raise
        except UnavailableError as error:
            # Whether it was created is found out by the next call.
            for item in self._under_way.pop(batch.key):
                self._end(item, f"endpoint unavailable: {error.reason}")

    def _line(self, request: ChatRequest) -> bytes:
        line = {
            "custom_id": request.request_id,
            "method": "POST",
            "url": self._api.path,
            "body": body_of(self._settings, request),
        }
        return f"{json.dumps(line)}\n".encode()

    def _collect(self) -> bool:
        """Look at each batch once and finish what has ended. Returns whether any had."""
        opened = {batch.key: batch for batch in self._batches.open_batches()}
        ended = False
        for key in list(self._under_way):
            try:
                batch_id = self._id_of(opened[key]) if key in opened else None
                if batch_id is None:
                    # Another process has taken its results, or had not submitted it when it died.
                    ended = True
                    for item in self._under_way.pop(key):
                        self._continue(item.request)
                elif (standing := self._look(key, batch_id)) is not None and standing.has_ended:
                    ended = True
                    taken = self._take_results(key, standing)
                    if standing.has_no_model:
                        raise EndpointError(f"{self._settings.url}: {missing_from(standing).reason}; check `model`")
                    self._finish(taken, self._under_way.pop(key))
            except UnavailableError as error:
                # It stays open, and what it answered is taken by a later call.
                ended = True
                for item in self._under_way.pop(key):
                    self._end(
                        item,
                        f"endpoint unavailable, and what a batch answered is fetched by a later run: {error.reason}",
                    )
        return ended

    def _id_of(self, batch: OpenBatch) -> str | None:
        """The endpoint's id of a batch; None if it was never submitted, which is then forgotten, or is no longer
        open."""
        if batch.batch_id is not None:
            return batch.batch_id
        with self._ledger.alone("batches"):  # Whoever submits it has done so, or is dead.
            now = {other.key: other for other in self._batches.open_batches()}.get(batch.key)
            if now is None:
                return None
            batch_id = now.batch_id or (self._api.find(now) if now.file_id is not None else None)
            if batch_id is None:
                self._batches.close(now.key, {}, Unanswered("its batch was never submitted"))
            else:
                self._batches.created(now.key, batch_id)
            return batch_id

    def _look(self, key: str, batch_id: str) -> Standing | None:
        """How a batch stands; None if that cannot be learned now. After many such looks its requests are deferred."""
        try:
            standing = self._api.look(batch_id)
        except UnavailableError as error:
            why = f"endpoint unavailable while batch {batch_id} is under way: {error.reason}"
        else:
            if standing.has_ended or standing.is_under_way:
                self._failed_polls = 0
                return standing
            why = (
                f"batch {batch_id} stands at {standing.status!r}, neither under way nor over; the next run looks again"
            )
        self._failed_polls += 1
        if self._failed_polls >= self._settings.attempts:
            for item in self._under_way.pop(key):
                self._end(item, why)
        return None

    def _take_results(self, key: str, batch: Standing) -> dict[str, Result]:
        """Enter the results of an ended batch into the ledger; nothing if another process has.

        Raises:
            UnavailableError: they cannot be fetched now; the batch stays open.
        """
        read = ResultFiles()
        lost = None
        for file_id in batch.files:
            try:
                read_results(read, self._api.lines(file_id), self._settings, self._price, file_id)
            except MissingFileError as error:
                lost = Unanswered(f"the results of batch {batch.batch_id} are lost: {error}", charged=True)
        if read.complaint is not None and not read.results:
            raise UnavailableError(
                f"batch {batch.batch_id}: in place of results: {read.complaint}", may_be_charged=False
            )
        if read.unreadable:
            self._report(f"batch {batch.batch_id}: {told_of(read.unreadable)}; what they are about is asked again")
        taken = self._batches.close(key, read.results, lost or missing_from(batch, read.unreadable))
        for request_id, result in taken.items():
            if not isinstance(result, Unanswered):
                self._paid.add(request_id)
                reply, cost = result
                self._progress.paid(reply.prompt_tokens, reply.completion_tokens, cost)
        return taken

    def _finish(self, taken: Mapping[str, Result], items: Sequence[_Item]) -> None:
        """Deliver what a batch answered; unusable answers go into the next one to be repaired."""
        for item in items:
            result = taken.get(item.id)
            if not isinstance(result, Unanswered):
                self._continue(item.request)
            elif result.refused is None:
                self._end(item, result.reason)
            else:
                self._refuse(item, result.refused)

    def _end(self, item: _Item, reason: str) -> None:
        self._deliver(deferred(self._ledger, item.request, reason, self._paid))

    def _refuse(self, item: _Item, error: RefusedError) -> None:
        self._deliver(refused(self._ledger, item.request, error, self._paid))

    def _deliver(self, outcome: ChatOutcome, *, reused: bool = False) -> None:
        for copy in range(1 + self._same.pop(outcome.request_id)):
            told = replace(outcome, paid_usd=Decimal(0)) if copy else outcome
            self._progress.count(told, reused=reused or copy > 0)
            self._outcomes.append(told)

    def _delivered(self) -> Iterator[ChatOutcome]:
        self._progress.in_flight = sum(map(len, self._under_way.values()))
        while self._outcomes:
            yield self._outcomes.popleft()

    def _report_changes(self) -> None:
        """Report when something has changed."""
        self._progress.sample()
        line = f"{len(self._under_way)} batches under way; {self._progress.line()}"
        if line != self._reported:
            self._reported = line
            self._report(line)
