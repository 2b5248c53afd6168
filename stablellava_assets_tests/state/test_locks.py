"""Who holds a lock keeps all others out, on one machine and on several, and whoever dies lets go."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from stablellava_assets.state.database import Database, DatabaseError
from stablellava_assets.state.locks import DatabaseLocks, FileLocks, Locks

HOLDER = """
import sys, time
from stablellava_assets.state.database import Database
from stablellava_assets.state.locks import DatabaseLocks
with DatabaseLocks(Database(sys.argv[1])).hold("images/animal-0001"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(params=["files", "database"])
def locks(request: pytest.FixtureRequest, tmp_path: Path) -> Locks:
    if request.param == "files":
        return FileLocks(tmp_path)
    return DatabaseLocks(request.getfixturevalue("database"))


def test_one_at_a_time_holds_a_lock(locks: Locks) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(3):
            with locks.hold("images/animal-0001") as lease:
                inside += 1
                most = max(most, inside)
                time.sleep(0.01)
                lease.confirm()
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_other_names_do_not_wait(locks: Locks) -> None:
    with locks.hold("images/animal-0001"), locks.hold("images/animal-0002"), locks.hold("dialogues/animal-0001"):
        pass


def test_a_killed_holder_lets_go_and_was_named(database: Database) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, database.url], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    told: list[str] = []

    def wait(line: str) -> None:
        told.append(line)
        holder.kill()

    with DatabaseLocks(database).hold("images/animal-0001", wait):
        pass
    holder.wait()
    holder.stdout.close()
    (line,) = told
    assert "waits for images/animal-0001, which stablellava on " in line
    assert line.endswith(f"process {holder.pid} holds")


def test_a_lease_whose_connection_was_cut_is_not_confirmed(database: Database) -> None:
    with DatabaseLocks(database).hold("images/animal-0001") as lease:
        with database.connect() as other:
            other.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                "AND datname = current_database()"
            )
        with pytest.raises(DatabaseError, match=r"the connection to postgresql://keeper@\S+ was lost"):
            lease.confirm()
