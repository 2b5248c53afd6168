"""Estimates which paid requests a run would make, and their cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TypedDict

from stablellava_assets.abilities.catalog import Ability
from stablellava_assets.abilities.prompt_format import parse_prompt
from stablellava_assets.endpoint.ledger import Ledger, Spending
from stablellava_assets.endpoint.settings import EndpointSettings
from stablellava_assets.endpoint.usage import Forecast
from stablellava_assets.planning.batch_plan import BatchPlan
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.identity import derive_seed
from stablellava_assets.tables.pair_rows import PaintedImage, PromptSpec, WrittenSpec
from stablellava_assets.tables.reading import texts_of, was_written
from stablellava_assets.tables.rows import AnyPlanned, is_settled
from stablellava_assets.tables.schemas import DIALOGUES, IMAGES, MADE, PROMPT_SPECS
from stablellava_assets.tables.store import Partition
from stablellava_assets.tables.table import AnyTable, columns_of, rows_of
from stablellava_assets.text.tables import aligned_table


class _Image(PaintedImage):
    status: str


class _Settled(TypedDict):
    """The columns that decide whether a published row is kept."""

    row_key: str
    status: str
    fault: str | None
    settings_key: str | None


@dataclass(frozen=True)
class StagePlan:
    """One stage of one partition: all rows, the existing ones, and the cost of the others."""

    ability: str
    batch: str
    stage: str
    rows: int
    reused: int
    forecast: Forecast


def spending_plan(workspace: Workspace, partitions: Sequence[Partition]) -> list[StagePlan]:
    """Plan the stages that use paid models, for each partition: the chat author's, and the api painter's.

    Images that do not exist yet are assumed to succeed, and prompts that do not exist yet to be like the ability's
    examples.

    Raises:
        KeyError: the catalog does not have an ability.
    """
    if workspace.author.forecast([]) is None and workspace.painter.forecast([]) is None:
        return []
    foreseen = {plan.batch: plan for plan in foreseen_plans(workspace, partitions)}
    usual = workspace.profile.rows_per_batch
    return [
        plan
        for ability, batch in partitions
        for plan in _of_partition(
            workspace, (ability, batch), foreseen[batch].rows_of(ability) if batch in foreseen else usual
        )
    ]


def foreseen_plans(workspace: Workspace, partitions: Sequence[Partition]) -> list[BatchPlan]:
    """The planned number of prompts for each of the ``partitions``, one plan per batch; empty if the author's files decide."""
    if workspace.plans is None:
        return []
    abilities: dict[str, list[str]] = {}
    for ability, batch in partitions:
        abilities.setdefault(batch, []).append(ability)
    return [workspace.plans.foreseen(batch, abilities[batch]) for batch in sorted(abilities)]


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


def budget_lines(workspace: Workspace) -> str:
    """The remaining budgets of author, painter and judge, and their cost so far."""
    author, painter = workspace.profile.author, workspace.profile.painter
    folder = workspace.folder
    if author.endpoint is not None:
        lines = [_budget_line("Spent so far", folder.chat_ledger, author.endpoint, "author")]
    else:
        lines = [f"The {author.kind} author asks no chat model."]
    if painter.endpoint is not None:
        lines.append(_budget_line("Spent on pictures so far", folder.image_ledger, painter.endpoint, "painter"))
    if (judge := workspace.profile.benchmark.judge) is not None:
        # The number of answers to grade is known only after the benchmark's files are read.
        begins = "Judging the answers of both models is not in this plan; spent so far, an author's requests included"
        lines.append(_budget_line(begins, folder.chat_ledger, judge.endpoint, "benchmark.judge"))
    return "\n".join(lines)


def _budget_line(begins: str, path: Path, endpoint: EndpointSettings, setting: str) -> str:
    spending = Spending(Decimal(0), Decimal(0), 0)
    if path.exists():
        ledger = Ledger(path)
        spending = ledger.spending()
        ledger.close()
    counted = spending.spent + spending.held
    unknown = f", and {spending.unknown:,} answers at an unknown cost" if spending.unknown else ""
    budget = endpoint.budget_usd
    left = "no budget is set" if budget is None else f"${max(budget - counted, Decimal(0)):.4f} of ${budget} is left"
    return f"{begins}: ${counted:.4f}{unknown}; {left} ({setting}.endpoint.budget_usd)."


def _of_partition(workspace: Workspace, partition: Partition, rows: int) -> list[StagePlan]:
    author, painter = workspace.author, workspace.painter
    ability_name, batch = partition
    ability = workspace.catalog[ability_name]
    prompts = author.plan_prompts(ability, batch, rows)
    open_prompts = _open(workspace, PROMPT_SPECS, partition, prompts)
    kept = {row.row_id for row in prompts} - {row.row_id for row in open_prompts}
    written = {spec_id: row for spec_id, row in _specs(workspace, partition).items() if spec_id in kept}
    of_prompts = author.forecast(open_prompts)
    if of_prompts is None:  # Then they cost nothing, and what is to be painted is known.
        written |= {row["spec_id"]: row for row in author.write_prompts(open_prompts)}
    specs = {
        row.row_id: spec
        for number, row in enumerate(prompts)
        if (spec := _spec(ability, batch, row.row_id, number, written)) is not None
    }
    plans = []

    def add(
        table: AnyTable, planned: Sequence[AnyPlanned], missing: Sequence[AnyPlanned], forecast: Forecast | None
    ) -> None:
        if forecast is not None:
            plans.append(
                StagePlan(ability_name, batch, table.name, len(planned), len(planned) - len(missing), forecast)
            )

    add(PROMPT_SPECS, prompts, open_prompts, of_prompts)
    if painter.forecast([]) is not None:
        images = painter.plan(list(specs.values()))
        open_images = _open(workspace, IMAGES, partition, images)
        add(IMAGES, images, open_images, painter.forecast(open_images))
    if of_prompts is not None:
        pictures = _pictures(workspace, partition)
        painted_of = {spec_id: image for spec_id, image in pictures.items() if image["status"] == MADE}
        painted: list[tuple[WrittenSpec, PaintedImage]] = [
            (spec, painted_of.get(spec_id) or _stand_in_picture(spec_id))
            for spec_id, spec in specs.items()
            if spec_id not in written or spec_id not in pictures or spec_id in painted_of
        ]
        dialogues = author.plan_dialogues(ability, painted)
        open_dialogues = _open(workspace, DIALOGUES, partition, dialogues)
        add(DIALOGUES, dialogues, open_dialogues, author.forecast(open_dialogues))
    return plans


def _open(
    workspace: Workspace, table: AnyTable, partition: Partition, planned: Sequence[AnyPlanned]
) -> list[AnyPlanned]:
    """The planned rows that are not up to date."""
    published = workspace.store.read(table, partition, [table.row_id, *columns_of(_Settled)])
    if published is None:
        return list(planned)
    rows = dict(zip(texts_of(published, table.row_id), rows_of(_Settled, published), strict=True))
    kept = {
        plan.row_id
        for plan in planned
        if (row := rows.get(plan.row_id)) is not None
        and row["row_key"] == plan.row_key
        and is_settled(row["status"], row["fault"], row["settings_key"], plan.settings_key)
    }
    return [row for row in planned if row.row_id not in kept]


def _specs(workspace: Workspace, partition: Partition) -> dict[str, PromptSpec]:
    data = workspace.store.read(PROMPT_SPECS, partition)
    return {} if data is None else {row["spec_id"]: row for row in PROMPT_SPECS.rows(data)}


def _pictures(workspace: Workspace, partition: Partition) -> dict[str, _Image]:
    data = workspace.store.read(IMAGES, partition, columns_of(_Image))
    return {} if data is None else {row["spec_id"]: row for row in rows_of(_Image, data)}


def _spec(
    ability: Ability, batch: str, spec_id: str, number: int, written: dict[str, PromptSpec]
) -> WrittenSpec | None:
    """The published prompt, or None if it failed; without one, a prompt like the ability's examples."""
    if spec_id in written:
        published = written[spec_id]
        return published if was_written(published) else None
    example = ability.chat.examples[number % len(ability.chat.examples)]
    prompt = parse_prompt(example)
    return {
        "spec_id": spec_id,
        "ability": ability.ability,
        "batch": batch,
        "prompt": example,
        "negative_prompt": ability.negative_prompt,
        "seed": derive_seed(spec_id),
        "subject": prompt.subject,
        "keywords": prompt.keywords,
        "facts": [{"name": "subject", "value": prompt.subject}],
        "author": "",
        "template_version": "",
    }


def _stand_in_picture(spec_id: str) -> PaintedImage:
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
