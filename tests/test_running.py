"""A whole study, scored in one process and by workers that are killed; all scans are simulated."""

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
import torch
from typer.testing import CliRunner

from cacnb.cli import app
from cacnb.ct.writing import write_image
from cacnb.errors import InputError, UsageError
from cacnb.learning.weights import Weights, load_weights
from cacnb.pipeline import score_scan
from cacnb.results import RESULT_ENDINGS, write_results
from cacnb.running import scan_task, study_run
from cacnb.running.engines import Here, Local
from cacnb.running.scan_files import find_result
from cacnb.running.study_run import plan_run, run_study, shard_of
from cacnb.scoring.scored_scan import ScoredScan
from cacnb.simulation.cohort import StudyPlan, simulate_study
from cacnb.simulation.scan import Person, simulate_scan

#: A person of seeds that no training saw, who has calcium.
CALCIFIED_SEED = 502


@pytest.fixture(scope="module")
def weights() -> Weights:
    return load_weights("demo")


@pytest.fixture(scope="module")
def scored(weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> ScoredScan:
    """One simulated scan with calcium, scored in earnest."""
    path = tmp_path_factory.mktemp("scored") / "scan.nii.gz"
    scan = simulate_scan(Person.draw(CALCIFIED_SEED), breath_hold=False, field_of_view="heart")
    write_image(scan.image, path)
    return score_scan(path, weights)


@pytest.fixture
def tried(scored: ScoredScan, weights: Weights, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The scans that a stand-in was asked to score, which gives the same scores to each."""
    asked: list[str] = []

    def stand_in(path: Path, weights: Weights, *, name: str) -> ScoredScan:
        asked.append(name)
        if not path.exists():
            return score_scan(path, weights, name=name)
        return replace(scored, path=path, name=name)

    monkeypatch.setattr(scan_task, "score_scan", stand_in)
    monkeypatch.setattr(study_run, "load_weights", lambda name: weights)  # which takes a second
    return asked


def study_of(folder: Path, *scans: str, absent: tuple[str, ...] = ()) -> Path:
    """A study whose scans are empty files; those that are absent are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"{scan},p-{scan},,{scan}.nii.gz" for scan in scans]
    (folder / "cohort.csv").write_text("\n".join(["scan,patient,pair,path", *rows]) + "\n")
    for scan in scans:
        if scan not in absent:
            (folder / f"{scan}.nii.gz").touch()
    return folder


def score(study: Path, **how: Any) -> dict[str, str]:
    """Score a study in this process: how each scan ended."""
    return {
        step.outcome.scan: step.outcome.ending for step in run_study(plan_run(study, **how), Here())
    }


def call(*options: str | Path) -> Any:
    return CliRunner().invoke(app, ["run", *map(str, options)])


def written(study: Path) -> dict[str, tuple[int, int]]:
    """The results on disk; a file that is written again has another inode or time."""
    files = (study / "scores").glob("*.*.*")
    found = {f.name: f.stat() for f in [*files, *(study / "scores").glob("*.json")]}
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in found.items()}


def test_a_study_that_is_scored_is_not_scored_again(tmp_path: Path, tried: list[str]) -> None:
    study = study_of(tmp_path, "a", "b", "c")
    assert score(study) == dict.fromkeys("abc", "usable")
    before, tables = written(study), (study / "scores" / "scores.parquet").read_bytes()
    assert len(before) == 3 * len(RESULT_ENDINGS)
    assert score(study) == dict.fromkeys("abc", "usable")
    assert tried == ["a", "b", "c"]
    assert written(study) == before
    assert (study / "scores" / "scores.parquet").read_bytes() == tables


def test_a_new_scan_of_the_study_is_the_only_one_scored(tmp_path: Path, tried: list[str]) -> None:
    score(study_of(tmp_path, "a", "c"))
    score(study_of(tmp_path, "a", "b", "c"))
    assert tried == ["a", "c", "b"]
    table = pd.read_parquet(tmp_path / "scores" / "scores.parquet")
    assert list(table["scan"]) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: text.replace('"proposed"', '"prop"'),
        lambda text: text.replace('"scan": "b"', '"scan": "a"'),
    ],
    ids=["truncated", "empty", "without scores", "of another scan"],
)
def test_a_damaged_result_is_scored_again(tmp_path: Path, tried: list[str], damage: Any) -> None:
    study = study_of(tmp_path, "a", "b")
    score(study)
    file = study / "scores" / "b.json"
    whole = file.read_text()
    file.write_text(damage(whole))
    assert plan_run(study).damaged == ("b",)
    score(study)
    assert tried == ["a", "b", "b"]
    assert json.loads(file.read_text()) == json.loads(whole)


def test_results_of_other_weights_are_replaced_and_not_mixed(
    tmp_path: Path, tried: list[str], scored: ScoredScan, weights: Weights
) -> None:
    study = study_of(tmp_path, "a", "b", "c", absent=("c",))
    others = {**scored.weights, "sha256": "0" * 64}
    for name in ("b", "c"):
        write_results(replace(scored, name=name, weights=others), study / "scores")
    plan = plan_run(study)
    assert plan.other_weights == ("b", "c")
    list(run_study(plan, Here()))
    table = pd.read_parquet(study / "scores" / "scores.parquet")
    assert set(table["weights_sha256"]) == {weights.sha256}
    assert not (study / "scores" / "c.cac_map.nii.gz").exists()  # refused now: no map of others


def test_a_refused_scan_is_listed_and_scored_when_asked(tmp_path: Path, tried: list[str]) -> None:
    study = study_of(tmp_path, "a", "b", absent=("b",))
    first = call("--study", study, "--shard", "1/1", "--json")
    assert first.exit_code == 1
    assert score(study) == {"a": "usable", "b": "refused"}
    failed = pd.read_csv(study / "scores" / "failed.csv")
    assert failed[["scan", "outcome", "code"]].to_numpy().tolist() == [["b", "refused", "empty"]]

    (study / "b.nii.gz").touch()
    assert score(study)["b"] == "refused"
    assert tried == ["a", "b"]
    assert score(study, retry=True) == {"a": "usable", "b": "usable"}
    assert tried == ["a", "b", "b"]
    assert pd.read_csv(study / "scores" / "failed.csv").empty
    table = pd.read_parquet(study / "scores" / "scores.parquet")
    assert list(table["verdict"]) == ["usable", "usable"]


def test_a_scan_that_shows_a_defect_is_listed_without_what_it_says(
    tmp_path: Path, tried: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = study_of(tmp_path, "a", "b", "c")
    sound = scan_task.score_scan

    def defect(path: Path, weights: Weights, *, name: str) -> ScoredScan:
        if name == "b":
            raise ValueError("cannot make a date of Doe^Jane")
        return sound(path, weights, name=name)

    monkeypatch.setattr(scan_task, "score_scan", defect)
    assert score(study) == {"a": "usable", "b": "failed", "c": "usable"}
    listed = (study / "scores" / "failed.csv").read_text()
    assert "b,failed,crashed,ValueError at " in listed
    assert "Doe" not in listed + (study / "scores" / "failed" / "b.json").read_text()

    monkeypatch.setattr(scan_task, "score_scan", sound)
    assert score(study)["b"] == "failed"
    assert score(study, retry=True)["b"] == "usable"
    assert tried == ["a", "c", "b"]
    assert not (study / "scores" / "failed" / "b.json").exists()


def test_a_full_disk_stops_the_run_and_blames_no_scan(
    tmp_path: Path, tried: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(scan: ScoredScan, folder: Path) -> None:
        raise InputError("cannot_write", f"{folder} cannot be written (full)")

    monkeypatch.setattr(scan_task, "write_results", full)
    with pytest.raises(InputError, match="cannot be written"):
        score(study_of(tmp_path, "a", "b"))
    assert tried == ["a"]
    assert not (tmp_path / "scores" / "failed").exists()


def test_weights_that_change_meanwhile_stop_the_run(tmp_path: Path, tried: list[str]) -> None:
    plan = plan_run(study_of(tmp_path, "a"))
    changed = replace(plan.tasks[0], weights_sha256="0" * 64)
    with pytest.raises(InputError, match="changed while"):
        list(run_study(replace(plan, tasks=(changed,)), Here()))
    assert tried == []


def test_parts_that_killed_workers_left_are_swept(tmp_path: Path, tried: list[str]) -> None:
    study = study_of(tmp_path, "a", "b.1")
    (study / "scores").mkdir()
    for left in (".a.json.17.part", ".b.1.cac_map.nii.gz.18.part.nii.gz", ".z.json.19.part"):
        (study / "scores" / left).touch()
    score(study)
    assert [f.name for f in (study / "scores").glob(".*")] == [".z.json.19.part"]


def test_the_tables_hold_what_the_results_say(
    tmp_path: Path, tried: list[str], scored: ScoredScan
) -> None:
    assert scored.proposed is not None
    assert scored.clinical is not None
    study = study_of(tmp_path, "b", "a", "gone", absent=("gone",))
    score(study)
    scans = pd.read_parquet(study / "scores" / "scores.parquet")
    assert list(scans["scan"]) == ["b", "a", "gone"]
    assert scans["proposed_agatston_adjusted"][0] == scored.proposed.agatston_adjusted
    assert scans["clinical_convention"][1] == "literature"
    assert scans["clinical_agatston"][1] == scored.clinical.agatston
    assert scans.loc[2, ["verdict", "reasons"]].tolist() == ["refused", "empty"]
    assert scans.loc[2, "proposed_agatston_adjusted":"proposed_risk_category"].isna().all()
    lesions = pd.read_parquet(study / "scores" / "lesions.parquet")
    for method, table in (
        ("proposed", scored.proposed.lesions),
        ("clinical", scored.clinical.lesions),
    ):
        of_a = lesions[(lesions["scan"] == "a") & (lesions["method"] == method)]
        assert len(of_a) == len(table)
        assert of_a["pseudo_mass_hu_mm3"].tolist() == table["pseudo_mass_hu_mm3"].tolist()
        assert of_a["voxels"].tolist() == table["voxels"].tolist()


def test_a_study_without_any_score_has_tables_of_the_same_types(
    tmp_path: Path, tried: list[str]
) -> None:
    some, none = study_of(tmp_path / "some", "a"), study_of(tmp_path / "none", "a", absent=("a",))
    score(some)
    score(none)
    for name in ("scores.parquet", "lesions.parquet"):
        full, empty = (pd.read_parquet(s / "scores" / name) for s in (some, none))
        assert full.dtypes.to_dict() == empty.dtypes.to_dict()


@pytest.mark.parametrize(("scans", "parts"), [(0, 3), (5, 1), (7, 3), (3, 7), (100, 10)])
def test_each_scan_is_in_one_shard(scans: int, parts: int) -> None:
    shares = [shard_of(list(range(scans)), f"{i}/{parts}") for i in range(1, parts + 1)]
    assert sorted(chain.from_iterable(shares)) == list(range(scans))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("shard", ["0/3", "4/3", "1", "1/", "/2", "-1/3", "1/0", "a/b", "1.5/2"])
def test_a_shard_that_is_none_is_a_wrong_call(shard: str) -> None:
    with pytest.raises(UsageError, match="i/n"):
        shard_of(["a"], shard)


def test_shards_together_score_a_study_and_the_next_call_makes_its_tables(
    tmp_path: Path, tried: list[str]
) -> None:
    study = study_of(tmp_path, *"abcde", absent=("d",))
    for part in ("1/2", "2/2"):
        found = call("--study", study, "--shard", part, "--json")
        assert json.loads(found.stdout)["tables"] == {}
    assert not (study / "scores" / "scores.parquet").exists()
    found = json.loads(call("--study", study, "--json").stdout)
    assert (found["scored"], found["skipped"]) == (0, 4)
    assert [row["scan"] for row in found["refused"]] == ["d"]
    assert tried == ["a", "c", "e", "b", "d"]
    assert len(pd.read_parquet(found["tables"]["scores"])) == 5


def test_the_array_template_of_the_documentation_covers_a_study_once(tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "whole_studies.md").read_text(encoding="utf-8")
    template = next(block for block in page.split("```")[1::2] if "#SBATCH --array" in block)
    script = tmp_path / "array.sh"
    script.write_text(template.removeprefix("sh\n"))
    stub = tmp_path / "cacnb"
    stub.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >> "$0.calls"\n')
    stub.chmod(0o755)
    first, last = next(
        line.partition("=")[2].split("-") for line in template.splitlines() if "--array" in line
    )
    for task in range(int(first), int(last) + 1):
        subprocess.run(
            ["/bin/sh", str(script)],
            check=True,
            env={
                "PATH": f"{tmp_path}:{os.environ['PATH']}",
                "SLURM_ARRAY_TASK_ID": str(task),
                "SLURM_ARRAY_TASK_COUNT": last,
            },
        )
    shards = [
        word for word in (tmp_path / "cacnb.calls").read_text().splitlines() if "/" in word[:4]
    ]
    covered = chain.from_iterable(shard_of(list(range(333)), shard) for shard in shards)
    assert sorted(covered) == list(range(333))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--engine", "grid"], "local or slurm"),
        (["--queue", "cpu"], "--engine slurm"),
        (["--shard", "1/2", "--workers", "2"], "leave out"),
        (["--workers", "0"], "at least 1"),
        (["--threads", "0"], "at least 1"),
        (["--memory", "much"], "such as 4GB"),
    ],
)
def test_options_that_contradict_each_other_are_a_wrong_call(
    tmp_path: Path, options: list[str], said: str
) -> None:
    found = call("--study", study_of(tmp_path, "a"), *options)
    assert isinstance(found.exception, UsageError)
    assert said in str(found.exception)


def test_a_study_that_names_a_scan_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'a'") as refused:
        plan_run(study_of(tmp_path, "a", "b", "a"))
    assert refused.value.code == "doubled_scan"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three simulated people, each scanned twice, the heart only."""
    study = tmp_path_factory.mktemp("simulated") / "study"
    list(simulate_study(StudyPlan(3, 500, "rtp", "heart"), study, workers=2))
    return study


@pytest.fixture(scope="module")
def one_by_one(simulated: Path) -> Path:
    """The results of `cacnb score --study`, with the one thread that workers have."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        out = simulated.parent / "one_by_one"
        found = CliRunner().invoke(app, ["score", "--study", str(simulated), "--out", str(out)])
    finally:
        torch.set_num_threads(threads)
    assert found.exit_code == 0
    return out


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    """Dask's living workers below a process, the one that started first in front."""
    found = []
    for child in process.children(recursive=True):
        try:
            if "spawn_main" in " ".join(child.cmdline()):
                found.append((child.create_time(), child))
        except psutil.Error:  # it died meanwhile
            continue
    return [child for _, child in sorted(found, key=lambda pair: pair[0])]


def assert_same_results(found: Path, wanted: Path, scans: int) -> None:
    """Scores, lesions, maps and hearts are the same to the bit; only time and place differ."""
    results = sorted(wanted.glob("sim*.json"))
    assert len(results) == scans
    assert sorted(f.name for f in found.glob("sim*.json")) == [f.name for f in results]
    for file in results:
        one, other = (json.loads((folder / file.name).read_text()) for folder in (found, wanted))
        for result in (one, other):
            del result["seconds"], result["path"]
        assert one == other
    for file in wanted.glob("sim*.nii.gz"):
        assert (found / file.name).read_bytes() == file.read_bytes()
    table = pd.read_parquet(found / "scores.parquet")
    assert list(table["scan"]) == [file.stem for file in results]
    assert not list(found.glob(".*"))


@pytest.mark.slow
def test_three_workers_killed_in_the_middle_lose_nothing_and_double_nothing(
    simulated: Path, one_by_one: Path, tmp_path: Path
) -> None:
    study = tmp_path / "study"
    shutil.copytree(simulated, study)
    ended, killed = [], []
    for step in run_study(plan_run(study), Local(workers=2)):
        ended.append(step.outcome.scan)
        if len(killed) < 3:
            until = time.monotonic() + 60
            while not (living := workers_of(psutil.Process())) and time.monotonic() < until:
                time.sleep(0.1)  # the nanny is about to start another
            victim = living[0]  # the oldest: it is past its start
            victim.kill()
            killed.append(victim.pid)
    assert len(set(killed)) == 3
    assert len(ended) == len(set(ended)) == 6
    assert_same_results(study / "scores", one_by_one, 6)
    before = written(study)
    assert not any(step.is_new for step in run_study(plan_run(study), Local(workers=2)))
    assert written(study) == before


def enormous_scan(path: Path, like: Path) -> None:
    """A scan of 1.3 GB as float32, whose voxels are a hole in the file."""
    header = bytearray(like.read_bytes()[:352])
    header[40:48] = struct.pack("<4h", 3, 512, 512, 1200)
    with path.open("wb") as file:
        file.write(header)
        file.truncate(352 + 512 * 512 * 1200 * 2)


@pytest.mark.slow
def test_a_scan_that_kills_every_worker_fails_and_the_rest_goes_on(tmp_path: Path) -> None:
    # Two scans and one worker: Dask hands it both, and blames both for its death.
    study = study_of(tmp_path / "study", "enormous", "small")
    scan = simulate_scan(Person.draw(CALCIFIED_SEED), breath_hold=True, field_of_view="heart")
    write_image(scan.image, study / "small.nii")
    enormous_scan(study / "enormous.nii", study / "small.nii")
    table = (study / "cohort.csv").read_text().replace(".nii.gz", ".nii")
    (study / "cohort.csv").write_text(table)
    ended = {
        step.outcome.scan: step.outcome
        for step in run_study(plan_run(study), Local(workers=1, memory="1.1GB"))
    }
    assert ended["enormous"].code == "worker_died"
    assert ended["small"].is_scored
    failed = pd.read_csv(study / "scores" / "failed.csv")
    assert failed[["scan", "outcome", "code"]].to_numpy().tolist() == [
        ["enormous", "failed", "worker_died"]
    ]
    assert plan_run(study).tasks == ()
    assert [task.scan for task in plan_run(study, retry=True).tasks] == ["enormous"]


@pytest.fixture
def command(simulated: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`cacnb run` in a session of its own, as from a terminal; nothing of it is left behind."""
    shutil.copytree(simulated, tmp_path / "study")
    process = subprocess.Popen(
        [
            sys.executable, "-m", "cacnb.cli", "run", "--study", tmp_path / "study",
            "--workers", "2", "--json",
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        # A test run in the background inherits a SIGINT that is ignored; a terminal's is not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.slow
def test_a_run_that_is_interrupted_keeps_what_was_finished_and_goes_on(
    command: subprocess.Popen[str], tmp_path: Path
) -> None:
    study = tmp_path / "study"
    until = time.monotonic() + 300
    while not list((study / "scores").glob("sim*.json")) and time.monotonic() < until:
        time.sleep(0.1)
    os.killpg(command.pid, signal.SIGINT)
    out, told = command.communicate(timeout=120)
    assert command.returncode == 130
    assert out == ""
    assert "what was finished is kept" in told
    assert "Traceback" not in told
    plan, before = plan_run(study), written(study)
    assert 1 <= len(plan.ended) < 6
    assert not list((study / "scores").glob(".*"))

    found = call("--study", study, "--workers", "2", "--json")
    assert found.exit_code == 0
    counts = json.loads(found.stdout)
    assert (counts["skipped"], counts["scored"]) == (len(plan.ended), len(plan.tasks))
    after = written(study)
    for scan in plan.ended:
        assert after[f"{scan}.json"] == before[f"{scan}.json"]
    assert find_result(study / "scores", plan.scans[0], plan.weights_sha256).state == "whole"
