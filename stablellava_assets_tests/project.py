"""A project in a temporary folder: the real command line on a small profile, with its own data and Dagster home."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import shlex
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml

from stablellava_assets.abilities.catalog import BUILT_IN_ABILITIES
from stablellava_assets.profiles.profile import BUILT_IN_PROFILES, load_profile
from stablellava_assets.profiles.workspace import Workspace

ROOT = Path(__file__).parent.parent
BIN = Path(sys.prefix) / "bin"
FEW_ABILITIES = ("animal", "color", "scene")
"""Enough for every kind of subject; scene comes along because the others paint in its scenes."""


class Project:
    """Commands run as a user would type them in an activated checkout."""

    def __init__(self, folder: Path, profile: Mapping[str, Any], abilities: tuple[str, ...] = FEW_ABILITIES) -> None:
        self.folder = folder
        self.abilities_folder = folder / "abilities"
        self.abilities_folder.mkdir(parents=True)
        for ability in abilities:
            text = (BUILT_IN_ABILITIES / f"{ability}.yaml").read_text()
            (self.abilities_folder / f"{ability}.yaml").write_text(text)
        self._show_only_what_is_drawn()
        self.log = ""
        self.profile_path = folder / "profile.yaml"
        self.write_profile(profile)
        self.dagster_home = folder / "dagster_home"
        self.dagster_home.mkdir()
        (self.dagster_home / "dagster.yaml").write_text(
            "telemetry: {enabled: false}\npython_logs: {python_log_level: INFO}\n"
        )
        self.environment = {
            **os.environ,
            "STABLELLAVA_PROFILE": str(self.profile_path),
            "STABLELLAVA_DATA": str(folder / "data"),
            "DAGSTER_HOME": str(self.dagster_home),
            "PYTHONPATH": str(ROOT),
        }
        self.environment.pop("DAGSTER_MODULE_NAME", None)

    def _show_only_what_is_drawn(self) -> None:
        """Pictures of scenes show subjects of other abilities; keep those that came along."""
        documents = {
            path: yaml.load(path.read_text(), Loader=yaml.BaseLoader) for path in self.abilities_folder.glob("*.yaml")
        }
        drawn = {subject["name"] for document in documents.values() for subject in document.get("subjects", [])}
        for path, document in documents.items():
            contents = document["prompts"].get("contents", [])
            if not drawn.issuperset(contents):
                document["prompts"]["contents"] = [name for name in contents if name in drawn]
                path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False))

    def write_profile(self, changes: Mapping[str, Any]) -> None:
        """The embedded profile with changes, a mapping of sections to changed settings."""
        profile = yaml.safe_load((BUILT_IN_PROFILES / "embedded.yaml").read_text())
        profile["abilities"] = str(self.abilities_folder)
        profile["own_abilities"] = str(self.folder / "own_abilities")
        for key, change in changes.items():
            profile[key] = {**profile.get(key, {}), **change} if isinstance(change, Mapping) else change
        self.profile_path.write_text(yaml.safe_dump(profile))

    def edit_ability(self, ability: str, old: str, new: str) -> None:
        """Change one text of an ability's YAML."""
        path = self.abilities_folder / f"{ability}.yaml"
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path}"
        path.write_text(text.replace(old, new))

    @property
    def workspace(self) -> Workspace:
        """What the project's profile makes."""
        return Workspace(load_profile(self.environment))

    def shell(self, command: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command line as typed at the root of an activated checkout; output and errors come together."""
        typed = f"source {BIN}/activate && {command}"
        done = subprocess.run(
            ["bash", "-c", typed],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout
        return done

    def materialize(self, arguments: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run ``dagster asset materialize`` with these arguments, as :meth:`run` does."""
        return self.run(f"dagster asset materialize {arguments}", check=check)

    def run(self, command: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one command with its arguments, as :meth:`shell` does, in a process forked from a warm one.

        It is the same command in a process of its own, which needs no seconds to import
        Dagster, Great Expectations and torch.
        """
        done = self.begin(command).wait()
        assert not check or done.returncode == 0, done.stdout
        return done

    def begin(self, command: str) -> Begun:
        """Start a command as :meth:`run` does, in a process group of its own, so that it can be killed whole."""
        environment = dict(self.environment)
        typed = shlex.split(command)
        if "--workspace" not in typed:  # What an activated checkout exports besides, and what would contradict it.
            environment["DAGSTER_MODULE_NAME"] = "stablellava_assets.definitions"
        return Begun(_run_typed, typed, environment, ROOT, self.folder / f"{uuid4().hex}.output")

    def start(self, command: str, **environment: str) -> subprocess.Popen[str]:
        """Start a command line in a process group of its own, so that it can be killed whole."""
        return subprocess.Popen(
            ["bash", "-c", f"source {BIN}/activate && exec {command}"],
            cwd=ROOT,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


@lru_cache(maxsize=1)
def _warm_processes() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["stablellava_assets_tests.warm"])
    return context


def run_script(
    script: Path, *arguments: str, cwd: Path, environment: Mapping[str, str] = os.environ
) -> subprocess.CompletedProcess[str]:
    """Run a Python file of this checkout in a process forked from a warm one, which knows nothing of this checkout."""
    return Begun(_run_script, [str(script), *arguments], dict(environment), cwd, cwd / "output").wait()


Command = Callable[[list[str]], None]


class Begun:
    """A process that was forked from a warm one.

    Attributes:
        pid: its process id and that of its group.
    """

    def __init__(self, run: Command, typed: list[str], environment: dict[str, str], cwd: Path, output: Path) -> None:
        self._typed, self._output = typed, output
        self._process = _warm_processes().Process(target=_run_to_its_end, args=(run, typed, environment, cwd, output))
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; none while it runs."""
        return self._process.exitcode

    def end(self, seconds: float = 30) -> None:
        """Stop it and its group. Dagster's services were seen to wait forever for a thread after they said good-bye."""
        os.killpg(self.pid, signal.SIGTERM)
        self._process.join(seconds)
        if self._process.exitcode is None:
            os.killpg(self.pid, signal.SIGKILL)
            self._process.join()

    def wait(self) -> subprocess.CompletedProcess[str]:
        """Its exit status and its output and errors, once it has ended."""
        self._process.join()
        assert self._process.exitcode is not None
        return subprocess.CompletedProcess(self._typed, self._process.exitcode, self._output.read_text())


def _run_typed(command: list[str]) -> None:
    # A code server starts a process a run, from nothing but its arguments: it may be forked from a warm one as well.
    if command[:3] == ["dagster", "api", "grpc"]:
        warm = _warm_processes()
        multiprocessing.get_context = lambda method=None: warm  # type: ignore[assignment]
    (script,) = entry_points(group="console_scripts", name=command[0])
    script.load()()


def _run_script(command: list[str]) -> None:
    for name in [name for name in sys.modules if name.startswith("stablellava_")]:
        del sys.modules[name]
    here = {str(ROOT), ""} - set(os.environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:] = [str(Path(command[0]).parent), *(folder for folder in sys.path if folder not in here)]
    runpy.run_path(command[0], run_name="__main__")


def _run_to_its_end(run: Command, command: list[str], environment: dict[str, str], cwd: Path, output: Path) -> None:
    os.setsid()
    with output.open("w") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = command
    code = 1
    try:
        run(command)
        code = 0
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # A process of its own ends its pools; one that multiprocessing started would wait for their workers instead.
        os._exit(code)
