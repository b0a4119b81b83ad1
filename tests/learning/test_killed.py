"""A training that is killed, stopped or without room, at any moment; all of it is noise."""

import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from cacnb.errors import InputError
from cacnb.learning.checkpoint import CHECKPOINT, load_checkpoint, read_metadata
from cacnb.learning.loop import Run, train
from cacnb.learning.networks import NetworkShape
from cacnb.learning.stopping import ASKS_TO_STOP, StoppedError

from .conftest import TINY_SLICES, start_slices

#: Most of a step is the writing of its checkpoint, so that a kill finds it there.
SAVING = replace(
    TINY_SLICES, network=NetworkShape(width=24, blocks=2), iterations=100_000, save_every=1
)

#: Trains SAVING in forked processes, each killed after a moment, until some died while they wrote.
KILL_AGAIN_AND_AGAIN = """
import os, random, signal, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from cacnb.learning.checkpoint import CHECKPOINT, load_checkpoint
from cacnb.learning.loop import Run, train
from tests.learning.conftest import start_slices
from tests.learning.test_killed import SAVING
folder, moments, writing, kills = Path(sys.argv[1]), random.Random(0), 0, 0
while writing < 3 and kills < 300:
    child = os.fork()
    if child == 0:
        for _ in train(*start_slices(SAVING), Run(folder, resume=True)):
            pass
    begun = time.monotonic()
    while not list(folder.glob(".*.part")) and time.monotonic() < begun + 20:
        pass
    time.sleep(moments.uniform(0, 0.2))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    kills += 1
    writing += bool(list(folder.glob(".*.part")))
    if (folder / CHECKPOINT).exists():
        load_checkpoint(*start_slices(SAVING), folder / CHECKPOINT)
print(writing, kills)
"""


def losses(folder: Path) -> list[dict[str, float]]:
    rows = [json.loads(line) for line in (folder / "steps.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def test_a_checkpoint_opens_whenever_its_training_was_killed(tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    told = subprocess.run(
        [sys.executable, "-c", KILL_AGAIN_AND_AGAIN, killed],
        cwd=Path(__file__).parents[2], env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    writing, _ = map(int, told.stdout.split())
    assert writing >= 3
    reached = int(read_metadata(killed / CHECKPOINT)["iteration"])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        steps = train(*start_slices(SAVING), Run(killed, resume=True))
        assert next(steps).iteration == reached + 1
        steps.close()  # type: ignore[attr-defined]
        assert not list(killed.glob(".*.part"))
        unbroken = train(*start_slices(SAVING), Run(whole))
        while next(unbroken).iteration <= reached:
            pass
        unbroken.close()  # type: ignore[attr-defined]
    finally:
        torch.set_num_threads(threads)
    assert losses(killed) == losses(whole)


@pytest.mark.parametrize("number", ASKS_TO_STOP)
def test_a_signal_lets_the_step_end_and_saves_it(tmp_path: Path, number: signal.Signals) -> None:
    recipe = replace(TINY_SLICES, save_every=6)
    unbroken = list(train(*start_slices(recipe), Run(tmp_path / "whole")))
    before = signal.getsignal(number)
    steps = train(*start_slices(recipe), Run(tmp_path / "run", stop_on_signals=True))
    next(steps)
    os.kill(os.getpid(), number)
    assert next(steps).iteration == 2
    with pytest.raises(StoppedError, match=f"{number.name}: iteration 2 of 6 is saved") as stopped:
        next(steps)
    assert stopped.value.exit_status == 143
    assert signal.getsignal(number) is before
    rest = list(train(*start_slices(recipe), Run(tmp_path / "run", resume=True)))
    assert [step.losses for step in rest] == [step.losses for step in unbroken[2:]]
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")


def test_a_signal_at_the_last_step_changes_nothing(tmp_path: Path) -> None:
    steps = train(*start_slices(), Run(tmp_path, stop_on_signals=True))
    for _ in range(5):
        next(steps)
    os.kill(os.getpid(), signal.SIGTERM)
    assert [step.iteration for step in steps] == [6]
    assert read_metadata(tmp_path / CHECKPOINT)["iteration"] == "6"


def test_a_disk_that_fills_up_in_the_middle_of_a_write_leaves_the_last_checkpoint(
    tmp_path: Path,
) -> None:
    learner, sampler = start_slices()
    steps = train(learner, sampler, Run(tmp_path))
    for _ in range(5):
        next(steps)
    held = (tmp_path / CHECKPOINT).read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(held) // 2, hard))
    try:
        with pytest.raises(InputError, match="cannot be written") as refusal:
            next(steps)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(refusal.value)
    assert (tmp_path / CHECKPOINT).read_bytes() == held
    assert load_checkpoint(*start_slices(), tmp_path / CHECKPOINT) == 3
    rest = list(train(*start_slices(), Run(tmp_path, resume=True)))
    assert [step.iteration for step in rest] == [4, 5, 6]


def test_a_log_on_a_full_disk_is_told_in_a_line_and_the_run_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    recipe = replace(TINY_SLICES, save_every=2)
    unbroken = list(train(*start_slices(recipe), Run(tmp_path / "whole")))
    run = tmp_path / "run"
    steps = train(*start_slices(recipe), Run(run))
    for _ in range(2):
        next(steps)
    log = (run / "steps.jsonl").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log + 10, hard))
    try:
        next(steps)
        with pytest.raises(InputError, match=r"steps\.jsonl cannot be written"):
            next(steps)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len((run / "steps.jsonl").read_bytes()) == log + 10  # half a line
    rest = list(train(*start_slices(recipe), Run(run, resume=True)))
    assert [step.losses for step in rest] == [step.losses for step in unbroken[2:]]
    assert losses(run) == losses(tmp_path / "whole")


def test_what_a_killed_process_left_half_written_goes_when_the_run_goes_on(tmp_path: Path) -> None:
    steps = train(*start_slices(), Run(tmp_path))
    for _ in range(4):
        next(steps)
    steps.close()  # type: ignore[attr-defined]
    (tmp_path / ".last.safetensors.123.part").write_bytes(b"half")
    list(train(*start_slices(), Run(tmp_path, resume=True)))
    assert not list(tmp_path.glob(".*"))
    assert load_file(tmp_path / CHECKPOINT)
