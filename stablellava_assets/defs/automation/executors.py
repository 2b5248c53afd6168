"""Where the steps of a run go, and into how many runs a backfill is divided."""

from __future__ import annotations

import dagster as dg

from stablellava_assets.inputs.yaml_documents import DocumentError
from stablellava_assets.profiles.profile import Executor


def executor_of(kind: Executor) -> dg.ExecutorDefinition:
    """The executor of the code location. Those of other packages are imported only if they are chosen.

    Raises:
        DocumentError: its package is not installed.
    """
    try:
        match kind:
            case "in_process":
                # Steps go one after the other in the run's process: each stage uses all cores by itself, and a second
                # process would only load the libraries again.
                return dg.in_process_executor
            case "multiprocess":
                return dg.multiprocess_executor
            case "ray":
                from dagster_ray import ray_executor

                chosen: dg.ExecutorDefinition = ray_executor
            case "k8s":
                from dagster_k8s import k8s_job_executor

                chosen = k8s_job_executor
    except ImportError as error:
        raise DocumentError(
            f"runs.executor: {kind} needs further packages ({error}); `pip install 'stablellava-assets[{kind}]'`"
        ) from error
    return chosen


def backfills_of(partitions_per_run: int | None) -> dg.BackfillPolicy:
    """One run for all partitions of a backfill, or several of so many each, which may go to several machines."""
    if partitions_per_run is None:
        return dg.BackfillPolicy.single_run()
    return dg.BackfillPolicy.multi_run(partitions_per_run)
