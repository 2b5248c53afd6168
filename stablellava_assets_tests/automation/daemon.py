"""A real daemon beside a real code server on a project's own Dagster instance, and what that instance remembers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.scheduler.instigation import InstigatorState, ScheduleInstigatorData, TickStatus

from stablellava_assets_tests.project import Project

SENSOR, SCHEDULE = "follow_new_pairs", "next_batch_of_every_ability"


@contextmanager
def daemon_of(project: Project) -> Iterator[None]:
    """A daemon and the code server that it and commands ask, as they are deployed: otherwise each starts its
    own, the daemon again and again."""
    with ExitStack() as ending:
        # The names of sockets have to be short.
        socket = Path(ending.enter_context(TemporaryDirectory())) / "code"
        _workspace(project).write_text(yaml.safe_dump({"load_from": [{"grpc_server": {"socket": str(socket)}}]}))
        ending.callback(project.begin(f"dagster api grpc --socket {socket}").end)
        wait_for(project, "the code server", socket.exists)
        ending.callback(project.begin(f"dagster-daemon run --workspace {_workspace(project)}").end)
        yield


def tell(project: Project, command: str) -> None:
    """Run a command of Dagster that asks the code server."""
    project.run(f"{command} --workspace {_workspace(project)}")


def wait_for(project: Project, what: str, condition: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.5)
    said = "\n".join(path.read_text()[-6000:] for path in project.folder.glob("*.output"))
    raise AssertionError(f"waited {seconds} s for {what}\n{said}")


def _workspace(project: Project) -> Path:
    return project.folder / "workspace.yaml"


def statuses(project: Project) -> list[DagsterRunStatus]:
    """Of all runs, the newest first."""
    with DagsterInstance.from_config(str(project.dagster_home)) as instance:
        return [run.status for run in instance.get_runs()]


def all_ended(project: Project) -> bool:
    return set(statuses(project)) <= {DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE}


def wait_for_a_look(project: Project) -> None:
    """Until the sensor has looked for new pairs once more, from now on, and whatever it asked for has ended."""
    began = time.time()

    def looked() -> bool:
        with DagsterInstance.from_config(str(project.dagster_home)) as instance:
            state = _state(instance, SENSOR)
            ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, after=began)
            return any(tick.status in (TickStatus.SUCCESS, TickStatus.SKIPPED) for tick in ticks)

    wait_for(project, "the sensor to look", looked)
    wait_for(project, "its runs to end", lambda: all_ended(project))


def turn_on_the_schedule(project: Project) -> None:
    """As if a minute ago, so that nobody waits for the minute that a cron expression can name."""
    tell(project, f"dagster schedule start {SCHEDULE}")
    with DagsterInstance.from_config(str(project.dagster_home)) as instance:
        state = _state(instance, SCHEDULE)
        told = state.instigator_data
        assert isinstance(told, ScheduleInstigatorData)
        assert told.start_timestamp is not None
        earlier = ScheduleInstigatorData(told.cron_schedule, told.start_timestamp - 60)
        instance.update_instigator_state(state.with_data(earlier))


def _state(instance: DagsterInstance, name: str) -> InstigatorState:
    (state,) = (state for state in instance.all_instigator_state() if state.instigator_name == name)
    return state
