"""Wrong settings of what several machines share: one sentence that names the setting, and no secret in it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from stablellava_assets.inputs.yaml_documents import DocumentError
from stablellava_assets.profiles.profile import BUILT_IN_PROFILES, load_profile

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("variable", "written", "told"),
    [
        ("STABLELLAVA_TABLES", "s3://AKIA:hunter2@bucket/x", "passwords and keys come from the environment"),
        ("STABLELLAVA_TABLES", "s3://AKIA:a/hunter2@bucket/x", "passwords and keys come from the environment"),
        ("STABLELLAVA_TABLES", "s3://AKIA:a/hunter2/b@bucket/x", "passwords and keys come from the environment"),
        ("STABLELLAVA_TABLES", "s3:/bucket/x", "two slashes and a bucket"),
        ("STABLELLAVA_TABLES", "s3://", "two slashes and a bucket"),
        ("STABLELLAVA_DATA", "s3://bucket/x", "a folder of this machine; URLs go into storage.tables"),
        ("STABLELLAVA_STATE", "postgresql://u:hunter2@h/x", "holds a password"),
        ("STABLELLAVA_STATE", "postgresql://u:1234/hunter2@h/x", "holds a password"),
        ("STABLELLAVA_STATE", "postgresql://u@h/x?pass%77ord=hunter2", "holds a password"),
        ("STABLELLAVA_STATE", "postgresql://u@[h/x?sslpassword=hunter2", "holds a password"),
        ("STABLELLAVA_STATE", "postgresql://u@[h/x", "not the address of a PostgreSQL database"),
        ("STABLELLAVA_STATE", "postgresql://u@h:port/x", "not the address of a PostgreSQL database"),
        ("STABLELLAVA_STATE", "POSTGRESQL://u@h/x", "not the address of a PostgreSQL database"),
    ],
)
def test_a_variable(variable: str, written: str, told: str) -> None:
    with pytest.raises(DocumentError) as refused:
        load_profile({variable: written})
    assert str(refused.value).startswith(f"{variable}: ")
    assert told in str(refused.value)
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("written", ["s3://bucket/a folder", "memory://x", "tables", "/srv/tables", "s3://bucket/x@y"])
def test_a_right_location(written: str) -> None:
    assert load_profile({"STABLELLAVA_TABLES": written}).tables_root == written


@pytest.mark.parametrize(
    ("profile", "key", "value", "told"),
    [
        ("embedded", "storage.data", "s3://bucket/x", "a folder of this machine"),
        ("embedded", "storage.gallery", "gs:/bucket/x", "a folder, or a URL with two slashes and a bucket"),
        ("cluster", "painter.workers", "many", "takes auto, ray, or a number of processes from 1 to 64"),
        ("cluster", "painter.workers", 0, "takes auto, ray, or a number of processes from 1 to 64"),
        ("cluster", "painter.workers", True, "takes auto, ray, or a number of processes from 1 to 64"),
        ("cluster", "author.examples_from", 1, 'takes a batch in quotes, such as "0001"'),
        ("cluster", "author.examples_from", "0000", 'takes a batch in quotes, such as "0001"'),
    ],
)
def test_a_profile(profile: str, key: str, value: object, told: str, tmp_path: Path) -> None:
    document = yaml.safe_load((BUILT_IN_PROFILES / f"{profile}.yaml").read_text())
    section, name = key.split(".")
    document.setdefault(section, {})[name] = value
    path = tmp_path / "profile.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(DocumentError) as refused:
        load_profile({"STABLELLAVA_PROFILE": str(path)})
    assert f": {key}: {told}" in str(refused.value)
    assert "\n" not in str(refused.value)
