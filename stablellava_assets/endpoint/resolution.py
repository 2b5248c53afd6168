"""What a request needs next, by what the ledger has of it: nothing, to be sent, or its one repair to be sent."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from decimal import Decimal

from pydantic import BaseModel

from stablellava_assets.endpoint.ledger import Entry, Ledger
from stablellava_assets.endpoint.replies.refusals import RefusedError
from stablellava_assets.endpoint.replies.verdicts import judge, repair_of
from stablellava_assets.endpoint.requests import ChatOutcome, ChatRequest, Refusal
from stablellava_assets.tables.schemas import DEFERRED, FAILED, MADE, OF_BUDGET, OF_ENDPOINT


def resolve(ledger: Ledger, request: ChatRequest, paid_now: Collection[str] = ()) -> ChatOutcome | ChatRequest:
    """The outcome of a request, or the request to send for it: itself, or the repair of its unusable answer.

    An answer without a text is none, unless this call has paid it.

    ``paid_now`` names the requests that this call has paid, as opposed to an earlier one.
    """
    first = ledger.find(request.request_id)
    if first is None or first.reply is None:
        return request
    verdict = judge(request, first.reply)
    entries = {request.request_id: first}
    if verdict.repairable:
        repair = repair_of(request, first.reply, verdict)
        second = ledger.find(repair.request_id)
        if second is None or second.reply is None:
            return repair
        entries[repair.request_id] = second
        verdict = judge(repair, second.reply)
    if verdict.is_empty and request.request_id not in paid_now:
        return request  # An earlier run was sent nothing; whoever asks again has mended something since.
    status = FAILED if verdict.answer is None else MADE
    reason = f"{verdict.reason}, also after its repair" if verdict.reason and len(entries) > 1 else verdict.reason
    return _outcome(request, status, verdict.answer, reason, verdict.fault, entries, paid_now)


def deferred(
    ledger: Ledger, request: ChatRequest, reason: str, paid_now: Collection[str] = (), fault: str = OF_ENDPOINT
) -> ChatOutcome:
    """The outcome of a request that was not answered this time; an unusable first answer
    may have been paid all the same."""
    return _outcome(request, DEFERRED, None, reason, fault, _first_entry(ledger, request), paid_now)


def over_budget(
    ledger: Ledger, request: ChatRequest, budget: Decimal | None, paid_now: Collection[str] = ()
) -> ChatOutcome:
    """The outcome of a request that the budget left no room for."""
    return deferred(ledger, request, f"budget reached: ${budget} (budget_usd)", paid_now, OF_BUDGET)


def refused(ledger: Ledger, request: ChatRequest, error: RefusedError, paid_now: Collection[str] = ()) -> ChatOutcome:
    """The outcome of a request that the endpoint refused."""
    entries = _first_entry(ledger, request)
    return replace(
        _outcome(request, FAILED, None, error.reason, error.fault, entries, paid_now),
        refused=Refusal(request.stage, error.mend or request.mended_by),
    )


def _first_entry(ledger: Ledger, request: ChatRequest) -> dict[str, Entry]:
    first = ledger.find(request.request_id)
    return {} if first is None else {request.request_id: first}


def _outcome(
    request: ChatRequest,
    status: str,
    answer: BaseModel | None,
    reason: str | None,
    fault: str | None,
    entries: dict[str, Entry],
    paid_now: Collection[str],
) -> ChatOutcome:
    answered = {key: entry for key, entry in entries.items() if entry.reply is not None}
    replies = [entry.reply for entry in answered.values() if entry.reply is not None]
    return ChatOutcome(
        request_id=request.request_id,
        status=status,
        answer=answer,
        reason=reason,
        model=replies[-1].model if replies else None,
        prompt_tokens=_sum([reply.prompt_tokens for reply in replies]),
        completion_tokens=_sum([reply.completion_tokens for reply in replies]),
        cost_usd=_dollars([entry.cost for entry in answered.values()]),
        paid_usd=_dollars([entry.cost for key, entry in answered.items() if key in paid_now]),
        attempts=sum(entry.attempts for entry in entries.values()),
        fault=fault,
    )


def _sum(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _dollars(costs: list[Decimal | None]) -> Decimal | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known, Decimal(0)) if len(known) == len(costs) else None
