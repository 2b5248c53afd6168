"""A profile: every setting of a run, in one readable YAML file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from stablellava_assets.abilities.catalog import BUILT_IN_ABILITIES
from stablellava_assets.authors.settings import AuthorSettings, ReleasedAuthorSettings
from stablellava_assets.checks.gates import GateSettings
from stablellava_assets.evaluation.settings import BenchmarkSettings
from stablellava_assets.filters.settings import FilterSettings
from stablellava_assets.gallery.settings import GallerySettings
from stablellava_assets.painters.settings import PainterSettings
from stablellava_assets.planning.settings import PlanningSettings
from stablellava_assets.report.settings import ReportSettings
from stablellava_assets.tuning.settings import AnyTuningSettings
from stablellava_assets.yaml_documents import (
    Document,
    DocumentError,
    MistakeAtKeyError,
    UserPath,
    expanded,
    load_document,
)

BUILT_IN_PROFILES = Path(__file__).parent
PROFILE_VARIABLE = "STABLELLAVA_PROFILE"
DATA_VARIABLE = "STABLELLAVA_DATA"


def _expanded_folder(written: str) -> str:
    """A URL as it is, a folder with the home folder for a tilde in front."""
    return str(expanded(Path(written))) if written.startswith("~") else written


class StorageSettings(Document):
    """Where things lie. Relative folders start at the working directory."""

    data: UserPath = Field(
        Path("data"), description="Local folder: warehouse, models, journals, quarantine, Dagster's state."
    )
    tables: Annotated[str, AfterValidator(_expanded_folder)] | None = Field(
        None, description="Folder or fsspec URL of the Parquet tables; unset: <data>/tables."
    )


class ScheduleSettings(Document):
    """When the next batch of every ability is made, and how soon tuning follows, once schedule and sensor are turned on."""

    cron: str = Field("0 3 * * *", pattern=r"^\S+( \S+){4}$", description="Cron expression of five fields, in UTC.")
    follow_seconds: int = Field(30, ge=1, description="Seconds from one look of the sensor for new pairs to the next.")


class Profile(Document):
    """Every setting of a run. Keys and tokens are never here: they come from the environment."""

    abilities: UserPath = Field(BUILT_IN_ABILITIES, description="Folder of the ability files.")
    only: list[str] | None = Field(
        None,
        min_length=1,
        description="Abilities to teach and measure; the others only lend their words and scenes. Unset: all.",
    )
    batches: int = Field(20, ge=1, le=9999, description="Batches an ability that partitions exist for.")
    rows_per_batch: int = Field(ge=1, description="Prompts an ability and batch; raising it adds rows.")
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
        description="Whether a batch has more rows of what the last scores say is lacking; unset: rows_per_batch for all.",
    )
    schedule: ScheduleSettings = ScheduleSettings()
    storage: StorageSettings = StorageSettings()

    @model_validator(mode="after")
    def _can_be_planned(self) -> Self:
        if self.planning is None:
            return self
        if isinstance(self.author, ReleasedAuthorSettings):
            raise MistakeAtKeyError(
                ("planning",),
                "the released author cuts its files into batches of rows_per_batch; batches of other sizes would skip or repeat "
                "rows. Leave planning out",
            )
        if self.planning.benchmark == "photos" and self.benchmark.photographs is None:
            raise MistakeAtKeyError(
                ("planning", "benchmark"), "there are no photographs to plan from; name some in benchmark.photographs"
            )
        return self

    @property
    def batch_keys(self) -> list[str]:
        """The batches by name: 0001, 0002, ..."""
        return [f"{number:04d}" for number in range(1, self.batches + 1)]

    @property
    def tables_root(self) -> str:
        """Where the Parquet tables lie."""
        return self.storage.tables or str(self.storage.data / "tables")


def load_profile(environment: Mapping[str, str] = os.environ) -> Profile:
    """The profile that ``STABLELLAVA_PROFILE`` names (a built-in name or a path), ``embedded`` unless set.

    ``STABLELLAVA_DATA`` moves the data folder without a new profile.

    Raises:
        DocumentError: there is no such profile, or it has a mistake; file, line, key and reason are named.
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
        storage = profile.storage.model_copy(update={"data": _from_environment(DATA_VARIABLE, data)})
        profile = profile.model_copy(update={"storage": storage})
    return profile


def _from_environment(variable: str, written: str) -> Path:
    try:
        return expanded(Path(written))
    except ValueError as error:
        raise DocumentError(f"{variable}={error}") from error
