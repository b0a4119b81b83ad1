"""The monitor is served as the reading room is: its own folders, the same token."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cacnb.errors import UsageError
from cacnb.serving.room import Room


def test_the_kernel_is_told_its_runs_by_whole_paths_and_no_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = Room("monitor", runs=(Path("a"), Path("not/yet")), token="secret").environment()  # noqa: S106
    assert json.loads(told["CACNB_RUNS"]) == [str(tmp_path / "a"), str(tmp_path / "not/yet")]
    assert "CACNB_STUDY" not in told
    assert "secret" not in str(told)


def test_a_study_is_not_monitored_and_a_run_is_not_labelled(tmp_path: Path) -> None:
    (tmp_path / "cohort.csv").write_text("scan,patient,path\n")
    with pytest.raises(UsageError, match="--run DIR"):
        Room("monitor", tmp_path, runs=(tmp_path,))
    with pytest.raises(UsageError, match="--run DIR"):
        Room("monitor")
    with pytest.raises(UsageError, match="--study DIR"):
        Room("label")
    with pytest.raises(UsageError, match="--study DIR"):
        Room("label", tmp_path, runs=(tmp_path,))


def test_the_command_refuses_a_monitor_without_runs_in_one_sentence() -> None:
    call = [sys.executable, "-m", "cacnb.cli", "serve", "monitor"]
    said = subprocess.run(call, capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == 2
    assert "give --run DIR" in said.stderr
    assert "Traceback" not in said.stderr
