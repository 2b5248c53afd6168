"""Chat and image model costs in the metadata of partitions and runs."""

from __future__ import annotations

import math
from decimal import Decimal

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from stablellava_assets.authors.base import Author
from stablellava_assets.defs.metadata import Metadata
from stablellava_assets.defs.previews import plot
from stablellava_assets.endpoint.usage import Spent, Usage
from stablellava_assets.endpoint.usage_chart import usage_chart
from stablellava_assets.tables.reading import only
from stablellava_assets.tables.schemas import DEFERRED, OF_BUDGET


class RunSpending:
    """The cost of one run of a stage; empty for authors that use no chat model."""

    def __init__(self, context: dg.AssetExecutionContext, author: Author) -> None:
        self._log = context.log
        self._author = author
        self._author.take_usage()
        self._usage = Usage()

    def for_partition(self, name: str, data: pa.Table) -> Metadata:
        """Metadata about all rows of a partition, whichever run paid for them; also logged."""
        now = self._author.take_usage()
        self._usage.merge(now)
        if waiting := waiting_for_budget(data):
            self._log.warning(
                f"{name}: {waiting} rows are deferred by the budget. Raise author.endpoint.budget_usd and materialize "
                "again; `stablellava plan` shows their cost."
            )
        if not pc.any(pc.is_valid(data["request_id"])).as_py():
            return {}
        self._log.info(f"{name}: {_in_words(now.total)} in this run")
        settled = data.filter(pc.not_equal(data["status"], pa.scalar(DEFERRED)))
        return {
            "chat_requests": pc.count_distinct(settled["request_id"]).as_py(),
            "prompt_tokens": pc.sum(data["prompt_tokens"]).as_py() or 0,
            "completion_tokens": pc.sum(data["completion_tokens"]).as_py() or 0,
            "cost_usd": _cost(data),
            "rows_waiting_for_budget": waiting,
        }

    def for_run(self) -> Metadata:
        """Metadata about the cost of this run so far, without answers paid for by earlier runs."""
        spent = self._usage.total
        if not spent.requests:
            return {}
        return {
            "run_chat_requests": spent.requests,
            "run_prompt_tokens": spent.prompt_tokens,
            "run_completion_tokens": spent.completion_tokens,
            "run_cost_usd": _dollars(spent.cost_usd),
            "cost_and_rate": plot(usage_chart(self._usage), "requests per second, and the cost so far"),
        }


def picture_spending(context: dg.AssetExecutionContext, name: str, images: pa.Table) -> Metadata:
    """Metadata about the cost of a partition's images, whichever run paid for them; empty if they were free."""
    waiting = waiting_for_budget(images)
    if waiting:
        context.log.warning(
            f"{name}: {waiting} images are deferred by the budget. Raise painter.endpoint.budget_usd and materialize "
            "again; `stablellava plan` shows their cost."
        )
    costs = images["cost_usd"]
    if costs.null_count == len(costs):
        return {"pictures_waiting_for_budget": waiting} if waiting else {}
    return {"cost_usd": round(pc.sum(costs).as_py(), 12), "pictures_waiting_for_budget": waiting}


def waiting_for_budget(data: pa.Table) -> int:
    """Number of rows that were not made because the budget was spent."""
    return only(data, "fault", OF_BUDGET).num_rows


def _cost(data: pa.Table) -> float | str:
    """The sum of the rows' costs; None if the cost of a paid row is unknown."""
    paid = data.filter(pc.is_valid(data["model"]))["cost_usd"]
    if paid.null_count:
        return "unknown"
    return round(math.fsum(cost for cost in data["cost_usd"].to_pylist() if cost is not None), 12)


def _dollars(cost: Decimal | None) -> float | str:
    return "unknown" if cost is None else float(cost)


def _in_words(spent: Spent) -> str:
    cost = "at an unknown cost" if spent.cost_usd is None else f"${spent.cost_usd:.4f}"
    return f"{spent.requests:,} chat requests, {spent.prompt_tokens + spent.completion_tokens:,} tokens, {cost}"
