"""The schedule of the next batch."""

import json
from collections.abc import Iterator, Mapping

import dagster as dg

from stablellava_assets.defs.batch_size import BATCH_PLAN
from stablellava_assets.defs.project import WORKSPACE

BATCH_JOB = dg.define_asset_job(
    "ability_batch",
    selection=dg.AssetSelection.assets("prompt_specs", "images", "dialogues", "filtered_pairs"),
    description="Synthesize and filter one batch of one ability, or any range of them as a backfill.",
)

PLANNED_ROWS = "stablellava/planned_rows"
"""Tag of a scheduled run: the planned number of prompts of its batch."""

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
    """One run per ability, keyed by its partition, so that evaluating a tick twice requests nothing twice."""
    upcoming = WORKSPACE.upcoming()
    if not upcoming:
        yield dg.SkipReason(
            f"all {WORKSPACE.profile.batches} batches of every ability are done; raise `batches` in the profile"
        )
    # Planned here, so that all runs use the scores of one moment; each run records its own plan.
    planned = _planned(upcoming)
    for ability, batch in upcoming.items():
        key = dg.MultiPartitionKey({"ability": ability, "batch": batch})
        yield dg.RunRequest(
            run_key=f"{ability}|{batch}|{context.scheduled_execution_time:%Y%m%d%H%M}",
            partition_key=key,
            tags=planned.get(ability, {}),
        )


def _planned(upcoming: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Tags with the plan of each ability's next batch; nothing is written."""
    plans, tags = WORKSPACE.plans, dict[str, dict[str, str]]()
    if plans is None:
        return tags
    for batch in set(upcoming.values()):
        abilities = [ability for ability, its_batch in upcoming.items() if its_batch == batch]
        plan = plans.foreseen(batch, abilities)
        for ability in abilities:
            if (row := plan.row_of(ability)) is not None:
                tags[ability] = {PLANNED_ROWS: str(plan.rows_of(ability)), BATCH_PLAN: json.dumps([row])}
    return tags
