"""Ask for bundles of rows: a bundle in one request, and each row by itself where the bundle failed.

So that one refused subject, or one answer that a small model cannot form, does not take its neighbours along.
"""

from __future__ import annotations

import time
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

from pydantic import BaseModel

from stablellava_assets.authors.chat.bundles import Bundle, as_paid
from stablellava_assets.authors.chat.cost_allocation import CostShare, allocated
from stablellava_assets.endpoint.chat_endpoint import ChatEndpoint
from stablellava_assets.endpoint.progress import Progress
from stablellava_assets.endpoint.requests import ChatOutcome, ChatRequest
from stablellava_assets.endpoint.usage import Spent, Usage
from stablellava_assets.tables.schemas import DEFERRED


@dataclass(frozen=True)
class Answered:
    """What became of one row. ``written`` is None where the outcome says why; ``share`` is all that was taken for it."""

    row_id: str
    written: BaseModel | None
    outcome: ChatOutcome
    share: CostShare


def ask(endpoint: ChatEndpoint, bundles: Iterable[Bundle], wanted: Container[str], usage: Usage) -> Iterator[Answered]:
    """The wanted rows of every bundle, answered, as the requests finish.

    Args:
        endpoint: whom to ask.
        bundles: taken one by one, as fast as they can be sent.
        wanted: ids of the rows to answer; the others of a bundle were finished before.
        usage: receives what this call pays.
    """
    waiting: dict[str, Bundle] = {}
    taken: dict[str, CostShare] = {}

    def requests(bundles: Iterable[Bundle]) -> Iterator[ChatRequest]:
        for bundle in bundles:
            request = bundle.chat_request()
            waiting[request.request_id] = bundle
            yield request

    def row_by_row(outcome: ChatOutcome) -> Iterable[ChatRequest] | None:
        if len(waiting[outcome.request_id].row_ids) == 1:
            return None
        bundle = waiting.pop(outcome.request_id)
        shares = zip(bundle.row_ids, allocated(outcome, len(bundle.row_ids)), strict=True)
        taken.update({row_id: share for row_id, share in shares if row_id in wanted})
        return requests(bundle.only([row_id]) for row_id in bundle.row_ids if row_id in wanted)

    paid_before = (
        part for bundle in bundles for part in as_paid(bundle, endpoint.ledger, lambda part: part.chat_request())
    )
    progress, before = Progress(), Spent()
    for outcome in endpoint.ask(requests(paid_before), progress=progress, instead=row_by_row):
        so_far = _paid(progress)
        usage.add(int(time.time()), so_far.less(before))
        before = so_far
        bundle = waiting.pop(outcome.request_id)
        for row_id, share in zip(bundle.row_ids, allocated(outcome, len(bundle.row_ids)), strict=True):
            if row_id in wanted:
                written = None if outcome.answer is None else bundle.written(outcome.answer, row_id)
                yield Answered(row_id, written, outcome, share.plus(taken[row_id]) if row_id in taken else share)


def _paid(progress: Progress) -> Spent:
    return Spent(
        progress.finished - progress.reused - progress.outcomes[DEFERRED],
        progress.prompt_tokens,
        progress.completion_tokens,
        progress.paid_usd,
        progress.unknown_costs,
    )
