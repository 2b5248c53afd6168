"""Asset specs of the secondary tables that a stage publishes. In the lineage they are downstream of that stage."""

import dagster as dg

from stablellava_assets.defs.project import GROUP, OWNERS, PARTITIONS, column_schema
from stablellava_assets.tables.schemas import (
    ABILITY_ANSWERS,
    ABILITY_DIAGNOSIS,
    ALIGNMENT_SCORES,
    ANSWER_JUDGEMENTS,
    COMPARISONS,
    CONTAMINATION,
    REFERENCE_ANSWERS,
    REJECTED_PAIRS,
)
from stablellava_assets.tables.table import AnyTable


def _secondary_table(table: AnyTable, stage: str, *, partitioned: bool) -> dg.AssetSpec:
    return dg.AssetSpec(
        table.name,
        deps=[stage],
        description=table.description,
        group_name=GROUP,
        owners=OWNERS,
        kinds={"parquet"},
        metadata=column_schema(table),
        partitions_def=PARTITIONS if partitioned else None,
    )


rejected_pairs = _secondary_table(REJECTED_PAIRS, "filtered_pairs", partitioned=True)
comparisons = _secondary_table(COMPARISONS, "filtered_pairs", partitioned=True)
contamination = _secondary_table(CONTAMINATION, "filtered_pairs", partitioned=True)
alignment_scores = _secondary_table(ALIGNMENT_SCORES, "filtered_pairs", partitioned=True)
ability_answers = _secondary_table(ABILITY_ANSWERS, "ability_scores", partitioned=False)
reference_answers = _secondary_table(REFERENCE_ANSWERS, "ability_scores", partitioned=False)
ability_diagnosis = _secondary_table(ABILITY_DIAGNOSIS, "ability_scores", partitioned=False)
answer_judgements = _secondary_table(ANSWER_JUDGEMENTS, "ability_scores", partitioned=False)
