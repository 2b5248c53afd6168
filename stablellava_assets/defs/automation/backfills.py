"""Which batch comes next, and the schedule that asks for it."""

from collections.abc import Iterator, Mapping

import dagster as dg

from stablellava_assets.defs.project import WORKSPACE

BATCH_JOB = dg.define_asset_job(
    "ability_batch",
    selection=dg.AssetSelection.assets("prompt_specs", "images", "dialogues", "filtered_pairs"),
    description="Synthesize and filter one batch of one ability, or any range of them as a backfill.",
)

PLANNED_ROWS = "stablellava/planned_rows"
"""Tag of a scheduled run: the prompts that its batch was planned to have."""

_PLANNER = "next_batch_of_every_ability"

MEASURE_JOB = dg.define_asset_job(
    "tune_and_score",
    selection=dg.AssetSelection.assets("ability_benchmark", "llava_checkpoint", "ability_scores"),
    description="Tune on all kept pairs and score the result.",
)


@dg.schedule(
    job=BATCH_JOB,
    cron_schedule=WORKSPACE.profile.schedule.cron,
    description="Make the next batch of every ability; tuning and scoring follow by automation.",
)
def next_batch_of_every_ability(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One run an ability, keyed by its partition, so that a tick that is evaluated twice asks for nothing twice."""
    upcoming = WORKSPACE.upcoming()
    if not upcoming:
        yield dg.SkipReason(
            f"all {WORKSPACE.profile.batches} batches of every ability are done; raise `batches` in the profile"
        )
    # Planned before any of the runs starts, so that all of them find the sizes that the same scores gave.
    planned = _planned_rows(upcoming)
    for ability, batch in upcoming.items():
        key = dg.MultiPartitionKey({"ability": ability, "batch": batch})
        yield dg.RunRequest(
            run_key=f"{ability}|{batch}|{context.scheduled_execution_time:%Y%m%d%H%M}",
            partition_key=key,
            tags={PLANNED_ROWS: str(planned[ability])} if ability in planned else {},
        )


def _planned_rows(upcoming: Mapping[str, str]) -> dict[str, int]:
    """Prompts of each ability's coming batch, recorded; those that nothing is planned for are left out."""
    plans, planned = WORKSPACE.plans, dict[str, int]()
    if plans is None:
        return planned
    for batch in set(upcoming.values()):
        abilities = [ability for ability, its_batch in upcoming.items() if its_batch == batch]
        plan = plans.recorded(batch, abilities, _PLANNER)
        planned |= {ability: plan.rows_of(ability) for ability in abilities if plan.explanation_of(ability)}
    return planned
