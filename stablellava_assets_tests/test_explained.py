"""Whatever is typed ends with one sentence that names a file or a setting, and bugs show where they are."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import click
import pytest
from click.testing import CliRunner
from pydantic import BaseModel

from stablellava_assets.cli.command_group import CommandGroup
from stablellava_assets.cli.main import main
from stablellava_assets.inputs.explained import ExplainedError, is_system_error
from stablellava_assets.inputs.yaml_documents import DocumentError
from stablellava_assets.profiles.profile import Profile, load_profile
from stablellava_assets_tests.tuning.tiny import picture

PROFILE = """
rows_per_batch: 4
author: {kind: embedded}
painter: {kind: embedded, size: 64}
filters: {}
benchmark: {items_per_kind: 17}
tuning: {model: {kind: embedded}, stage: {passes: 1}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a profile, and nothing made yet."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profile.yaml").write_text(PROFILE)
    monkeypatch.setenv("STABLELLAVA_PROFILE", str(tmp_path / "profile.yaml"))
    monkeypatch.setenv("STABLELLAVA_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("hello")
    (tmp_path / "binary").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "a.png").write_bytes(picture("red"))
    (tmp_path / "list.json").write_text("[]")
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("scores", "nothing has been scored yet"),
        ("report", "nothing has been tuned yet"),
        ("plan dinosaur", "no ability 'dinosaur'"),
        ("plan --batch 9", "no batch '9'"),
        ("gallery out", "filtered_pairs has not been materialized yet"),
        ("gallery text", "Directory 'text' is a file"),
        ("export llava out", "filtered_pairs has not been materialized yet"),
        ("export json out", "'json' is not one of"),
        ("query SELECT_1", "data/warehouse.duckdb: there is no warehouse yet"),
        ("inspect-released empty", "holds no *.json"),
        ("inspect-released .", "list.json: lists no rows"),
        ("ask binary What?", "binary: it is in no format that Pillow reads"),
        ("ask empty What?", "is a directory"),
        ("ask a.png What?", "llava_checkpoint has not been materialized yet"),
        ("ask a.png What? --checkpoint ./nowhere", "./nowhere: there is no such folder"),
        ("ask a.png What? --checkpoint ~/nowhere", "~/nowhere: there is no such folder"),
        ("ask a.png What? --checkpoint empty", "empty: cannot be asked"),
        ("photographs coco text empty out", "text: not a COCO instances file: line 1: not JSON"),
        ("photographs coco binary empty out", "binary: not a COCO instances file: line 1: is not text"),
        ("photographs coco list.json empty out", "it is no JSON object"),
        ("photographs open-images text text empty out", "text: lacks the columns"),
        ("photographs open-images binary binary empty out", "binary:1: is not text"),
    ],
)
def test_what_is_typed_wrong_ends_with_one_sentence(typed: str, told: str, folder: Path) -> None:
    done = CliRunner().invoke(main, typed.split())
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code in (1, 2)
    assert told in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("STABLELLAVA_PROFILE", "nowhere", "no such profile or file; built in are"),
        ("STABLELLAVA_PROFILE", "empty", "empty: cannot be read (Is a directory)"),
        ("STABLELLAVA_PROFILE", "binary", "binary:1: is not text"),
        ("STABLELLAVA_PROFILE", "~nobody-of-this-name/p.yaml", "there is no home folder of that name"),
        ("STABLELLAVA_DATA", "text", "text/tables/llava_checkpoint: cannot be listed"),
    ],
)
def test_what_the_environment_says_wrong_is_named(
    variable: str, value: str, told: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    done = CliRunner().invoke(main, ["scores"])
    assert isinstance(done.exception, SystemExit), done.exception
    assert told in done.output


@pytest.mark.parametrize("tables", ["nosuch://bucket", "nosuch+thing://x"])
def test_a_url_that_nothing_opens_is_named(tables: str, folder: Path) -> None:
    (folder / "profile.yaml").write_text(f"{PROFILE}storage: {{tables: '{tables}'}}\n")
    done = CliRunner().invoke(main, ["scores"])
    assert isinstance(done.exception, SystemExit), done.exception
    assert f"storage.tables: {tables} cannot be opened" in done.output


def test_the_systems_errors_are_sentences_and_bugs_are_not() -> None:
    raised: list[Exception] = []

    @click.group(cls=CommandGroup)
    def group() -> None:
        """Raises what it is told to."""

    @group.command()
    def fail() -> None:
        raise raised.pop()

    for error, told in (
        (
            PermissionError(errno.EACCES, os.strerror(errno.EACCES), "data/x"),
            "data/x: Permission denied; see to its perm",
        ),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left on device; the disk is full; make room"),
        (TimeoutError("timed out"), "timed out; fix that"),
        (ExplainedError("tuning.mix: no"), "Error: tuning.mix: no"),
    ):
        raised.append(error)
        done = CliRunner().invoke(group, ["fail"])
        assert told in done.output
        assert isinstance(done.exception, SystemExit)
    for bug in (KeyError("x"), ValueError("x"), OSError("a library's own"), AssertionError()):
        raised.append(bug)
        assert CliRunner().invoke(group, ["fail"]).exception is bug
    assert not is_system_error(OSError("Couldn't deserialize thrift"))


def paths_of(model: type[BaseModel], value: Any) -> list[str]:
    """The dotted names of all settings that hold a path, below ``model`` and in every member of its unions."""
    found = []
    for name, field in model.model_fields.items():
        found += [f"{model.__name__}.{name}"] if value in _types(field.annotation, field.metadata) else []
    return found


def _types(kind: Any, metadata: list[Any]) -> list[Any]:
    if get_origin(kind) is Annotated:
        return _types(get_args(kind)[0], [*metadata, *get_args(kind)[1:]])
    inner = [found for each in get_args(kind) for found in _types(each, metadata)]
    return [kind, *inner] if not metadata or kind is not Path else inner


def models_of(model: type[BaseModel], known: set[type[BaseModel]]) -> set[type[BaseModel]]:
    known.add(model)
    for field in model.model_fields.values():
        for kind in _types(field.annotation, []):
            if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in known:
                models_of(kind, known)
    return known


def test_every_path_of_a_profile_may_begin_with_a_tilde() -> None:
    models = models_of(Profile, set())
    assert len(models) > 20
    assert [name for model in models for name in paths_of(model, Path)] == [], "these are paths and no UserPath"


def test_the_home_folder_is_where_a_tilde_says(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder / "home"))
    (folder / "home").mkdir()
    (folder / "home/p.yaml").write_text(
        f"{PROFILE}storage: {{data: ~/slv, tables: ~/slv/tables}}\nabilities: ~/abilities\n".replace(
            "filters: {}", "filters: {reviews: [~/a.csv]}"
        ).replace("items_per_kind: 17}", "items_per_kind: 17, photographs: ~/photos}")
    )
    profile = load_profile({"STABLELLAVA_PROFILE": "~/p.yaml"})
    home = folder / "home"
    assert profile.storage.data == home / "slv"
    assert profile.tables_root == str(home / "slv/tables")
    assert (profile.abilities, profile.filters.reviews) == (home / "abilities", (home / "a.csv",))
    assert profile.benchmark.photographs == home / "photos"
    assert load_profile({"STABLELLAVA_PROFILE": "~/p.yaml", "STABLELLAVA_DATA": "~/d"}).storage.data == home / "d"
    (home / "p.yaml").write_text(f"{PROFILE}storage: {{data: ~nobody-of-this-name/x}}\n")
    with pytest.raises(DocumentError, match=r"p\.yaml:\d+: storage\.data: .*no home folder of that name"):
        load_profile({"STABLELLAVA_PROFILE": "~/p.yaml"})


def test_nothing_else_makes_rgb_of_pictures() -> None:
    package = Path(__file__).parent.parent / "stablellava_assets"
    makers = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if '.convert("RGB")' in path.read_text() or "exif_transpose" in path.read_text()
    ]
    # Charts, and colours that the embedded painter mixes itself.
    assert sorted(makers) == [
        "painters/embedded/effects.py",
        "painters/embedded/lights.py",
        "pictures/decoding.py",
        "pictures/figures.py",
    ]
