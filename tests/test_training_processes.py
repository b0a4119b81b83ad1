"""`cacnb train` in several processes, as a person or a scheduler starts it; simulated scans."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cacnb.simulation.cohort import StudyPlan, simulate_study

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two simulated people, each scanned twice, the heart only."""
    folder = tmp_path_factory.mktemp("simulated") / "study"
    list(simulate_study(StudyPlan(2, 500, "rtp", "heart"), folder, workers=1))
    return folder


def start(study: Path, run: Path, *more: str, by: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable, "-m", *by, "cacnb.cli", "train", "slices", "--study", study,
            "--out", run, *more,
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def losses(run: Path) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (run / "steps.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def test_two_processes_are_started_stopped_and_started_again_in_another_way(
    study: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    training = start(study, run, "--iterations", "12", "--devices", "2")
    try:
        until = time.monotonic() + 240
        while not (run / "steps.jsonl").exists() or not losses(run):
            assert training.poll() is None, training.communicate()
            assert time.monotonic() < until
            time.sleep(0.05)
        training.send_signal(signal.SIGTERM)
        out, said = training.communicate(timeout=240)
    finally:
        training.kill()
    assert training.returncode == 143, said
    assert " ".join(said.split()).count("stopped by SIGTERM: iteration") == 1
    assert "Traceback" not in said
    assert out == ""
    assert 0 < len(losses(run)) < 12
    by_torchrun = ("torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m")
    training = start(study, run, "--iterations", "12", "--resume", by=by_torchrun)
    out, said = training.communicate(timeout=240)
    assert training.returncode == 0, said
    assert out.count("12 iterations done") == 1
    assert [row["iteration"] for row in losses(run)] == [*range(1, 13)]
    training = start(study, run, "--iterations", "12", "--devices", "2")
    _, said = training.communicate(timeout=240)
    assert training.returncode == 1
    words = " ".join(said.split())
    assert words.startswith(f"cacnb: {run} holds a run")
    assert words.count("holds a run") == 1
