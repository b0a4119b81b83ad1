import sqlite3
import subprocess
import sys
import threading
import traceback

import pandas as pd
import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import DatabaseError

from cacnb.errors import InputError, UsageError
from cacnb.labels.databases import database_url, in_words, writing
from cacnb.labels.events import FIELD_TYPES
from cacnb.labels.store import LabelStore

WORDS = "LAD, „Kalk?“\r\nzweite Zeile\n\t'\"; \\ 心臓 🫀"


def as_tuples(frame: pd.DataFrame) -> list[tuple]:
    return [
        tuple(None if value is pd.NA else value for value in row)
        for row in frame[list(FIELD_TYPES)].itertuples(index=False)
    ]


def test_what_was_appended_is_read_back_to_the_last_bit_in_its_order(any_store, event) -> None:
    events = [
        event(1),
        event(2, subject="comment", slice=None, value=WORDS, seconds=0.1 + 0.2),
        event(3, subject="comment", slice=None, value=""),
        event(4, value=None),
        event(5, action=3, kind="undo", undoes=1, undoes_session="0ther", assistant=True),
    ]
    assert any_store.append(events) == [("5e551011", n) for n in range(1, 6)]
    assert as_tuples(any_store.events()) == [tuple(vars(e).values()) for e in events]
    assert any_store.events()["id"].is_monotonic_increasing


def test_an_event_that_comes_again_is_told_as_saved_and_kept_once(any_store, event) -> None:
    any_store.append([event(1), event(2)])
    again = [event(2, value="no_cac"), event(3), event(3)]
    assert set(any_store.append(again)) == {("5e551011", 2), ("5e551011", 3)}
    kept = any_store.events()
    assert kept["sequence"].tolist() == [1, 2, 3]
    assert kept["value"].tolist() == ["cac"] * 3


def test_appending_nothing_is_answered_with_nothing(any_store) -> None:
    assert any_store.append([]) == []


def test_the_label_that_holds_is_the_one_given_last_whatever_came_first(any_store, event) -> None:
    late = "2026-02-01T00:00:00.000000+00:00"
    any_store.append([event(2, given_at=late, value="no_cac"), event(3)])
    assert any_store.current()["value"].tolist() == ["no_cac"]
    any_store.append([event(4, given_at=late, value="unsure")])  # at the same time: the later row
    assert any_store.current()["value"].tolist() == ["unsure"]


def test_labels_of_other_readers_roles_slices_items_and_readings_stand_beside(
    any_store, event
) -> None:
    others = [
        {}, {"reader": "B"}, {"role": "adjudication"}, {"slice": 1}, {"reading": 2},
        {"study": "other"}, {"scan": "scan02"}, {"item": "x"}, {"subject": "flag", "slice": None},
    ]  # fmt: skip
    any_store.append([event(n, **said) for n, said in enumerate(others, start=1)])
    assert len(any_store.current()) == len(others)


def test_a_label_taken_back_is_told_as_nothing(any_store, event) -> None:
    any_store.append([event(1), event(2, kind="undo", undoes=1, undoes_session="x", value=None)])
    assert any_store.current()["value"].tolist() == [None]


def test_labels_without_a_slice_replace_each_other(any_store, event) -> None:
    any_store.append([event(n, subject="done", slice=None, value=str(n)) for n in (1, 2)])
    assert any_store.current()["value"].tolist() == ["2"]


def test_rows_are_chosen_by_the_columns_named(any_store, event) -> None:
    any_store.append([event(1), event(2, slice=4), event(3, subject="flag", slice=None)])
    assert any_store.events(subject="slice", slice=4)["sequence"].tolist() == [2]
    assert any_store.events(slice=None)["sequence"].tolist() == [3]
    assert any_store.current(reader="nobody").empty
    with pytest.raises(UsageError, match="patient"):
        any_store.events(patient="x")


def test_an_empty_store_has_the_columns_and_types_of_a_full_one(any_store, event) -> None:
    empty = any_store.events()
    any_store.append([event(1)])
    assert (empty.dtypes == any_store.events().dtypes).all()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE label_events SET value = 'no_cac'",
        "DELETE FROM label_events",
        "DELETE FROM label_events WHERE id = 1",
    ],
)
def test_the_database_itself_refuses_to_change_or_remove_an_event(
    any_store, event, statement
) -> None:
    any_store.append([event(1)])
    with (
        pytest.raises(DatabaseError, match="only appended"),
        writing(any_store._engine) as connection,
    ):
        connection.exec_driver_sql(statement)
    assert any_store.events()["value"].tolist() == ["cac"]


def test_sqlite_replaces_no_event_by_another(tmp_path, event) -> None:
    with LabelStore.open(tmp_path / "labels.sqlite") as store:
        store.append([event(1)])
        columns = ", ".join(FIELD_TYPES)
        with writing(store._engine) as connection:
            for change in ("session", "'other'"):  # the same key; the same id
                others = columns.replace("session", change, 1).replace("value", "NULL", 1)
                connection.exec_driver_sql(
                    f"INSERT OR REPLACE INTO label_events (id, {columns}, written_at) "  # noqa: S608
                    f"SELECT id, {others}, written_at FROM label_events"
                )
        assert store.events()["value"].tolist() == ["cac"]


def test_postgresql_empties_no_table_of_events(postgres_url, event) -> None:
    with LabelStore.open(postgres_url) as store:
        store.append([event(1)])
        with (
            pytest.raises(DatabaseError, match="only appended"),
            writing(store._engine) as connection,
        ):
            connection.exec_driver_sql("TRUNCATE label_events")
        assert len(store.events()) == 1


def test_a_call_of_which_one_event_cannot_be_written_writes_none(any_store, event) -> None:
    broken = event(2)
    object.__setattr__(broken, "reader", None)
    with pytest.raises(InputError, match="cannot be used just now"):
        any_store.append([event(1), broken])
    assert any_store.events().empty


def test_threads_share_a_store(any_store, event) -> None:
    def write(reader: str) -> None:
        for n in range(1, 21):
            any_store.append([event(n, session=reader, reader=reader)])

    threads = [threading.Thread(target=write, args=(name,)) for name in "ABCD"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert any_store.events().groupby("reader").size().tolist() == [20] * 4


def test_a_read_does_not_wait_for_a_writer(any_store, event) -> None:
    any_store.append([event(1)])
    with writing(any_store._engine) as connection:
        connection.exec_driver_sql("INSERT INTO schema_version VALUES (0, 'x', 'x')")
        assert len(any_store.events()) == 1


@pytest.mark.slow
def test_eight_processes_open_a_new_store_at_once(any_place, eight_at_once) -> None:
    code = "import sys; from cacnb.labels.store import LabelStore as S; sys.stdin.read(1); " \
        "S.open(sys.argv[1]).close()"  # fmt: skip
    assert eight_at_once(code, any_place) == [""] * 8
    with LabelStore.open(any_place) as store:
        store.check()


def test_a_store_that_is_whole_passes_its_check(any_store, event) -> None:
    any_store.append([event(n) for n in range(1, 200)])
    any_store.check()


def test_a_damaged_file_is_told(tmp_path, event) -> None:
    file = tmp_path / "labels.sqlite"
    with LabelStore.open(file) as store:
        store.append([event(n, value=None, queue="q" * 900) for n in range(1, 100)])
    raw = bytearray(file.read_bytes())
    raw[5 * 4096 : 12 * 4096] = bytes(7 * 4096)
    file.write_bytes(raw)
    with LabelStore.open(file) as store, pytest.raises(InputError, match=r"damaged|malformed"):
        store.check()


def test_a_file_that_is_no_store_is_refused(tmp_path) -> None:
    file = tmp_path / "labels.sqlite"
    file.write_text("scan,slice,contains_cac\n" * 100)
    with pytest.raises(InputError, match="not a database"):
        LabelStore.open(file)
    with pytest.raises(InputError) as found:
        LabelStore.open(tmp_path / "nowhere" / "labels.sqlite")
    assert found.value.code == "no_folder"


@pytest.mark.parametrize("where", ["sqlite://", "mysql://host/db", "postgresql://h:port/db", "://"])
def test_an_address_that_keeps_no_labels_is_refused(where) -> None:
    with pytest.raises(InputError) as found:
        LabelStore.open(where)
    assert found.value.code == "bad_labels_place"


def test_a_server_that_is_not_there_or_refuses_never_gives_the_password_away(
    postgres_server,
) -> None:
    there = postgres_server.url("postgres")
    wrong = there.replace(postgres_server.password, "s3cret-word")
    gone = wrong.replace(str(postgres_server.port), "1")
    bad = "postgresql://reader:s3cret-word@host:no-port/db"
    asked = "postgresql://127.0.0.1:1/db?password=s3cret-word&user=reader"
    for where in (wrong, gone, bad, asked):
        with pytest.raises(InputError) as found:
            LabelStore.open(where)
        told = "".join(traceback.format_exception(found.value))
        assert "s3cret-word" not in told
    assert in_words(database_url(asked)) == "postgresql://127.0.0.1:1/db"


def test_a_missing_driver_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(InputError, match=r"pip install 'cacnb\[postgresql\]'"):
        LabelStore.open("postgresql://reader@host/db")


def test_a_server_that_does_not_sync_to_disk_fails_the_check(postgres_server) -> None:
    postgres_server.execute("CREATE DATABASE unsafe")
    postgres_server.execute("ALTER SYSTEM SET fsync = off")
    postgres_server.execute("SELECT pg_reload_conf()")
    try:
        with LabelStore.open(postgres_server.url("unsafe")) as store:
            with pytest.raises(InputError) as found:
                store.check()
            assert found.value.code == "unsafe_server"
    finally:
        postgres_server.execute("ALTER SYSTEM RESET fsync")
        postgres_server.execute("SELECT pg_reload_conf()")
        postgres_server.execute("DROP DATABASE unsafe WITH (FORCE)")


def test_postgresql_waits_for_the_disk_also_where_the_site_does_not(postgres_url) -> None:
    with LabelStore.open(f"{postgres_url}?options=-csynchronous_commit%3Doff") as store:
        with store._engine.connect() as reading:
            assert reading.exec_driver_sql("SHOW synchronous_commit").scalar() == "off"
        with writing(store._engine) as connection:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"


def test_a_restarted_server_is_found_again(postgres_server, postgres_url, event) -> None:
    with LabelStore.open(postgres_url) as store:
        store.append([event(1)])
        postgres_server.stop()
        with pytest.raises(InputError) as found:
            store.append([event(2)])
        assert found.value.code == "label_store"
        postgres_server.start()
        store.append([event(2)])
        assert len(store.events()) == 2


def test_sqlite_syncs_fully_and_keeps_a_write_ahead_log(tmp_path) -> None:
    with LabelStore.open(tmp_path / "labels.sqlite") as store:
        with store._engine.connect() as connection:
            found = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "fullfsync")
            ]
        assert found == ["wal", 2, 1]


def test_any_program_can_read_the_store(tmp_path, event) -> None:
    file = tmp_path / "labels.sqlite"
    with LabelStore.open(file) as store:
        store.append([event(1)])
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        assert pd.read_sql("SELECT * FROM current_labels", connection)["value"].tolist() == ["cac"]
    engine.dispose()


def test_a_sqlite_writer_holds_the_pen_from_its_beginning(tmp_path) -> None:
    file = tmp_path / "labels.sqlite"
    with LabelStore.open(file) as store:
        other = sqlite3.connect(file, timeout=0, isolation_level=None)
        with writing(store._engine), pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.execute("BEGIN IMMEDIATE")
        other.close()


OPENERS = """
import os, sys
from cacnb.labels.store import LabelStore
for number in range(20):
    wait, go = os.pipe()
    children = []
    for _ in range(8):
        child = os.fork()
        if child == 0:
            os.close(go)
            os.read(wait, 1)
            try:
                LabelStore.open(f"{sys.argv[1]}/{number}.sqlite")
                os._exit(0)
            except BaseException as error:
                print(error, flush=True)
                os._exit(1)
        children.append(child)
    os.close(wait)
    os.close(go)
    for child in children:
        os.waitpid(child, 0)
"""


@pytest.mark.slow
def test_a_new_sqlite_store_is_opened_by_eight_at_the_same_moment_again_and_again(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OPENERS, str(tmp_path)],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    assert done.stdout == ""
