"""What the system is asked for, in order: the label is on disk before anybody hears of it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cacnb.labels.store import LabelStore

WRITER = Path(__file__).with_name("writer.py")
CALLS = "trace=fsync,fdatasync,write,pwrite64,pwritev,sendto"

#: The same writer, but for the one setting that makes a commit wait for the disk.
HASTY = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from cacnb.labels import databases
databases.SQLITE_PRAGMAS = {"synchronous": "OFF"}
import writer
writer.main(*sys.argv[1:])
"""


@pytest.fixture
def trace(tmp_path):
    """Runs Python under strace; gives its calls in order, files by their paths."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed: apt-get install strace")
    allowed = subprocess.run(
        [strace, "-o", "/dev/null", "true"], capture_output=True, text=True, check=False
    )
    if allowed.returncode:
        pytest.skip(f"strace may not trace here: {allowed.stderr.strip()[-200:]}")

    def run(*arguments: str) -> list[str]:
        out = tmp_path / "trace"
        subprocess.run(
            [strace, "-f", "-y", "-s", "16", "-e", CALLS, "-o", str(out), sys.executable,
             *arguments],
            check=True, capture_output=True, timeout=300,
        )  # fmt: skip
        return out.read_text(errors="replace").splitlines()

    return run


def synced_before_told(calls: list[str], sequences: int) -> list[bool]:
    """For each acknowledgement: was the log written, and synced after the last write to it?"""
    found, written, synced = [], False, False
    for call in calls:
        if re.search(r"pwrite(64|v)\(\d+<[^>]*-wal>", call):
            written, synced = True, False
        elif re.search(r"(fsync|fdatasync)\(\d+<[^>]*-wal>.*= 0", call):
            synced = True
        elif '"acknowledged ' in call:
            found.append(written and synced)
            written = synced = False
    assert len(found) == sequences
    return found


def test_the_log_is_synced_after_the_label_is_written_and_before_it_is_acknowledged(
    trace, tmp_path
) -> None:
    calls = trace(str(WRITER), str(tmp_path / "labels.sqlite"), "one", "3")
    assert synced_before_told(calls, 3) == [True, True, True]
    folder = re.escape(str(tmp_path))
    assert any(re.search(rf"fsync\(\d+<{folder}>\)\s+= 0", call) for call in calls)


def test_the_trace_would_show_a_store_that_does_not_wait_for_the_disk(trace, tmp_path) -> None:
    place = str(tmp_path / "labels.sqlite")
    calls = trace("-c", HASTY, str(WRITER.parent), place, "one", "3")
    assert synced_before_told(calls, 3) == [False, False, False]


def test_a_label_that_a_killed_writer_left_in_the_log_is_synced_before_it_is_acknowledged(
    trace, tmp_path
) -> None:
    place = str(tmp_path / "labels.sqlite")
    with LabelStore.open(place):  # keeps the log from being taken into the file
        trace(str(WRITER), place, "one", "1")
        calls = trace(str(WRITER), place, "one", "1")
    told = next(n for n, call in enumerate(calls) if '"acknowledged ' in call)
    assert not any(re.search(r"pwrite(64|v)\(\d+<[^>]*-wal>", call) for call in calls[:told])
    assert any(re.search(r"fsync\(\d+<[^>]*-wal>.*= 0", call) for call in calls[:told])
