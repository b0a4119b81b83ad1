"""The label store: events are appended and read, never changed; it knows no app and no scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd
from sqlalchemy import URL, Connection, Engine, TableClause, select
from sqlalchemy.dialects import postgresql, sqlite

from cacnb.errors import InputError, UsageError
from cacnb.labels.databases import (
    connect_to,
    database_url,
    in_words,
    or_refused,
    sync_log,
    writing,
)
from cacnb.labels.events import FIELD_TYPES, LabelEvent
from cacnb.labels.schema import (
    VERSIONS,
    Version,
    current_labels,
    installed_version,
    label_events,
    now,
    require_known,
    upgrade,
)

Key = tuple[str, int]

#: Text stays as objects, so that None is None and not NaN.
_FRAME_TYPES: Mapping[str, str] = {
    "str": "object", "str | None": "object", "int": "int64", "int | None": "Int64",
    "float": "float64", "bool": "bool",
}  # fmt: skip
_FRAME: Mapping[str, str] = {
    "id": "int64",
    **{name: _FRAME_TYPES[kind] for name, kind in FIELD_TYPES.items()},
    "written_at": "object",
}


@dataclass(frozen=True, eq=False)
class LabelStore:
    """An open store of label events, on SQLite or PostgreSQL; close it, or use it with `with`.

    It may be used from several threads, and by any number of processes at once.

    Example
    -------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with LabelStore.open(f"{folder}/labels.sqlite") as store:
    ...         len(store.events())
    0
    """

    url: URL
    _engine: Engine

    @classmethod
    def open(cls, where: str | Path, versions: Sequence[Version] = VERSIONS) -> LabelStore:
        """Open a store, made where there is none, its schema brought to the newest version.

        Parameters
        ----------
        where
            A file, or a database's address: `postgresql://user@host/database`.

        Raises
        ------
        InputError
            `network_disk` for a SQLite file on a network file system, `newer_labels` for a store
            of a later cacnb, `label_store` where the database cannot be used, `bad_labels_place`,
            `no_folder`, `no_psycopg`, `no_wal`.
        """
        url = database_url(where)
        store = cls(url, connect_to(url))
        try:
            with or_refused(url):
                with store._engine.connect() as connection:
                    version = installed_version(connection)
                require_known(version, versions)
                if version < len(versions):
                    with writing(store._engine) as connection:
                        upgrade(connection, versions)
        except InputError:
            store.close()
            raise
        return store

    def append(self, events: Sequence[LabelEvent]) -> list[Key]:
        """Append events, all or none; when this returns they are on disk.

        An event whose session and sequence the store has is passed over: a page that did not hear
        the answer sends its events again.

        Returns
        -------
        list of (str, int)
            Session and sequence of the events that are on disk: all that were given.

        Raises
        ------
        InputError
            `label_store` where nothing could be written.
        """
        if not events:
            return []
        written_at = now()
        with or_refused(self.url), writing(self._engine) as connection:
            new = _insert(connection, [{**vars(e), "written_at": written_at} for e in events])
        if not new:
            sync_log(self.url)
        return [event.key for event in events]

    def restore(self, events: Sequence[LabelEvent], written_at: Sequence[str]) -> int:
        """Put exported events back in their order, all or none; how many were new.

        Raises
        ------
        InputError
            `label_differs` where the store has another event of the same session and sequence.
        """
        rows = [
            {**vars(event), "written_at": at} for event, at in zip(events, written_at, strict=True)
        ]
        with or_refused(self.url), writing(self._engine) as connection:
            new = _insert(connection, rows)
            _require_kept(connection, events)
        return new

    def events(self, **equal: object) -> pd.DataFrame:
        """Events in the order that they came in, columns as `LabelEvent`, `id` and `written_at`.

        Parameters
        ----------
        equal
            Columns and the value that each must have; None is a value too.
        """
        return self._read(label_events, equal)

    def current(self, **equal: object) -> pd.DataFrame:
        """The labels that hold; `value` is None where one was taken back. As `events`."""
        return self._read(current_labels, equal)

    def version(self) -> int:
        """The version of the store's schema."""
        with or_refused(self.url), self._engine.connect() as connection:
            return installed_version(connection)

    def check(self) -> None:
        """Raise InputError `damaged_labels` or `unsafe_server` where labels are, or may be, lost.

        SQLite checks the whole file; a PostgreSQL server is asked whether it syncs to disk.
        """
        with or_refused(self.url), self._engine.connect() as connection:
            if connection.dialect.name == "sqlite":
                found = list(connection.exec_driver_sql("PRAGMA integrity_check").scalars())
                if found != ["ok"]:
                    raise InputError(
                        "damaged_labels",
                        f"{in_words(self.url)} is damaged ({found[0]}): keep a copy, and put the "
                        "last export into a new store with `cacnb study labels import`",
                    )
            elif connection.exec_driver_sql("SHOW fsync").scalar() != "on":
                raise InputError(
                    "unsafe_server",
                    f"{in_words(self.url)} runs with fsync = off and can lose labels: set it on",
                )

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def __enter__(self) -> LabelStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def _read(self, table: TableClause, equal: Mapping[str, object]) -> pd.DataFrame:
        unknown = [name for name in equal if name not in table.c]
        if unknown:
            raise UsageError(
                f"labels were asked for by {unknown[0]!r}: a column was wanted, one of "
                f"{', '.join(table.c.keys())}"
            )
        wanted = [table.c[name] == value for name, value in equal.items()]
        query = select(table).where(*wanted).order_by(table.c.id)
        with or_refused(self.url), self._engine.connect() as connection:
            rows = connection.execute(query).all()
        columns = zip(*rows, strict=True) if rows else ([] for _ in _FRAME)
        return pd.DataFrame(
            {
                name: pd.Series(list(column), dtype=kind)
                for (name, kind), column in zip(_FRAME.items(), columns, strict=True)
            }
        )


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> int:
    """Insert the rows that the store does not have; how many those were."""
    if not rows:
        return 0
    lite = connection.dialect.name == "sqlite"
    insert = sqlite.insert(label_events) if lite else postgresql.insert(label_events)
    new = insert.on_conflict_do_nothing(index_elements=["session", "sequence"])
    counted = connection.execution_options(preserve_rowcount=True)
    return counted.execute(new, rows).rowcount


def _require_kept(connection: Connection, events: Sequence[LabelEvent]) -> None:
    """Raise where what the store has of these events is not what was given."""
    columns = [label_events.c[name] for name in FIELD_TYPES]
    for session in dict.fromkeys(event.session for event in events):
        rows = connection.execute(select(*columns).where(label_events.c.session == session))
        kept = {(row.session, row.sequence): tuple(row) for row in rows}
        for event in events:
            if event.session == session and kept[event.key] != tuple(vars(event).values()):
                raise InputError(
                    "label_differs",
                    f"the store has another label under session {session} and sequence "
                    f"{event.sequence} than the file: nothing was written; import it into a store "
                    "of its own and compare the two",
                )
