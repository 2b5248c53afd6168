"""What ``stablellava plan`` prints: the cost of the planned stages, and what is left of the budgets."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from stablellava_assets.endpoint.ledger import Ledger, Spending
from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.endpoint.usage import Forecast
from stablellava_assets.planning.spending import StagePlan
from stablellava_assets.profiles.data_folder import DataFolder
from stablellava_assets.profiles.profile import Profile
from stablellava_assets.state.sql import StatePlace
from stablellava_assets.text.tables import aligned_table


def spending_table(plans: Sequence[StagePlan]) -> str:
    """The plan as aligned text, with totals per stage and overall."""
    names = (
        "ability",
        "batch",
        "stage",
        "rows",
        "reused",
        "requests",
        "tokens sent",
        "received",
        "US dollars",
        "tokens are",
    )
    stages = list(dict.fromkeys(plan.stage for plan in plans))
    totals = [_total(stage, [plan for plan in plans if plan.stage == stage]) for stage in stages]
    rows = [_cells(plan) for plan in [*plans, *totals, _total("all", plans)]]
    return aligned_table(names, rows, left=(0, 1, 2, 9), rules=(0, len(plans)), rule_gap="--")


def budget_lines(profile: Profile, folder: DataFolder) -> str:
    """The remaining budgets of author, painter, judge and reference models, and their cost so far."""
    author, painter = profile.author, profile.painter
    if author.endpoint is not None:
        lines = [_budget_line("Spent so far", folder.chat_ledger, author.endpoint, "author")]
    else:
        lines = [f"The {author.kind} author asks no chat model."]
    if painter.endpoint is not None:
        lines.append(_budget_line("Spent on pictures so far", folder.image_ledger, painter.endpoint, "painter"))
    if painter.best_of is not None:
        lines.append(
            f"Each new image is the best of {painter.best_of.images}, all of which are painted (painter.best_of); "
            "those of groups, and those that no scorer of filters.alignment can judge, are painted once."
        )
    if (judge := profile.benchmark.judge) is not None:
        # The number of answers to grade is known only after the benchmark's files are read.
        begins = "Judging the answers of both models is not in this plan; spent so far, an author's requests included"
        lines.append(_budget_line(begins, folder.chat_ledger, judge.endpoint, "benchmark.judge"))
    for at, reference in enumerate(profile.benchmark.references):
        begins = f"Spent so far with {reference.title} and everything else in its ledger"
        lines.append(_budget_line(begins, folder.chat_ledger, reference.endpoint, f"benchmark.references.{at}"))
    return "\n".join(lines)


def _budget_line(begins: str, place: StatePlace, endpoint: EndpointSettings, setting: str) -> str:
    spending = Spending(Decimal(0), Decimal(0), 0)
    if place.exists():
        ledger = Ledger(place)
        spending = ledger.spending()
        ledger.close()
    counted = spending.spent + spending.held
    unknown = f", and {spending.unknown:,} answers at an unknown cost" if spending.unknown else ""
    budget = endpoint.budget_usd
    left = "no budget is set" if budget is None else f"${max(budget - counted, Decimal(0)):.4f} of ${budget} is left"
    return f"{begins}: ${counted:.4f}{unknown}; {left} ({setting}.endpoint.budget_usd)."


def _total(stage: str, plans: Sequence[StagePlan]) -> StagePlan:
    forecast = sum((plan.forecast for plan in plans), start=Forecast())
    return StagePlan("all", "", stage, sum(plan.rows for plan in plans), sum(plan.reused for plan in plans), forecast)


def _cells(plan: StagePlan) -> tuple[str, ...]:
    spent = plan.forecast.spent
    basis = "" if not spent.requests else "measured" if plan.forecast.measured else "estimated"
    return (
        plan.ability,
        plan.batch,
        plan.stage,
        f"{plan.rows:,}",
        f"{plan.reused:,}",
        f"{spent.requests:,}",
        f"{spent.prompt_tokens:,}",
        f"{spent.completion_tokens:,}",
        "unknown" if spent.cost_usd is None else f"{spent.cost_usd:.4f}",
        basis,
    )
