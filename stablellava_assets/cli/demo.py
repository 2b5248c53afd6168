"""The demo: one batch of every ability through the whole graph in one Dagster run, then the table of scores."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from stablellava_assets.endpoint.local_server import (
    LOCAL_MODEL,
    LocalServerError,
    LocalServerOptions,
    answers,
    local_port,
    local_server,
)
from stablellava_assets.evaluation.scoreboard import judge_line, scoreboard
from stablellava_assets.evaluation.scores.power import WANTED_GAIN
from stablellava_assets.profiles.profile import Profile
from stablellava_assets.profiles.workspace import Workspace
from stablellava_assets.tables.checkpoints import checkpoint_ids
from stablellava_assets.tables.reading import texts_of
from stablellava_assets.tables.schemas import ABILITY_SCORES, ANSWER_JUDGEMENTS, TABLES
from stablellava_assets.tables.store import ParquetStore
from stablellava_assets.tables.table import AnyTable

_WITH_RUNS = [table for table in TABLES if "run_id" in table.schema.names]
"""The tables whose rows name the run that made them."""


_WIDEST = 120
_ONE_ABILITY_OPS = ("ability_benchmark", "llava_checkpoint", "ability_scores")
"""The assets that are not partitioned, which take the ability as configuration."""


def run_demo(workspace: Workspace, only: str | None = None) -> None:
    """Materialize everything for the first batch, of all abilities or ``only`` of one, and print the results.

    The local chat model is served in the meantime if the profile needs it and it is not running.

    Raises:
        click.ClickException: there is no such ability, or the run failed; its log says why.
    """
    if workspace.first_batch is None:
        raise click.ClickException(
            "the author can write for none of the profile's abilities; see `abilities` and `only`"
        )
    if only is not None and only not in workspace.author_abilities:
        raise click.ClickException(
            f"--only {only}: there is no such ability; there are {', '.join(workspace.author_abilities)}. "
            f"`stablellava new-ability {only}` begins one"
        )
    batch = workspace.first_batch if only is None else f"{only}|{workspace.profile.batch_keys[0]}"
    materialize_all(workspace, batch, only)
    click.echo(f"\n{current_scores(workspace.store, workspace.profile.benchmark.wanted_gain)}")
    before_tuning = "the model before tuning" if only is None else "the checkpoint that tuning went on from"
    legend = (
        f"base: {before_tuning}; tuned: after it; p: exact McNemar test of both over the same questions, corrected for "
        "the number of abilities (Holm); could show: the smallest gain that so many questions would have shown with a "
        "chance of 0.8; verdict: by p; what, yes_no, either_or: the tuned model by kind of question."
    )
    click.echo(f"\n{click.wrap_text(legend, min(shutil.get_terminal_size().columns, _WIDEST))}")
    click.echo(f"\n{_next_steps(workspace, only)}")


def materialize_all(workspace: Workspace, batch: str, only: str | None = None) -> None:
    """Materialize every asset for ``batch``, a range of partitions or one of ``only``, and print how long it took and
    how many rows were computed.

    Raises:
        click.ClickException: the run failed; its log says why.
    """
    everything = ["--select", "*", "--partition-range" if only is None else "--partition", batch]
    # Steps in processes of their own would each draw a display.
    is_watched = sys.stderr.isatty() and workspace.profile.runs.executor == "in_process"
    config: dict[str, object] = {"loggers": {"terminal" if is_watched else "console": {}}}
    if only is not None:
        config["ops"] = {name: {"config": {"only": only}} for name in _ONE_ABILITY_OPS}
    readable = ["--config-json", json.dumps(config)]
    before = {table.name: set(_runs(workspace.store, table)) for table in _WITH_RUNS}
    started = time.monotonic()
    command = [sys.executable, "-m", "dagster", "asset", "materialize", *everything, *readable]
    environment = {
        "PYTHONWARNINGS": "ignore:Function `asset_materialize_command` is superseded",
        **os.environ,
        "DAGSTER_MODULE_NAME": "stablellava_assets.definitions",
    }
    with _served_chat_model(workspace.profile):
        failed = subprocess.run(command, env=environment, check=False).returncode
    if failed:
        raise click.ClickException("the run failed; the log above says why. Finished rows are kept: run it again.")
    click.echo(f"\nDone in {time.monotonic() - started:.0f} s.\n")
    _print_work(workspace.store, before)


def _next_steps(workspace: Workspace, only: str | None) -> str:
    report, gallery = workspace.report.index, workspace.gallery
    shown = [("make ui", "Dagster UI: http://localhost:3000")]
    if gallery.exists:
        shown.insert(0, (gallery.page, "gallery: kept and rejected pairs, to overrule"))
    if report.exists():
        shown.insert(0, (str(report), "report: charts, answers that changed"))
    width = max(len(place) for place, _ in shown)
    lines = ["Where to look next:", *(f"  {place:<{width}}  {what}" for place, what in shown)]
    if only is None:
        lines += ["", "Teach it an ability of your own:", "  .venv/bin/stablellava new-ability instrument"]
    else:
        lines += ["", "Tune on every pair of all abilities, these included:", "  make demo"]
    return "\n".join(lines)


def current_scores(store: ParquetStore, wanted_gain: float = WANTED_GAIN) -> str:
    """The score table of the current checkpoint, and a line on the judge.

    Verdicts say if they could not have shown ``wanted_gain``.

    Raises:
        click.ClickException: nothing has been scored yet.
    """
    checkpoints = checkpoint_ids(store)
    rows = store.read(ABILITY_SCORES, (checkpoints[-1],)) if checkpoints else None
    if rows is None:
        raise click.ClickException("nothing has been scored yet; run `make demo`")
    judgements = store.read(ANSWER_JUDGEMENTS, (checkpoints[-1],))
    judged = [judge_line(ANSWER_JUDGEMENTS.rows(judgements))] if judgements is not None and judgements.num_rows else []
    return "\n\n".join([scoreboard(ABILITY_SCORES.rows(rows), markdown=False, wanted_gain=wanted_gain), *judged])


@contextmanager
def _served_chat_model(profile: Profile) -> Iterator[None]:
    port = None if profile.author.endpoint is None else local_port(profile.author.endpoint)
    if port is None or answers(port):
        yield
        return
    try:
        with local_server(LocalServerOptions(port=port)) as url:
            click.echo(f"{LOCAL_MODEL} answers at {url} while this runs.\n")
            yield
    except LocalServerError as error:
        raise click.ClickException(str(error)) from None


def _runs(store: ParquetStore, table: AnyTable) -> list[str]:
    return texts_of(store.read_all(table, columns=["run_id"]), "run_id")


def _print_work(store: ParquetStore, before: dict[str, set[str]]) -> None:
    """Numbers of computed and reused rows of this run, per table."""
    computed_anything = False
    for table in _WITH_RUNS:
        runs = _runs(store, table)
        computed = sum(run not in before[table.name] for run in runs)
        computed_anything |= computed > 0
        click.echo(f"  {table.name:<18} {computed:>7,} rows computed, {len(runs) - computed:>7,} reused")
    if not computed_anything:
        click.echo("Nothing had changed, so nothing was recomputed.")
