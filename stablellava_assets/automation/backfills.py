"""Which batch comes next, and the schedule that asks for it."""

from collections.abc import Iterable, Iterator

import dagster as dg

from stablellava_assets.assets.project import WORKSPACE
from stablellava_assets.tables.schemas import FILTERED_PAIRS

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
    description="Tune on every pair that was kept so far, and score the result.",
)


def next_batches(
    batches: Iterable[str], published: Iterable[tuple[str, ...]], abilities: Iterable[str]
) -> dict[str, str]:
    """The first batch of each ability that has no filtered pairs yet; abilities whose batches are all done are left out."""
    done = set(published)
    keys = list(batches)
    upcoming = {ability: next((key for key in keys if (ability, key) not in done), None) for ability in abilities}
    return {ability: batch for ability, batch in upcoming.items() if batch is not None}


@dg.schedule(
    job=BATCH_JOB,
    cron_schedule=WORKSPACE.profile.schedule.cron,
    description="The next batch of every ability; tuning and scoring follow by automation.",
)
def next_batch_of_every_ability(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One run an ability, keyed by its partition, so that a tick that is evaluated twice asks for nothing twice."""
    store, profile = WORKSPACE.store, WORKSPACE.profile
    upcoming = next_batches(profile.batch_keys, store.partitions(FILTERED_PAIRS), WORKSPACE.taught)
    if not upcoming:
        yield dg.SkipReason(f"all {profile.batches} batches of every ability are done; raise `batches` in the profile")
    # Planned before any of the runs starts, so that all of them find the sizes that the same scores gave.
    plans = {batch: WORKSPACE.plans.recorded(batch, _PLANNER) for batch in upcoming.values()} if WORKSPACE.plans else {}
    for ability, batch in upcoming.items():
        key = dg.MultiPartitionKey({"ability": ability, "batch": batch})
        yield dg.RunRequest(
            run_key=f"{ability}|{batch}|{context.scheduled_execution_time:%Y%m%d%H%M}",
            partition_key=key,
            tags={PLANNED_ROWS: str(plans[batch].rows_of(ability))} if batch in plans else {},
        )
