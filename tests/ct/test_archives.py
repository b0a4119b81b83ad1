import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from cacnb.ct.reading import read_scan
from cacnb.ct.series import find_series
from cacnb.ct.volume import Volume


def tar_of(folder: Path, archive: Path, mode: str) -> None:
    with tarfile.open(archive, mode) as file:
        for path in sorted(folder.iterdir()):
            file.add(path, f"study/{path.name}")


@pytest.mark.parametrize(
    ("name", "mode"),
    [("scan.tar", "w"), ("scan.tar.gz", "w:gz"), ("scan.tgz", "w:gz"), ("scan.tar.xz", "w:xz")],
)
def test_a_tar_is_read_like_its_folder(
    dicom: Path, thorax: Volume, tmp_path: Path, name: str, mode: str
) -> None:
    archive = tmp_path / "archives" / name
    archive.parent.mkdir()
    tar_of(dicom, archive, mode)
    series, volume = read_scan(archive)
    assert series.path == archive
    assert (series.verdict, len(series.files)) == ("usable", 24)
    np.testing.assert_array_equal(volume.array, np.round(thorax.array))


def test_archives_in_archives_and_folders_are_opened(dicom: Path, tmp_path: Path) -> None:
    place = tmp_path / "export" / "deep"
    place.mkdir(parents=True)
    tar_of(dicom, tmp_path / "inner.tar.gz", "w:gz")
    with zipfile.ZipFile(place / "outer.zip", "w") as file:
        file.write(tmp_path / "inner.tar.gz", "case 7/inner.tar.gz")
        file.writestr("case 7/notes.txt", "hello")
    found = find_series([tmp_path / "export"])
    assert [(s.path, len(s.files)) for s in found.series] == [
        (place / "outer.zip" / "case 7" / "inner.tar.gz", 24)
    ]
    assert [u.path for u in found.unread] == [place / "outer.zip" / "case 7" / "notes.txt"]


def test_archives_too_deep_in_archives_are_said_so(tmp_path: Path) -> None:
    content = b"at the bottom"
    for depth in range(6):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as file:
            file.writestr("inner.zip" if depth else "scan.txt", content)
        content = out.getvalue()
    (tmp_path / "a.zip").write_bytes(content)
    assert [u.code for u in find_series([tmp_path]).unread] == ["nested_archive"]


def test_members_of_a_tar_that_lead_out_or_are_no_files_are_left_out(
    dicom: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "scan.tar"
    with tarfile.open(archive, "w") as file:
        for path in sorted(dicom.iterdir()):
            file.add(path, path.name)
        for name, kind in (("../evil", tarfile.REGTYPE), ("/etc/evil", tarfile.REGTYPE),
                           ("link", tarfile.SYMTYPE), ("pipe", tarfile.FIFOTYPE)):  # fmt: skip
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            file.addfile(info)
    found = find_series([archive])
    assert [len(s.files) for s in found.series] == [24]
    assert {u.code for u in found.unread} == {"unsafe_archive"}
    assert len(found.unread) == 4
    assert not (tmp_path / "evil").exists()


def test_the_whole_part_of_a_cut_tar_is_found_and_the_cut_is_said(
    dicom: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "scan.tar"
    tar_of(dicom, archive, "w")
    os.truncate(archive, archive.stat().st_size // 2)
    found = find_series([archive])
    assert 5 < len(found.series[0].files) < 20
    assert "undecodable" in {u.code for u in found.unread}


def test_a_tar_that_would_fill_the_disk_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz") as file:
        info = tarfile.TarInfo("zeros")
        info.size = 1_000_000
        file.addfile(info, io.BytesIO(b"\0" * info.size))
    monkeypatch.setattr("cacnb.ct.archives.DISK_SHARE", 1e-9)
    found = find_series([tmp_path])
    assert [u.code for u in found.unread] == ["undecodable"]
    assert "unpack" in found.unread[0].message


def test_two_members_of_one_name_are_both_accounted_for(dicom: Path, tmp_path: Path) -> None:
    archive = tmp_path / "scan.tar"
    with tarfile.open(archive, "w") as file:
        for path in sorted(dicom.iterdir()):
            file.add(path, "slice.dcm")
    assert [len(s.files) for s in find_series([archive]).series] == [24]


def test_a_link_to_a_folder_is_not_followed_and_said_so(dicom: Path, tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    (tmp_path / "place" / "link").symlink_to(dicom)
    assert [u.code for u in find_series([tmp_path / "place"]).unread] == ["link_to_folder"]
