"""A real daemon process on a project's own Dagster instance."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from stablellava_assets_tests.project import Project


@contextmanager
def daemon_of(project: Project) -> Iterator[None]:
    log = project.folder / "daemon.log"
    process = project.start(f"dagster-daemon run > {log} 2>&1")
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{error}\n{log.read_text()[-6000:]}") from error
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def wait_for(what: str, condition: Callable[[], bool], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(1)
    raise AssertionError(f"waited {seconds} s for {what}")
