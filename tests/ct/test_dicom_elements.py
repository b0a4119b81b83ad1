"""The short way through a header beside pydicom's: the same texts, or left to pydicom."""

import io
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cacnb.ct import dicom_elements
from cacnb.ct.dicom_elements import Elements, read_elements
from cacnb.ct.header_reading import read_headers
from cacnb.ct.series import find_series
from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_dicom_series

from .conftest import edit

TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"


def found(data: bytes) -> Elements | str | None:
    try:
        return read_elements(io.BytesIO(data))
    except ValueError as error:
        return str(error)


def by_pydicom(data: bytes) -> Elements | str:
    try:
        return dicom_elements._by_pydicom(io.BytesIO(data), force=False)
    except ValueError as error:
        return str(error)


@pytest.fixture(scope="module")
def one_slice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A header with sequences of both kinds, private elements and a value longer than 8 KB."""
    import numpy as np

    scan = Volume(np.zeros((3, 4, 4), np.float32), (3.0, 1.0, 1.0))
    path = write_dicom_series(scan, tmp_path_factory.mktemp("one") / "s")[0]

    def add(d: pydicom.FileDataset) -> None:
        item = pydicom.Dataset()
        item.CodeValue = "x"
        inner = pydicom.Dataset()
        inner.PurposeOfReferenceCodeSequence = [item]
        d.ReferencedImageSequence = [inner, item]
        d.ProcedureCodeSequence = [item]
        d["ReferencedImageSequence"].is_undefined_length = True
        d["ProcedureCodeSequence"].is_undefined_length = True
        item.is_undefined_length_sequence_item = True
        d.private_block(0x0021, "US", create=True).add_new(1, "OB", b"\1" * 20_000)
        d.KVP = "120"

    edit(path, add)
    return path


def test_pydicoms_own_files_are_read_the_same_both_ways() -> None:
    same = 0
    for path in sorted(p for p in TEST_FILES.rglob("*") if p.is_file()):
        data = path.read_bytes()
        if data[128:132] == b"DICM":
            assert found(data) == by_pydicom(data), path.name
            same += 1
    assert same > 100


def test_real_headers_are_read_the_same_both_ways(shared_data: Path) -> None:
    for path in sorted(p for p in shared_data.rglob("*") if p.is_file()):
        data = path.read_bytes()
        if data[128:132] == b"DICM":
            assert found(data) == by_pydicom(data), path.name


def test_a_plain_header_takes_the_short_way(
    one_slice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("pydicom was asked")

    monkeypatch.setattr(dicom_elements, "_by_pydicom", fail)
    data = one_slice.read_bytes()
    elements = found(data)
    assert isinstance(elements, Elements)
    assert (elements.texts["Modality"], elements.texts["KVP"], elements.texts["Rows"]) == (
        "CT", "120", "4",
    )  # fmt: skip
    assert elements.pixels_at is not None
    assert data[elements.pixels_at : elements.pixels_at + 4] == b"\xe0\x7f\x10\0"


@given(
    st.lists(st.tuples(st.integers(132, 2400), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(132, 25_000),
)
@settings(max_examples=150, deadline=None)
def test_a_damaged_header_is_read_as_pydicom_reads_it_or_not_at_all(
    one_slice: Path, changes: list[tuple[int, int]], end: int
) -> None:
    changed = bytearray(one_slice.read_bytes())
    for at, value in changes:
        changed[at] = value
    data = bytes(changed[:end])
    ours, theirs = found(data), by_pydicom(data)
    assert isinstance(ours, str | Elements)
    if isinstance(theirs, Elements) and isinstance(ours, Elements):
        assert ours == theirs


def test_sequences_without_end_in_one_another_are_undecodable(
    one_slice: Path, tmp_path: Path
) -> None:
    whole = one_slice.read_bytes()
    at = whole.index(b"\x08\0\x40\x11SQ") if b"\x08\0\x40\x11SQ" in whole else 0
    assert at
    deeper = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
    path = tmp_path / "deep.dcm"
    path.write_bytes(whole[:at] + deeper * 20_000)
    assert [unread.code for unread in find_series([path]).unread] == ["undecodable"]


def test_worker_processes_read_the_same_headers(dicom: Path) -> None:
    (dicom / "notes.txt").write_text("hello")
    (dicom / "broken.dcm").write_bytes((dicom / "slice_0001.dcm").read_bytes()[:135])
    paths = sorted(dicom.iterdir()) * 12
    told: list[tuple[int, int]] = []
    alone = read_headers(paths, workers=1)
    shared = read_headers(paths, lambda done, of, _: told.append((done, of)), workers=3)
    assert list(map(repr, shared)) == list(map(repr, alone))
    assert told[-1] == (len(paths), len(paths))


def test_a_worker_that_dies_loses_no_file(dicom: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    paths = sorted(dicom.iterdir()) * 30
    assert all(hasattr(read, "rows") for read in read_headers(paths, workers=3))


def test_an_inspection_reads_no_pixels(dicom: Path) -> None:
    """Pixels overwritten by nothing of their length change no verdict: they are not looked at."""
    before = find_series([dicom]).as_json()
    for path in dicom.iterdir():
        data = path.read_bytes()
        path.write_bytes(data[: -28 * 20 * 2] + b"\xff" * (28 * 20 * 2))
    assert find_series([dicom]).as_json() == before
