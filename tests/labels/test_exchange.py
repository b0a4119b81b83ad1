import pandas as pd
import pytest

from cacnb.errors import InputError, UsageError
from cacnb.labels.events import FIELD_TYPES
from cacnb.labels.exchange import export_labels, import_labels
from cacnb.labels.store import LabelStore

WORDS = [
    'said "so", then\nleft', "a\r\nb\rc", "", " ", "NA", "null", "None", "nan", "1", "true", "'",
    ",", '""', "Größe 心 🫀", "\ufeffbom", "=1+1", "\t", "-0", "1e5", "\u2028", "#",
]  # fmt: skip


@pytest.fixture
def full(tmp_path, event):
    """A store with everything that a table may lose on the way."""
    said = [event(1), event(2, value=None)]
    for text in WORDS:
        said.append(
            event(len(said) + 1, subject="comment", slice=None, value=text, reader=f"r{text}")
        )
    for seconds in (0.1 + 0.2, 1e-9, 123456789.123456789, 5e-324, 1e300, 0.0, -0.0):
        said.append(event(len(said) + 1, seconds=seconds))
    n = len(said) + 1
    said.append(event(n, action=2, kind="undo", undoes=1, undoes_session="0", assistant=True))
    with LabelStore.open(tmp_path / "full.sqlite") as store:
        store.append(said[::-1])
        yield store


def without_id(store: LabelStore) -> pd.DataFrame:
    return store.events().drop(columns="id")


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_export_import_export_gives_the_same_file(full, any_store, tmp_path, form) -> None:
    one, two = tmp_path / f"one.{form}", tmp_path / f"two.{form}"
    assert export_labels(full, one) == len(full.events())
    came, new = import_labels(any_store, one)
    assert came == new == len(full.events())
    export_labels(any_store, two)
    assert one.read_bytes() == two.read_bytes()
    pd.testing.assert_frame_equal(without_id(full), without_id(any_store), check_exact=True)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_an_empty_store_makes_an_empty_file_that_can_be_imported(tmp_path, form) -> None:
    file = tmp_path / f"labels.{form}"
    with LabelStore.open(tmp_path / "labels.sqlite") as store:
        assert export_labels(store, file) == 0
        assert import_labels(store, file) == (0, 0)


def test_other_programs_read_the_files(full, tmp_path) -> None:
    export_labels(full, tmp_path / "labels.parquet")
    export_labels(full, tmp_path / "labels.csv")
    for table in (
        pd.read_parquet(tmp_path / "labels.parquet"),
        pd.read_csv(tmp_path / "labels.csv"),
    ):
        assert list(table.columns) == [*FIELD_TYPES, "written_at"]
        assert table["sequence"].tolist() == full.events()["sequence"].tolist()


def test_a_second_import_changes_nothing(full, any_store, tmp_path) -> None:
    file = tmp_path / "labels.csv"
    export_labels(full, file)
    import_labels(any_store, file)
    before = any_store.events()
    assert import_labels(any_store, file) == (len(before), 0)
    pd.testing.assert_frame_equal(any_store.events(), before)


def test_an_import_adds_what_is_new_behind_what_is_there(full, any_store, event, tmp_path) -> None:
    any_store.append([event(1), event(1, session="later")])
    export_labels(full, tmp_path / "labels.csv")
    came, new = import_labels(any_store, tmp_path / "labels.csv")
    assert new == came - 1
    sequences = any_store.events()["sequence"].tolist()
    assert sequences == [1, 1, *(n for n in full.events()["sequence"] if n != 1)]


def test_a_file_that_contradicts_the_store_is_refused_and_nothing_written(
    full, any_store, event, tmp_path
) -> None:
    any_store.append([event(1, value="no_cac")])
    export_labels(full, tmp_path / "labels.csv")
    with pytest.raises(InputError, match="nothing was written") as found:
        import_labels(any_store, tmp_path / "labels.csv")
    assert found.value.code == "label_differs"
    assert any_store.events()["value"].tolist() == ["no_cac"]


def test_a_file_with_a_label_that_means_nothing_is_refused_by_its_row(
    any_store, event, tmp_path
) -> None:
    file = tmp_path / "labels.csv"
    with LabelStore.open(tmp_path / "one.sqlite") as store:
        store.append([event(1), event(2, value="no_cac")])
        export_labels(store, file)
    file.write_text(file.read_text().replace("no_cac", "perhaps"))
    with pytest.raises(InputError, match=r"label 2 of .*perhaps") as found:
        import_labels(any_store, file)
    assert found.value.code == "bad_label"
    assert any_store.events().empty


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("content", [b"", b"scan,slice\na,1\n", b"\xff\xfe\x00", b"PAR1"])
def test_a_file_that_is_no_export_is_refused(any_store, tmp_path, form, content) -> None:
    file = tmp_path / f"labels.{form}"
    file.write_bytes(content)
    with pytest.raises(InputError) as found:
        import_labels(any_store, file)
    assert found.value.code == "bad_labels_file"


def test_a_missing_file_and_another_form_are_told(full, tmp_path) -> None:
    with pytest.raises(InputError, match="name an export"):
        import_labels(full, tmp_path / "labels.csv")
    with pytest.raises(UsageError, match=r"\.csv or \.parquet"):
        export_labels(full, tmp_path / "labels.xlsx")
