"""Where steps go is a setting; what it needs is imported only then, and is named if it is missing."""

from __future__ import annotations

import sys

import dagster as dg
import pytest

from stablellava_assets.defs.automation.executors import backfills_of, executor_of
from stablellava_assets.inputs.yaml_documents import DocumentError
from stablellava_assets.profiles.profile import Executor, load_profile


def test_by_default_a_run_is_one_process_and_a_backfill_one_run() -> None:
    runs = load_profile({}).runs
    assert executor_of(runs.executor) is dg.in_process_executor
    assert backfills_of(runs.partitions_per_run) == dg.BackfillPolicy.single_run()


def test_several_processes_and_several_runs() -> None:
    assert executor_of("multiprocess") is dg.multiprocess_executor
    assert backfills_of(3) == dg.BackfillPolicy.multi_run(3)


@pytest.mark.parametrize(("kind", "module"), [("ray", "dagster_ray"), ("k8s", "dagster_k8s")])
def test_a_missing_package_is_named(kind: Executor, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(
        DocumentError, match=rf"runs\.executor: {kind} needs .*`pip install 'stablellava-assets\[{kind}\]'`"
    ):
        executor_of(kind)


def test_the_environment_chooses_too() -> None:
    assert load_profile({"STABLELLAVA_EXECUTOR": "ray"}).runs.executor == "ray"
    with pytest.raises(DocumentError, match="STABLELLAVA_EXECUTOR=slurm: no such executor; there are in_process, "):
        load_profile({"STABLELLAVA_EXECUTOR": "slurm"})
