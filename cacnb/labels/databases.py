"""Connections to SQLite and PostgreSQL on which a commit is on disk; they know no table."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from cacnb.errors import InputError
from cacnb.labels.disk import make_lasting, require_local_disk

#: How long a writer waits for another to finish.
BUSY_S = 30

#: FULL syncs the write-ahead log at every commit; NORMAL, the usual advice, only at checkpoints.
#: A plain fsync on macOS leaves data in the drive: fullfsync is its own, elsewhere it does nothing.
SQLITE_PRAGMAS: Mapping[str, str] = {"synchronous": "FULL", "fullfsync": "ON"}

#: A server that is gone is noticed within these, rather than never.
POSTGRESQL_OPTIONS: Mapping[str, str] = {"connect_timeout": "10", "tcp_user_timeout": "20000"}

_WRITES = "cacnb_writes"


def database_url(where: str | Path) -> URL:
    """The address of a file, or of a database named by its URL.

    Raises
    ------
    InputError
        `bad_labels_place` for what is neither; the address is not repeated, for it may hold a
        password.

    Example
    -------
    >>> str(database_url("/data/labels.sqlite"))
    'sqlite:////data/labels.sqlite'
    """
    if "://" not in str(where):
        return URL.create("sqlite", database=str(Path(where).absolute()))
    wanted = "postgresql://user@host/database, sqlite:///file or a file's path was wanted"
    try:
        url = make_url(str(where))
    except (ArgumentError, ValueError):
        # Without the cause: a driver may repeat what it could not read, password and all.
        raise InputError(
            "bad_labels_place", f"the label store's address is none: {wanted}"
        ) from None
    kind = url.drivername.partition("+")[0]
    if kind == "sqlite" and url.database not in (None, "", ":memory:"):
        return URL.create("sqlite", database=str(Path(str(url.database)).absolute()))
    if kind in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    raise InputError("bad_labels_place", f"labels cannot be kept in {url.drivername}: {wanted}")


def in_words(url: URL) -> str:
    """A file's path, or kind, host and name of a database: no user and no password.

    Example
    -------
    >>> in_words(database_url("postgresql://reader:secret@db.example:5433/labels?password=x"))
    'postgresql://db.example:5433/labels'
    """
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    port = "" if url.port is None else f":{url.port}"
    return f"postgresql://{url.host or ''}{port}/{url.database or ''}"


def connect_to(url: URL) -> Engine:
    """An engine whose write transactions are on disk when they are committed.

    Raises
    ------
    InputError
        `network_disk`, `no_folder`, `no_psycopg`.
    """
    return _sqlite(url) if url.get_backend_name() == "sqlite" else _postgresql(url)


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes, committed at the end of the block."""
    with engine.execution_options(**{_WRITES: True}).begin() as connection:
        yield connection


@contextmanager
def or_refused(url: URL) -> Iterator[None]:
    """Turn what the database refuses inside the block into InputError `label_store`, in a line."""
    try:
        yield
    except SQLAlchemyError as error:
        lines = str(getattr(error, "orig", None) or error).strip().splitlines()
        why = lines[0] if lines else type(error).__name__
        if url.password:
            why = why.replace(str(url.password), "…")
        raise InputError(
            "label_store",
            f"the label store {in_words(url)} cannot be used just now ({why}): see that it is "
            "there, that its disk has room and that this user may write to it",
        ) from error


def _sqlite(url: URL) -> Engine:
    file = Path(str(url.database))
    if not file.parent.is_dir():
        raise InputError("no_folder", f"{file.parent} is no folder: labels are kept in one")
    require_local_disk(file)
    engine = create_engine(url, connect_args={"timeout": BUSY_S}, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself
        if not _keeps_log(connection):
            raise InputError(
                "no_wal",
                f"{file} cannot keep a write-ahead log: put it on another disk with CACNB_LABELS",
            )
        for name, value in SQLITE_PRAGMAS.items():
            connection.execute(f"PRAGMA {name} = {value}")
        # The file's name must outlive a power cut too, whoever made it and was killed after that.
        make_lasting(file)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A deferred transaction that reads, then writes, is "locked" at once if another writes.
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _keeps_log(connection: sqlite3.Connection) -> bool:
    """Turn the write-ahead log on; SQLite does not wait here for others who do it too: we do."""
    until = time.monotonic() + BUSY_S
    while True:
        try:
            return bool(connection.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",))
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY  # whatever the sub-code
            if not busy or time.monotonic() > until:
                raise
            time.sleep(0.01)


def sync_log(url: URL) -> None:
    """Sync a SQLite store's write-ahead log.

    What a killed process wrote and did not sync is read by the next one as if it were there: a
    label that is "already there" is on disk only after this.
    """
    if url.get_backend_name() != "sqlite":
        return  # PostgreSQL syncs what it recovers before it answers
    try:
        log = os.open(f"{url.database}-wal", os.O_RDWR)
    except FileNotFoundError:
        return  # it was taken into the file, which is synced then
    try:
        os.fsync(log)
    finally:
        os.close(log)


def _postgresql(url: URL) -> Engine:
    options = {name: value for name, value in POSTGRESQL_OPTIONS.items() if name not in url.query}
    try:
        engine = create_engine(url, connect_args=options, pool_pre_ping=True, hide_parameters=True)
    except ImportError as error:
        raise InputError(
            "no_psycopg",
            "labels are to be kept in PostgreSQL and its driver is missing: "
            "pip install 'cacnb[postgresql]'",
        ) from error

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get(_WRITES):
            connection.exec_driver_sql("SET LOCAL synchronous_commit TO on")

    return engine
