"""The whole graph on an object store: nothing that is published stays on the machine that made it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import dagster as dg
import fsspec
import pytest
from click.testing import CliRunner

from stablellava_assets.cli.main import main
from stablellava_assets.defs.ability_scores import ability_scores
from stablellava_assets.defs.llava_checkpoint import llava_checkpoint
from stablellava_assets.defs.resources import resources_of
from stablellava_assets.exports.destination import DestinationError
from stablellava_assets.exports.export import export_pairs
from stablellava_assets.exports.selection import chosen_partitions
from stablellava_assets.exports.splits import Splits
from stablellava_assets.tables.schemas import ABILITY_ANSWERS, ABILITY_SCORES, FILTERED_PAIRS, LLAVA_CHECKPOINT
from stablellava_assets_tests.conftest import SMALL
from stablellava_assets_tests.fakes.object_store import SECRET, make_bucket, s3_client
from stablellava_assets_tests.filters.pairs import noise_png
from stablellava_assets_tests.project import Project


@pytest.fixture(scope="module")
def bucket(s3_server: str) -> Iterator[str]:
    """URL of a bucket in which the first batch of everything was made, by the command line on one machine."""
    name = f"graph-{uuid4().hex[:12]}"
    make_bucket(s3_server, name)
    with s3_client(pytest.MonkeyPatch(), s3_server):
        yield f"s3://{name}"


@pytest.fixture(scope="module")
def first(bucket: str, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The machine that made everything."""
    project = machine(bucket, tmp_path_factory.mktemp("first"))
    project.log = project.materialize("--select '*' --partition-range 'animal|0001...scene|0001'").stdout
    return project


@pytest.fixture
def other(bucket: str, first: Project, tmp_path: Path) -> Project:
    """A machine that has nothing but the URL."""
    return machine(bucket, tmp_path)


def machine(bucket: str, folder: Path, **storage: str) -> Project:
    return Project(folder / "project", {**SMALL, "storage": {"tables": f"{bucket}/project", **storage}})


def names(bucket: str, below: str) -> set[str]:
    fs, root = fsspec.core.url_to_fs(f"{bucket}/{below}")
    fs.invalidate_cache()
    return {path.removeprefix(f"{root}/") for path in fs.find(root)}


def materialized(project: Project, asset: dg.AssetsDefinition) -> str:
    """Materialize in this process; returns what was logged of the partition."""
    result = dg.materialize([asset], resources=resources_of(project.workspace))
    assert result.success
    return " ".join(str(event.message) for event in result.all_events)


@pytest.mark.slow(60)
def test_everything_that_is_published_is_at_the_url(bucket: str, first: Project) -> None:
    (row,) = LLAVA_CHECKPOINT.rows(first.workspace.store.read_all(LLAVA_CHECKPOINT))
    tuned, base = (Path(row[name]).name for name in ("path", "base_path"))
    models = names(bucket, "project/models")
    assert {f"{name}/{file}" for name in (tuned, base) for file in ("SHA256SUMS", "model.safetensors")} <= models
    assert {"index.html", f"{row['checkpoint_id']}.html"} == names(bucket, "project/report")
    gallery = names(bucket, "project/gallery")
    assert {"index.html", "manifest.js"} <= gallery
    assert len([name for name in gallery if name.endswith("pairs.js")]) == 3
    assert not (first.folder / "data/gallery").exists()
    assert not names(bucket, "project/quarantine")
    assert SECRET not in first.log


def test_another_machine_scores_and_does_not_train_again(first: Project, other: Project) -> None:
    workspace = other.workspace
    (partition,) = workspace.store.partitions(ABILITY_ANSWERS)
    before = workspace.store.read(ABILITY_SCORES, partition)
    trained = materialized(other, llava_checkpoint)
    assert "base model" not in trained
    assert not (other.folder / "data/models").exists(), "nothing is fetched before it is used"
    fs = fsspec.filesystem("s3")
    fs.rm(workspace.store.path(ABILITY_ANSWERS, partition))
    materialized(other, ability_scores)
    after = workspace.store.read(ABILITY_SCORES, partition)
    assert before is not None
    assert after is not None
    assert after.drop_columns(["run_id"]).equals(before.drop_columns(["run_id"]))
    fetched = sorted(path.name for path in (other.folder / "data/models").iterdir() if not path.name.startswith("."))
    assert [name.split("-")[0] for name in fetched] == ["base", "llava"]


def test_another_machine_asks(other: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "picture.png").write_bytes(noise_png(1))
    monkeypatch.setenv("STABLELLAVA_PROFILE", str(other.profile_path))
    monkeypatch.setenv("STABLELLAVA_DATA", str(other.folder / "data"))
    asked = CliRunner().invoke(main, ["ask", str(tmp_path / "picture.png"), "What is it?", "--max-new-tokens", "3"])
    assert asked.exit_code == 0, asked.output


def test_the_gallery_of_another_machine_keeps_what_is_there(bucket: str, other: Project) -> None:
    before = names(bucket, "project/gallery")
    assert other.workspace.gallery.publish() == 0
    assert names(bucket, "project/gallery") == before
    fs = fsspec.filesystem("s3")
    gone = next(name for name in before if name.endswith("pairs.js")).rsplit("/", 1)[0]
    fs.rm(f"{bucket}/project/gallery/{gone}", recursive=True)
    assert other.workspace.gallery.publish() == 1
    assert names(bucket, "project/gallery") == before


def test_reports_of_all_machines_are_in_the_index(bucket: str, other: Project) -> None:
    other.workspace.report.publish()
    assert len(names(bucket, "project/report")) == 2


def test_refused_rows_are_shown_on_another_machine(first: Project, other: Project) -> None:
    first_place = first.workspace.quarantine
    rows = first.workspace.store.read_all(FILTERED_PAIRS, [("animal", "0001")])
    kept = first_place.keep(FILTERED_PAIRS, ("animal", "0001"), "0123456789", [rows], [])
    assert kept.location.startswith("s3://")
    (entry,) = other.workspace.quarantine.entries()
    assert entry.name == kept.name == "filtered_pairs/animal-0001-01234567"


def test_an_export_to_a_url_is_whole_and_never_replaced(bucket: str, other: Project, tmp_path: Path) -> None:
    store = other.workspace.store
    destination = f"{bucket}/exports/one"
    exported = export_pairs("webdataset", store, chosen_partitions(store), destination, Splits())
    assert exported.pairs
    fs = fsspec.filesystem("s3")
    fs.get(destination, str(tmp_path / "one"), recursive=True)
    listed = (tmp_path / "one/SHA256SUMS").read_text()
    assert set(re.findall(r"  (.*)\n", listed)) | {"SHA256SUMS"} == {path.name for path in (tmp_path / "one").iterdir()}
    for replace in (False, True):
        with pytest.raises(DestinationError, match="exports/one: holds files already; choose another folder"):
            export_pairs("webdataset", store, chosen_partitions(store), destination, Splits(), replace=replace)


def test_models_that_only_one_machine_has_are_published_by_it(bucket: str, first: Project, tmp_path: Path) -> None:
    """As those made by earlier versions, or before ``storage.models`` was set."""
    project = machine(bucket, tmp_path, models=f"{bucket}/elsewhere")
    shutil.copytree(first.folder / "data/models", project.folder / "data/models")
    assert "base model" not in materialized(project, llava_checkpoint)
    assert sum(name.endswith("SHA256SUMS") for name in names(bucket, "elsewhere")) == 2
