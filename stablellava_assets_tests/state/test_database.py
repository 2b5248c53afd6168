"""A database that cannot be used is said in one sentence, which holds no password."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stablellava_assets.endpoint.ledger import Ledger, LedgerError
from stablellava_assets.inputs.yaml_documents import DocumentError
from stablellava_assets.profiles.profile import load_profile
from stablellava_assets.state.database import Database, DatabaseError, checked_url
from stablellava_assets.state.sql import StateSchema
from stablellava_assets_tests.fakes.postgres import PASSWORD, PostgresServer


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://host/name", "not the address of a PostgreSQL database"),
        ("postgresql://host", "not the address of a PostgreSQL database"),
        ("postgresql://me:hunter2@host/name", "holds a password; leave it out and set PGPASSWORD"),
        ("postgresql://host/name?password=hunter2", "holds a password"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        checked_url(url)
    assert "hunter2" not in str(refused.value)
    with pytest.raises(DocumentError, match=f"STABLELLAVA_STATE: {reason}") as stopped:
        load_profile({"STABLELLAVA_STATE": url})
    assert "hunter2" not in str(stopped.value)


def test_a_profile_with_a_password_is_refused_without_repeating_it(tmp_path: Path) -> None:
    profile = Path(sys.modules["stablellava_assets.profiles.profile"].__file__ or "").parent / "embedded.yaml"
    path = tmp_path / "profile.yaml"
    path.write_text(f"{profile.read_text()}\nstorage: {{state: 'postgresql://me:hunter2@host/name'}}\n")
    with pytest.raises(DocumentError, match=r"storage\.state.*holds a password") as stopped:
        load_profile({"STABLELLAVA_PROFILE": str(path)})
    assert "hunter2" not in str(stopped.value)


def test_the_environment_names_the_database() -> None:
    profile = load_profile({"STABLELLAVA_STATE": "postgresql://keeper@db/lava"})
    assert profile.storage.state == "postgresql://keeper@db/lava"


def message_of(database: Database) -> str:
    with pytest.raises(DatabaseError) as stopped:
        database.connect()
    with pytest.raises(LedgerError) as no_ledger:
        Ledger(StateSchema(database, "chat_ledger"))
    assert str(no_ledger.value) == str(stopped.value)
    assert "\n" not in str(stopped.value)
    assert PASSWORD not in str(stopped.value)
    return str(stopped.value)


def test_a_wrong_password(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "hunter2")
    message = message_of(Database(server.url()))
    assert 'password authentication failed for user "keeper"' in message
    assert "hunter2" not in message


def test_no_password(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    assert "no password supplied" in message_of(Database(server.url()))


def test_a_database_that_does_not_exist(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert 'database "nowhere" does not exist' in message_of(Database(server.url("nowhere")))


def test_a_server_that_is_away() -> None:
    pytest.importorskip("psycopg")
    assert "Connection refused" in message_of(Database("postgresql://keeper@127.0.0.1:9/lava"))


def test_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert "pip install 'stablellava-assets[postgres]'" in message_of(Database("postgresql://keeper@127.0.0.1/lava"))
