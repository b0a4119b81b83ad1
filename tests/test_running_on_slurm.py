"""A study and a training on SLURM: a cluster of one node, started for the test; all simulated."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import psutil
import pytest
import torch
from safetensors.torch import load_file

from cacnb.errors import InputError
from cacnb.learning.checkpoint import CHECKPOINT, read_metadata
from cacnb.running.engines import Slurm
from cacnb.running.study_run import plan_run, run_study
from cacnb.simulation.cohort import StudyPlan, simulate_study

NODE = Path(__file__).parent / "slurm" / "single_node.sh"

#: Debian's packages slurm-wlm and munge; daemons are not on every person's PATH.
PROGRAMS = ("sbatch", "squeue", "scancel", "slurmctld", "slurmd", "munged")


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A running cluster: the environment that its commands need."""
    if not os.environ.get("CACNB_SLURM"):
        pytest.skip("starts daemons of its own: `make slurm` asks for it")
    places = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    missing = [name for name in PROGRAMS if shutil.which(name, path=places) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: apt-get install slurm-wlm munge")
    if os.geteuid() != 0:
        pytest.skip("a SLURM cluster of one's own is started as root only")
    folder = tmp_path_factory.mktemp("slurm")
    try:
        started = subprocess.run(
            [NODE, "start", folder], capture_output=True, text=True, timeout=120, check=False
        )
        logs = "\n".join(log.read_text()[-2000:] for log in folder.glob("*.log"))
        assert started.returncode == 0, started.stderr + logs
        yield {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    finally:
        subprocess.run([NODE, "stop", folder], timeout=120, check=True)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two simulated people, each scanned twice, the heart only."""
    study = tmp_path_factory.mktemp("simulated") / "study"
    list(simulate_study(StudyPlan(2, 500, "rtp", "heart"), study, workers=1))
    return study


def jobs(slurm: dict[str, str]) -> list[str]:
    """Numbers of the jobs that run."""
    told = subprocess.run(
        ["squeue", "--noheader", "--states=RUNNING", "--format=%A"],  # noqa: S607
        env=slurm, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    return told.stdout.split()


@pytest.mark.slow
def test_a_study_is_scored_although_a_job_is_cancelled_in_the_middle(
    simulated: Path, slurm: dict[str, str], tmp_path: Path
) -> None:
    study = tmp_path / "study"
    shutil.copytree(simulated, study)
    run = subprocess.Popen(
        [
            sys.executable, "-m", "cacnb.cli", "run", "--study", study,
            "--engine", "slurm", "--workers", "2", "--memory", "2GB", "--walltime", "00:30:00",
            "--queue", "main", "--json",
        ],
        env=slurm, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        until, results = time.monotonic() + 900, study / "scores"
        while not list(results.glob("sim*.json")) and run.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.2)
        cancelled = jobs(slurm)[0]
        subprocess.run(["scancel", cancelled], env=slurm, timeout=30, check=True)  # noqa: S607
        out, told = run.communicate(timeout=900)
    finally:
        if run.poll() is None:
            run.kill()
            run.communicate()
    assert run.returncode == 0, told
    assert json.loads(out)["scored"] == 4
    table = pd.read_parquet(results / "scores.parquet")
    assert list(table["scan"]) == sorted(file.stem for file in results.glob("sim*.json"))
    assert len(table) == 4
    assert not list(results.glob(".*"))  # neither parts of files nor the key of the run
    until = time.monotonic() + 60
    while jobs(slurm) and time.monotonic() < until:
        time.sleep(0.5)
    assert jobs(slurm) == []


def test_jobs_that_slurm_refuses_stop_the_run_with_what_sbatch_said(
    slurm: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", slurm["SLURM_CONF"])
    (tmp_path / "cohort.csv").write_text("scan,patient,pair,path\na,p,,a.nii.gz\n")
    with pytest.raises(InputError, match="invalid partition") as refused:
        list(run_study(plan_run(tmp_path), Slurm(workers=1, queue="nowhere")))
    assert refused.value.code == "no_workers"


def test_the_array_template_scores_a_study_in_shards(slurm: dict[str, str], tmp_path: Path) -> None:
    page = (NODE.parents[2] / "docs" / "whole_studies.md").read_text(encoding="utf-8")
    template = next(block for block in page.split("```")[1::2] if "#SBATCH --array" in block)
    script = template.removeprefix("sh\n").replace("--array=1-50", "--array=1-3")
    (tmp_path / "array.sh").write_text(script)
    stub = tmp_path / "cacnb"
    stub.write_text('#!/bin/sh\necho "$5" > "$3/${5%/*}"\n')
    stub.chmod(0o755)
    told = tmp_path / "told"
    told.mkdir()
    subprocess.run(
        ["sbatch", "--wait", f"--export=ALL,STUDY={told}", tmp_path / "array.sh"],  # noqa: S607
        env={**slurm, "PATH": f"{tmp_path}:{slurm['PATH']}"}, cwd=tmp_path,
        timeout=120, check=True, capture_output=True,
    )  # fmt: skip
    assert {file.read_text() for file in told.iterdir()} == {"1/3\n", "2/3\n", "3/3\n"}


@pytest.mark.slow
def test_a_training_that_is_requeued_and_killed_ends_as_an_unbroken_one(
    simulated: Path, slurm: dict[str, str], tmp_path: Path
) -> None:
    script = tmp_path / "train.sh"
    script.write_text(training_script(iterations=16))
    study = tmp_path / "study"
    shutil.copytree(simulated, study)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    submit(script, slurm, study, whole, wait=True)
    job = submit(script, slurm, study, broken)
    log = broken / "steps.jsonl"
    wait_for(lambda: steps(log) >= 3)
    subprocess.run(["scontrol", "requeue", job], env=slurm, timeout=30, check=True)  # noqa: S607
    start_again(slurm, job)
    saved = int(read_metadata(broken / CHECKPOINT)["iteration"])
    assert 3 <= saved < 16
    wait_for(lambda: state(slurm, job) == "RUNNING" and steps(log) >= saved + 2)
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or [""]
        if str(broken) in words and Path(words[0]).name.startswith("python"):
            process.send_signal(signal.SIGKILL)
    start_again(slurm, job)
    wait_for(lambda: state(slurm, job) == "RUNNING" and restarts(slurm, job) == 2)
    wait_for(lambda: state(slurm, job) == "COMPLETED")
    assert timeless(log) == timeless(whole / "steps.jsonl")
    one, other = load_file(whole / CHECKPOINT), load_file(broken / CHECKPOINT)
    assert all(torch.equal(one[key], other[key]) for key in one)


def training_script(iterations: int) -> str:
    """The script of docs/training.md, for two processes on a CPU and a few iterations."""
    page = (NODE.parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    script = next(block for block in page.split("```")[1::2] if "#SBATCH --requeue" in block)
    script = script.removeprefix("sh\n").replace("#SBATCH --gres=gpu:4\n", "")
    for there, here in (
        ("--ntasks-per-node=4", "--ntasks-per-node=2"), ("--cpus-per-task=8", "--cpus-per-task=1"),
        ("--device cuda", f"--device cpu --save-every 1 --iterations {iterations}"),
    ):  # fmt: skip
        assert there in script
        script = script.replace(there, here)
    return script


def submit(
    script: Path, slurm: dict[str, str], study: Path, run: Path, *, wait: bool = False
) -> str:
    """Hand a script to SLURM; its job's number."""
    told = f"ALL,STAGE=slices,RECIPE=demo,STUDY={study},RUN={run}"
    path = f"{Path(sys.executable).parent}:{slurm['PATH']}"
    done = subprocess.run(
        ["sbatch", "--parsable", *(["--wait"] if wait else []), f"--export={told}", script],  # noqa: S607
        env={**slurm, "PATH": path, "OMP_NUM_THREADS": "1"}, cwd=script.parent,
        timeout=900, check=False, capture_output=True, text=True,
    )  # fmt: skip
    said = "".join(out.read_text() for out in script.parent.glob("slurm-*.out"))
    assert done.returncode == 0, done.stderr + said
    return done.stdout.strip()


def start_again(slurm: dict[str, str], job: str) -> None:
    """Do not wait for the two minutes that SLURM gives a requeued job to rest."""
    wait_for(lambda: state(slurm, job) == "PENDING")
    subprocess.run(
        ["scontrol", "update", f"JobId={job}", "StartTime=now"],  # noqa: S607
        env=slurm, timeout=30, check=True,
    )  # fmt: skip


def steps(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0


def timeless(log: Path) -> list[dict[str, float]]:
    """All of a log but the seconds, which the machine decides."""
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def state(slurm: dict[str, str], job: str) -> str:
    found = field(slurm, job, "JobState")
    assert found != "FAILED"
    return found


def restarts(slurm: dict[str, str], job: str) -> int:
    return int(field(slurm, job, "Restarts"))


def field(slurm: dict[str, str], job: str, name: str) -> str:
    """What SLURM says of a job."""
    told = subprocess.run(
        ["scontrol", "--oneliner", "show", "job", job],  # noqa: S607
        env=slurm, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    return next(word for word in told.stdout.split() if word.startswith(f"{name}=")).split("=")[1]


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < until, "SLURM did not get there"
        time.sleep(0.3)
