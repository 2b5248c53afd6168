"""Requests rows in bundles: one request per bundle, and one per row if the bundle fails.

A refused subject, or an answer that a small model cannot form, therefore does not fail the other rows of its bundle.
"""

from __future__ import annotations

import time
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

from pydantic import BaseModel

from stablellava_assets.authors.chat.bundles import RowBundle, split_as_paid
from stablellava_assets.authors.chat.cost_allocation import RowCost, allocated
from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.endpoint.progress import Progress
from stablellava_assets.endpoint.requests import ChatOutcome, ChatRequest
from stablellava_assets.endpoint.usage import Spent, Usage
from stablellava_assets.tables.schemas import DEFERRED


@dataclass(frozen=True)
class AnsweredRow:
    """The answer for one row. ``written`` is None if the outcome has no answer; ``row_cost`` is the row's total
    cost."""

    row_id: str
    written: BaseModel | None
    outcome: ChatOutcome
    row_cost: RowCost


def ask(
    endpoint: ChatEndpoint, bundles: Iterable[RowBundle], wanted: Container[str], usage: Usage
) -> Iterator[AnsweredRow]:
    """Yield the answers for the wanted rows of every bundle as requests finish.

    Args:
        endpoint: the chat endpoint.
        bundles: consumed lazily, as fast as requests can be sent.
        wanted: ids of the rows to answer; the other rows of a bundle were finished before.
        usage: receives the cost of this call.
    """
    waiting: dict[str, RowBundle] = {}
    earlier_costs: dict[str, RowCost] = {}

    def requests(bundles: Iterable[RowBundle]) -> Iterator[ChatRequest]:
        for bundle in bundles:
            request = bundle.chat_request()
            waiting[request.request_id] = bundle
            yield request

    def row_by_row(outcome: ChatOutcome) -> Iterable[ChatRequest] | None:
        if len(waiting[outcome.request_id].row_ids) == 1:
            return None
        bundle = waiting.pop(outcome.request_id)
        row_costs = zip(bundle.row_ids, allocated(outcome, len(bundle.row_ids)), strict=True)
        earlier_costs.update({row_id: row_cost for row_id, row_cost in row_costs if row_id in wanted})
        return requests(bundle.only([row_id]) for row_id in bundle.row_ids if row_id in wanted)

    paid_before = (
        part for bundle in bundles for part in split_as_paid(bundle, endpoint.ledger, lambda part: part.chat_request())
    )
    progress, before = Progress(), Spent()
    for outcome in endpoint.ask(requests(paid_before), progress=progress, instead=row_by_row):
        so_far = _paid(progress)
        usage.add(int(time.time()), so_far.less(before))
        before = so_far
        bundle = waiting.pop(outcome.request_id)
        for row_id, row_cost in zip(bundle.row_ids, allocated(outcome, len(bundle.row_ids)), strict=True):
            if row_id in wanted:
                written = None if outcome.answer is None else bundle.written(outcome.answer, row_id)
                yield AnsweredRow(
                    row_id,
                    written,
                    outcome,
                    row_cost.plus(earlier_costs[row_id]) if row_id in earlier_costs else row_cost,
                )


def _paid(progress: Progress) -> Spent:
    return Spent(
        progress.finished - progress.reused - progress.outcomes[DEFERRED],
        progress.prompt_tokens,
        progress.completion_tokens,
        progress.paid_usd,
        progress.unknown_costs,
    )
