"""What a run would ask of a chat model, and what that would cost, before it is started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from stablellava_assets.abilities.catalog import Ability
from stablellava_assets.authors.chat.author import ChatAuthor
from stablellava_assets.authors.settings import ChatAuthorSettings
from stablellava_assets.authors.usage import Forecast
from stablellava_assets.endpoint.ledger import Ledger, Spending
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.rows import PlannedRow, Row
from stablellava_assets.tables.schemas import DEFERRED, DIALOGUES, FAILED, IMAGES, MADE, PROMPT_SPECS, Table
from stablellava_assets.tables.store import Partition

_NOT_PICTURES = [name for name in IMAGES.schema.names if name != "image"]


@dataclass(frozen=True)
class StagePlan:
    """One stage of one partition: its rows, how many of them are there already, and what the others would take."""

    ability: str
    batch: str
    stage: str
    rows: int
    reused: int
    forecast: Forecast


def spending_plan(workspace: Workspace, partitions: Sequence[Partition]) -> list[StagePlan]:
    """Plan both stages of each partition; nothing if the profile's author asks no chat model.

    Pictures that are yet to be painted are taken to succeed, and prompts that are yet to be written to look like the
    ability's examples.

    Raises:
        KeyError: an ability that the catalog does not have.
    """
    author = workspace.author
    if not isinstance(author, ChatAuthor):
        return []
    return [plan for partition in partitions for plan in _of_partition(workspace, author, partition)]


def spending_table(plans: Sequence[StagePlan]) -> str:
    """The plan as aligned text, with the total of each stage and of everything."""
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
    lines = [names, *(_cells(plan) for plan in [*plans, *totals, _total("both", plans)])]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    rendered = [
        "  ".join(_aligned(cell, width, column) for column, (cell, width) in enumerate(zip(line, widths, strict=True)))
        for line in lines
    ]
    rendered.insert(len(plans) + 1, "-" * len(rendered[0]))
    rendered.insert(1, "-" * len(rendered[0]))
    return "\n".join(line.rstrip() for line in rendered)


def budget_line(workspace: Workspace) -> str:
    """What the profile's author may still cost, and what it has cost so far."""
    settings = workspace.profile.author
    if not isinstance(settings, ChatAuthorSettings):
        return f"The {settings.kind} author asks no chat model."
    spending = Spending(Decimal(0), Decimal(0), 0)
    if workspace.chat_ledger.exists():
        ledger = Ledger(workspace.chat_ledger)
        spending = ledger.spending()
        ledger.close()
    counted = spending.spent + spending.held
    unknown = f", and {spending.unknown:,} answers at an unknown cost" if spending.unknown else ""
    budget = settings.endpoint.budget_usd
    left = "no budget is set" if budget is None else f"${max(budget - counted, Decimal(0)):.4f} of ${budget} is left"
    return f"Spent so far: ${counted:.4f}{unknown}; {left} (author.endpoint.budget_usd)."


def _of_partition(workspace: Workspace, author: ChatAuthor, partition: Partition) -> list[StagePlan]:
    ability_name, batch = partition
    ability = workspace.catalog[ability_name]
    count = workspace.plans.foreseen(batch).rows_of(ability_name) if workspace.plans else None
    prompts = author.plan_prompts(ability, batch, count or workspace.profile.rows_per_batch)
    open_prompts, written = _compare(workspace, PROMPT_SPECS, partition, prompts)
    pictures = _pictures(workspace, partition)
    painted = [
        (_spec(ability, batch, row, number, written), pictures.get(row.row_id) or _stand_in_picture(row.row_id))
        for number, row in enumerate(prompts)
        if _may_be_painted(row.row_id, written, pictures)
    ]
    dialogues = author.plan_dialogues(ability, painted)
    open_dialogues, _ = _compare(workspace, DIALOGUES, partition, dialogues)
    return [
        StagePlan(ability_name, batch, table.name, len(planned), len(planned) - len(missing), author.forecast(missing))
        for table, planned, missing in (
            (PROMPT_SPECS, prompts, open_prompts),
            (DIALOGUES, dialogues, open_dialogues),
        )
    ]


def _compare(
    workspace: Workspace, table: Table, partition: Partition, planned: Sequence[PlannedRow]
) -> tuple[list[PlannedRow], dict[str, Row]]:
    """The planned rows that would have to be made, and the published ones that stay, by id."""
    published = workspace.store.read(table, partition)
    rows = {row[table.row_id]: row for row in (published.to_pylist() if published is not None else [])}
    keys = {row.row_id: row.row_key for row in planned}
    kept = {
        row_id: row for row_id, row in rows.items() if keys.get(row_id) == row["row_key"] and row["status"] != DEFERRED
    }
    return [row for row in planned if row.row_id not in kept], kept


def _pictures(workspace: Workspace, partition: Partition) -> dict[str, Row]:
    data = workspace.store.read(IMAGES, partition, _NOT_PICTURES)
    return {row["spec_id"]: row for row in (data.to_pylist() if data is not None else [])}


def _may_be_painted(spec_id: str, written: dict[str, Row], pictures: dict[str, Row]) -> bool:
    if spec_id not in written:
        return True
    if written[spec_id]["status"] == FAILED:
        return False
    return spec_id not in pictures or pictures[spec_id]["status"] == MADE


def _spec(ability: Ability, batch: str, row: PlannedRow, number: int, written: dict[str, Row]) -> Row:
    """The published prompt, or one as the ability's examples have it."""
    if row.row_id in written:
        return written[row.row_id]
    example = ability.chat.examples[number % len(ability.chat.examples)]
    subject, *keywords = example.replace("((", "").replace("))", "").split(", ")
    stand_in: dict[str, Any] = {"spec_id": row.row_id, "batch": batch, "prompt": example, "subject": subject}
    return {**stand_in, "keywords": keywords, "facts": [{"name": "subject", "value": subject}]}


def _stand_in_picture(spec_id: str) -> Row:
    return {"image_id": spec_id, "spec_id": spec_id, "sha256": "", "ignored_keywords": []}


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


def _aligned(cell: str, width: int, column: int) -> str:
    return cell.rjust(width) if 3 <= column <= 8 else cell.ljust(width)
