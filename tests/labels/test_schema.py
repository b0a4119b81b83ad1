import pytest
from sqlalchemy import inspect
from sqlalchemy.exc import DatabaseError

from cacnb.errors import InputError
from cacnb.labels.databases import writing
from cacnb.labels.events import FIELD_TYPES
from cacnb.labels.schema import VERSIONS, current_labels, label_events
from cacnb.labels.store import LabelStore


def _add_monitor(connection) -> None:
    """A version that a later cacnb could have: a column more, in the table and in the view."""
    connection.exec_driver_sql("ALTER TABLE label_events ADD COLUMN monitor TEXT")
    connection.exec_driver_sql("DROP VIEW current_labels")
    connection.exec_driver_sql(
        "CREATE VIEW current_labels AS SELECT * FROM (SELECT *, ROW_NUMBER() OVER ("
        "PARTITION BY study, scan, subject, slice, item, reader, role, reading "
        "ORDER BY given_at DESC, id DESC) AS newness FROM label_events) AS e WHERE newness = 1"
    )


def _fails_half_way(connection) -> None:
    connection.exec_driver_sql("ALTER TABLE label_events ADD COLUMN half TEXT")
    connection.exec_driver_sql("DROP TABLE no_such_table")


LATER = (*VERSIONS, _add_monitor)


def test_the_tables_have_the_columns_of_the_event(any_store) -> None:
    found = inspect(any_store._engine)
    for table in (label_events, current_labels):
        columns = [column["name"] for column in found.get_columns(table.name)]
        assert columns == ["id", *FIELD_TYPES, "written_at"] == table.c.keys()


def test_only_what_may_be_nothing_may_be_null(any_store) -> None:
    columns = inspect(any_store._engine).get_columns("label_events")
    nullable = {column["name"] for column in columns if column["nullable"]} - {"id"}
    assert nullable == {name for name, kind in FIELD_TYPES.items() if kind.endswith("None")}


def test_a_new_store_has_the_newest_version(any_store) -> None:
    assert any_store.version() == len(VERSIONS)


def test_an_older_store_is_brought_to_the_newest_version_with_its_labels(any_place, event) -> None:
    with LabelStore.open(any_place) as old:
        old.append([event(1), event(2, value="no_cac", slice=7)])
        before = old.events()
    with LabelStore.open(any_place, LATER) as new:
        assert new.version() == len(LATER)
        assert new.events().equals(before)
        assert new.current().equals(before)
        columns = [column["name"] for column in inspect(new._engine).get_columns("label_events")]
        assert "monitor" in columns
        new.append([event(3)])
        with (
            pytest.raises(DatabaseError, match="only appended"),
            writing(new._engine) as connection,
        ):
            connection.exec_driver_sql("DELETE FROM label_events")
    with LabelStore.open(any_place, LATER) as again:
        assert len(again.events()) == 3


def test_a_store_of_a_later_version_is_refused_and_left_as_it_is(any_place, event) -> None:
    with LabelStore.open(any_place, LATER) as new:
        new.append([event(1)])
    with pytest.raises(InputError, match="upgrade cacnb") as found:
        LabelStore.open(any_place)
    assert found.value.code == "newer_labels"
    with LabelStore.open(any_place, LATER) as new:
        assert len(new.events()) == 1


def test_a_version_that_fails_half_way_leaves_the_store_as_it_was(any_place, event) -> None:
    with LabelStore.open(any_place) as store:
        store.append([event(1)])
    with pytest.raises(InputError):
        LabelStore.open(any_place, (*VERSIONS, _fails_half_way))
    with LabelStore.open(any_place) as store:
        assert store.version() == len(VERSIONS)
        columns = [column["name"] for column in inspect(store._engine).get_columns("label_events")]
        assert "half" not in columns
        store.append([event(2)])


@pytest.mark.slow
def test_eight_processes_bring_an_old_store_to_a_new_version_at_once(
    any_place, event, eight_at_once
) -> None:
    with LabelStore.open(any_place) as store:
        store.append([event(1)])
    code = (
        "import sys\n"
        "from cacnb.labels.schema import VERSIONS\n"
        "from cacnb.labels.store import LabelStore\n"
        "def more(c): c.exec_driver_sql('ALTER TABLE label_events ADD COLUMN monitor TEXT')\n"
        "sys.stdin.read(1)\n"
        "LabelStore.open(sys.argv[1], (*VERSIONS, more)).close()\n"
    )
    assert eight_at_once(code, any_place) == [""] * 8
