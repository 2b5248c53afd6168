"""The PostgreSQL database that several machines share."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from stablellava_assets.inputs.explained import ExplainedError
from stablellava_assets.tables.remote_files import has_credentials

if TYPE_CHECKING:
    import psycopg

SCHEMES = ("postgresql", "postgres")
PASSWORD_VARIABLE = "PGPASSWORD"
_CONNECT_TIMEOUT_S = 10
_KEEPALIVE = {"tcp_keepalives_idle": 30, "tcp_keepalives_interval": 10, "tcp_keepalives_count": 3}
"""After this many seconds of silence the server ends the session of a machine that is gone, which frees its leases."""


class DatabaseError(ExplainedError, RuntimeError):
    """The database cannot be used; the message names it, without password, and what to do."""


def checked_url(written: str) -> str:
    """The address of a database as it is written in a profile.

    Raises:
        ValueError: it is not the address of a PostgreSQL database, or holds a password.
    """
    try:
        url = urlsplit(written)
        is_address = written.partition("://")[0] in SCHEMES and url.path.strip("/") != "" and url.port != 0
    except ValueError:
        is_address = False
    if has_credentials(written) or any("password" in name for name in parse_qs(written.partition("?")[2])):
        raise ValueError(f"holds a password; leave it out and set {PASSWORD_VARIABLE} in the environment")
    if not is_address:
        raise ValueError(
            "not the address of a PostgreSQL database, as in postgresql://user@host:5432/name; leave it out to keep "
            "state in files"
        )
    return written


@dataclass(frozen=True)
class Database:
    """A PostgreSQL database at ``url``, which holds no password: that comes from ``PGPASSWORD`` or ``PGPASSFILE``."""

    url: str

    def connect(self) -> psycopg.Connection[Any]:
        """A connection in which every statement is a transaction of its own, unless one is begun.

        Raises:
            DatabaseError: the extra is not installed, or the database cannot be reached or refuses.
        """
        try:
            import psycopg
        except ImportError:
            raise DatabaseError(
                "storage.state: PostgreSQL needs further packages; `pip install 'stablellava-assets[postgres]'`"
            ) from None
        name = f"stablellava on {socket.gethostname()}, process {os.getpid()}"
        try:
            return psycopg.connect(
                self.url,
                autocommit=True,
                connect_timeout=_CONNECT_TIMEOUT_S,
                application_name=name[:63],
                cursor_factory=psycopg.ClientCursor,
                options=" ".join(f"-c {key}={value}" for key, value in _KEEPALIVE.items()),
                keepalives_idle=_KEEPALIVE["tcp_keepalives_idle"],
                keepalives_interval=_KEEPALIVE["tcp_keepalives_interval"],
                keepalives_count=_KEEPALIVE["tcp_keepalives_count"],
            )
        except psycopg.Error as error:
            raise DatabaseError(
                f"storage.state: {self.url} cannot be used ({_reason(error)}); check address and database, and the "
                f"password in {PASSWORD_VARIABLE}"
            ) from None


def _reason(error: Exception) -> str:
    """What the server or the network said, in one line."""
    line = next((line for line in str(error).splitlines() if "failed" in line or "FATAL" in line), str(error))
    return line.rpartition("FATAL:")[2].rpartition("failed: ")[2].strip() or type(error).__name__
