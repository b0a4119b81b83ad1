from pathlib import Path

import pytest

from cacnb.errors import InputError
from cacnb.labels import databases, disk
from cacnb.labels.disk import disk_of, require_local_disk
from cacnb.labels.store import LabelStore

MOUNTS = """\
22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
30 22 0:26 / /mnt/share rw shared:9 - nfs4 server:/export rw
31 22 0:27 / /mnt/share/local rw - xfs /dev/sdb1 rw
32 22 0:28 / /mnt/with\\040blank rw - cifs //server/dir rw
33 22 0:29 / /home rw - fuse.sshfs user@host: rw
34 22 0:30 / /cover rw - lustre a@tcp:/x rw
35 22 0:31 / /cover rw - ext4 /dev/sdc1 rw
36 22 0:32 / /cluster rw master:1 - beegfs beegfs_nodev rw
"""


@pytest.fixture
def mounts(tmp_path) -> Path:
    file = tmp_path / "mountinfo"
    file.write_text(MOUNTS)
    return file


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("/data/labels.sqlite", "ext4"),
        ("/mnt/share/study/labels.sqlite", "nfs4"),
        ("/mnt/share/local/labels.sqlite", "xfs"),
        ("/mnt/sharelocal/labels.sqlite", "ext4"),
        ("/mnt/with blank/labels.sqlite", "cifs"),
        ("/cover/labels.sqlite", "ext4"),
    ],
)
def test_the_deepest_mount_above_a_file_is_its_disk(mounts, place, found) -> None:
    assert disk_of(Path(place), mounts) == found


@pytest.mark.parametrize("place", ["/mnt/share/s/l.sqlite", "/home/a/l.sqlite", "/cluster/l"])
def test_a_network_disk_is_refused_and_postgresql_named(mounts, place) -> None:
    with pytest.raises(InputError, match=r"CACNB_LABELS.*PostgreSQL") as found:
        require_local_disk(Path(place), mounts)
    assert found.value.code == "network_disk"


def test_a_link_to_a_network_disk_is_seen_through(tmp_path, mounts) -> None:
    (tmp_path / "link").symlink_to("/mnt/share")
    assert disk_of(tmp_path / "link" / "labels.sqlite", mounts) == "nfs4"


def test_where_nobody_tells_the_disk_nothing_is_refused(tmp_path) -> None:
    assert disk_of(tmp_path, tmp_path / "missing") is None
    require_local_disk(tmp_path, tmp_path / "missing")


def test_a_store_on_a_network_disk_is_refused_before_a_file_is_made(tmp_path, monkeypatch) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text("22 1 0:1 / / rw - nfs4 server:/ rw\n")
    monkeypatch.setattr(
        databases, "require_local_disk", lambda file: disk.require_local_disk(file, mounts)
    )
    with pytest.raises(InputError) as found:
        LabelStore.open(tmp_path / "labels.sqlite")
    assert found.value.code == "network_disk"
    assert not (tmp_path / "labels.sqlite").exists()


def test_this_machine_tells_its_own_disks() -> None:
    if not disk.MOUNTS.exists():
        pytest.skip("this system has no /proc/self/mountinfo")
    assert disk_of(Path("/proc/self/status")) == "proc"
