"""A profile: every setting of a run, in one readable YAML file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from stablellava_assets.abilities.catalog import BUILT_IN_ABILITIES, Catalog
from stablellava_assets.authors.settings import AuthorSettings
from stablellava_assets.checks.gates import GateSettings
from stablellava_assets.evaluation.settings import BenchmarkSettings
from stablellava_assets.filters.settings import FilterSettings
from stablellava_assets.gallery.settings import GallerySettings
from stablellava_assets.inputs.yaml_documents import (
    Document,
    DocumentError,
    MistakeAtKeyError,
    UserPath,
    expanded,
    load_document,
)
from stablellava_assets.painters.settings import PainterSettings
from stablellava_assets.planning.settings import PlanningSettings
from stablellava_assets.report.settings import ReportSettings
from stablellava_assets.state.database import checked_url
from stablellava_assets.tables.remote_files import has_credentials
from stablellava_assets.tuning.settings import AnyTuningSettings

BUILT_IN_PROFILES = Path(__file__).parent
PROFILE_VARIABLE = "STABLELLAVA_PROFILE"
DATA_VARIABLE = "STABLELLAVA_DATA"
TABLES_VARIABLE = "STABLELLAVA_TABLES"
STATE_VARIABLE = "STABLELLAVA_STATE"
EXECUTOR_VARIABLE = "STABLELLAVA_EXECUTOR"

_SCHEME = re.compile(r"[a-z][a-z0-9+]+:/")
"""Begins a URL, also one that lacks a slash."""


def _without_credentials(written: str) -> str:
    """A folder with its tilde expanded; a URL unchanged."""
    if has_credentials(written):
        raise ValueError("passwords and keys come from the environment; leave them out of the URL")
    if written.endswith("://") or (_SCHEME.match(written) and "://" not in written):
        raise ValueError("a folder, or a URL with two slashes and a bucket, as in s3://bucket/folder")
    return str(expanded(Path(written))) if written.startswith("~") else written


Location = Annotated[str, AfterValidator(_without_credentials)]
"""A folder, or a URL that fsspec opens."""

Published = Literal["models", "quarantine", "gallery", "report"]
"""What is published besides the tables."""


def _local(written: object) -> object:
    """What was written for a folder of this machine, unless it is a URL."""
    if isinstance(written, str) and _SCHEME.match(written):
        raise ValueError("a folder of this machine; URLs go into storage.tables")
    return written


class StorageSettings(Document):
    """Storage locations. Relative folders start at the working directory."""

    data: Annotated[UserPath, BeforeValidator(_local)] = Field(
        Path("data"), description="Local folder for the warehouse, models, journals and Dagster's state."
    )
    tables: Location | None = Field(
        None, description="Folder or fsspec URL of the Parquet tables. Unset: <data>/tables."
    )
    models: Location | None = Field(
        None,
        description=(
            "Folder or URL to which checkpoints are published, and from which other machines fetch them. Unset: below "
            "storage.tables if that is a URL; else they stay in <data>/models."
        ),
    )
    quarantine: Location | None = Field(
        None,
        description=(
            "Folder or URL of the rows that gates refused. Unset: below storage.tables if that is a URL, else in the "
            "data folder."
        ),
    )
    gallery: Location | None = Field(None, description="Folder or URL of the gallery. Unset: as for quarantine.")
    report: Location | None = Field(None, description="Folder or URL of the reports. Unset: as for quarantine.")
    state: Annotated[str, AfterValidator(checked_url)] | None = Field(
        None,
        description=(
            "PostgreSQL database of ledgers, budgets and locks, for several machines: postgresql://user@host/name. The "
            "password comes from PGPASSWORD. Unset: files in <data>."
        ),
    )


class ScheduleSettings(Document):
    """Schedule of the next batch of every ability, and the sensor that tunes; both have to be turned on in Dagster."""

    cron: str = Field("0 3 * * *", pattern=r"^\S+( \S+){4}$", description="Cron expression of five fields, in UTC.")
    follow_seconds: int = Field(30, ge=1, description="Seconds between two evaluations of the sensor.")


Executor = Literal["in_process", "multiprocess", "ray", "k8s"]


class RunSettings(Document):
    """How Dagster runs steps and backfills. Where runs are launched is a setting of Dagster's own, in dagster.yaml."""

    executor: Executor = Field(
        "in_process",
        description="Where the steps of a run go: its process, processes beside it, a Ray cluster, or Kubernetes jobs.",
    )
    partitions_per_run: int | None = Field(
        None, ge=1, description="Most partitions in one run of a backfill. Unset: a single run takes all of them."
    )


class Profile(Document):
    """Every setting of a run. API keys and tokens come from the environment, never from a profile."""

    abilities: UserPath = Field(BUILT_IN_ABILITIES, description="Folder of the ability files.")
    own_abilities: UserPath = Field(
        Path("abilities"),
        description="Folder of your own ability files, beside those; it need not exist.",
    )
    only: list[str] | None = Field(
        None,
        min_length=1,
        description="Abilities to train and evaluate; the others only contribute words and scenes. Unset: all.",
    )
    batches: int = Field(20, ge=1, le=9999, description="Number of batches per ability, each with its partition.")
    rows_per_batch: int = Field(
        ge=1,
        description=(
            "Prompts per ability and batch, or groups of prompts if it is about several images. Raising it adds rows."
        ),
    )
    rows_by_ability: dict[str, Annotated[int, Field(ge=1)]] | None = Field(
        None, description="The same for single abilities, by name: harder ones need more."
    )
    author: AuthorSettings
    painter: PainterSettings
    filters: FilterSettings
    benchmark: BenchmarkSettings
    tuning: AnyTuningSettings
    gates: GateSettings = GateSettings()
    gallery: GallerySettings = GallerySettings()
    report: ReportSettings = ReportSettings()
    planning: PlanningSettings | None = Field(
        None,
        description=(
            "Sizes batches by the last scores: more rows for abilities with low scores. Unset: rows_per_batch and "
            "rows_by_ability."
        ),
    )
    schedule: ScheduleSettings = ScheduleSettings()
    runs: RunSettings = RunSettings()
    storage: StorageSettings = StorageSettings()

    @model_validator(mode="after")
    def _benchmarks_have_names_of_their_own(self) -> Self:
        taken = {"ai", "photos", *(suite.name for suite in self.benchmark.external)}
        for index, avoided in enumerate(self.filters.avoid):
            if avoided.name in taken:
                raise MistakeAtKeyError(
                    ("filters", "avoid", index, "name"), f"{avoided.name!r} is taken; give it another name"
                )
            taken.add(avoided.name)
        return self

    @model_validator(mode="after")
    def _passes_its_own_gate(self) -> Self:
        if self.author.kind == "embedded" and self.author.not_shown > self.gates.max_not_shown_share:
            raise MistakeAtKeyError(
                ("author", "not_shown"),
                f"batches would fail gates.max_not_shown_share ({self.gates.max_not_shown_share:g}); raise that too",
            )
        return self

    @model_validator(mode="after")
    def _can_choose_images(self) -> Self:
        if self.painter.best_of is not None and self.filters.alignment is None:
            raise MistakeAtKeyError(
                ("painter", "best_of"), "images are chosen by the scores of filters.alignment, which is not set"
            )
        return self

    @model_validator(mode="after")
    def _cuts_files_alike(self) -> Self:
        if self.author.kind == "released" and self.rows_by_ability:
            raise MistakeAtKeyError(
                ("rows_by_ability",),
                "the released author cuts its files into batches of rows_per_batch; leave this out",
            )
        return self

    @model_validator(mode="after")
    def _can_be_planned(self) -> Self:
        if self.planning is None:
            return self
        if self.author.kind == "released":
            raise MistakeAtKeyError(
                ("planning",),
                "the released author cuts its files into batches of rows_per_batch; batches of other sizes would skip "
                "or repeat rows. Leave planning out",
            )
        if self.planning.benchmark == "photos" and self.benchmark.photographs is None:
            raise MistakeAtKeyError(
                ("planning", "benchmark"), "there are no photographs to plan from; name some in benchmark.photographs"
            )
        if self.planning.errors and not self.benchmark.diagnosis_items_per_kind:
            raise MistakeAtKeyError(
                ("planning", "errors"),
                "there are no items to find errors with, since the scored ones are not for that; set "
                "benchmark.diagnosis_items_per_kind",
            )
        return self

    def measured(self, catalog: Catalog) -> list[str]:
        """The evaluated abilities of ``catalog``: all, or those in ``only``.

        Raises:
            DocumentError: one of them does not exist.
        """
        _check_exist("only", self.only or (), catalog)
        return [name for name in catalog if self.only is None or name in self.only]

    def usual_rows(self, abilities: Iterable[str], catalog: Catalog) -> dict[str, int]:
        """The prompts of each ability in a batch without a plan, or groups of prompts.

        Raises:
            DocumentError: rows are given for one that ``catalog`` lacks.
        """
        own = self.rows_by_ability or {}
        _check_exist("rows_by_ability", own, catalog)
        return {name: own.get(name, self.rows_per_batch) for name in abilities}

    @property
    def batch_keys(self) -> list[str]:
        """The batches by name: 0001, 0002, ..."""
        return [f"{number:04d}" for number in range(1, self.batches + 1)]

    @property
    def benchmark_files(self) -> list[str]:
        """The names of the benchmarks that files hold: those that are scored, and those that are only avoided."""
        return list(dict.fromkeys(each.name for each in (*self.benchmark.external, *self.filters.avoid)))

    @property
    def tables_root(self) -> str:
        """Root of the Parquet tables."""
        return self.storage.tables or str(self.storage.data / "tables")

    def place_of(self, published: Published) -> str:
        """Folder or URL of something that is published besides the tables."""
        named: str | None = getattr(self.storage, published)
        if named is not None:
            return named
        root = self.tables_root
        return f"{root.rstrip('/')}/{published}" if "://" in root else str(self.storage.data / published)


def _check_exist(setting: str, names: Iterable[str], catalog: Catalog) -> None:
    if unknown := [name for name in names if name not in catalog]:
        raise DocumentError(f"{setting}: there is no ability {unknown[0]!r}; there are {', '.join(catalog)}")


def load_profile(environment: Mapping[str, str] = os.environ) -> Profile:
    """The profile named by ``STABLELLAVA_PROFILE`` (a built-in name or a path), by default ``embedded``.

    ``STABLELLAVA_DATA`` overrides the data folder, ``STABLELLAVA_TABLES`` the root of the tables, ``STABLELLAVA_STATE``
    the database of the state, and ``STABLELLAVA_EXECUTOR`` the executor.

    Raises:
        DocumentError: there is no such profile, or it is invalid; file, line, key and reason are named.
    """
    name = environment.get(PROFILE_VARIABLE) or "embedded"
    path = BUILT_IN_PROFILES / f"{name}.yaml"
    if not path.is_file():
        path = _from_environment(PROFILE_VARIABLE, name)
    if not path.exists():
        known = ", ".join(sorted(found.stem for found in BUILT_IN_PROFILES.glob("*.yaml")))
        raise DocumentError(f"{PROFILE_VARIABLE}={name}: no such profile or file; built in are {known}")
    profile = load_document(path, Profile)
    data = environment.get(DATA_VARIABLE)
    if data:
        try:
            _local(data)
        except ValueError as error:
            raise DocumentError(f"{DATA_VARIABLE}: {error}") from error
        profile = _stored(profile, data=_from_environment(DATA_VARIABLE, data))
    for variable, setting, checked in (
        (TABLES_VARIABLE, "tables", _without_credentials),
        (STATE_VARIABLE, "state", checked_url),
    ):
        if written := environment.get(variable):
            try:
                profile = _stored(profile, **{setting: checked(written)})
            except ValueError as error:
                raise DocumentError(f"{variable}: {error}") from error
    if executor := environment.get(EXECUTOR_VARIABLE):
        executors = get_args(Executor)
        if executor not in executors:
            raise DocumentError(f"{EXECUTOR_VARIABLE}={executor}: no such executor; there are {', '.join(executors)}")
        profile = profile.model_copy(update={"runs": profile.runs.model_copy(update={"executor": executor})})
    return profile


def _stored(profile: Profile, **elsewhere: object) -> Profile:
    return profile.model_copy(update={"storage": profile.storage.model_copy(update=elsewhere)})


def _from_environment(variable: str, written: str) -> Path:
    try:
        return expanded(Path(written))
    except ValueError as error:
        raise DocumentError(f"{variable}={error}") from error
