"""Two processes train as one does: the same gradients, weights and losses, killed or not."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from cacnb.errors import UsageError
from cacnb.learning.joined import JoinedBatchNorm
from cacnb.learning.learner import share_work
from cacnb.learning.processes import Processes, open_processes
from cacnb.learning.share import Share

from . import conftest
from .several_processes import run

LEARNERS = (
    "heart", "slices", "twins", "decomposition", "departed", "one_sided", "inserted", "bridge",
    "clinical",
)  # fmt: skip
KILLED = "departed"


def two_processes(folder: Path, jobs: list[dict[str, object]]) -> list[int]:
    """Let two processes do some jobs in turn; their exit statuses."""
    (folder / "jobs.json").write_text(json.dumps(jobs))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {
        **os.environ, "WORLD_SIZE": "2", "NODE_RANK": "0", "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    started = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.learning.several_processes", folder],
            env={**told, "LOCAL_RANK": str(rank)},
            cwd=Path(__file__).parents[2],
        )
        for rank in range(2)
    ]
    try:
        return [process.wait(240) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()


def found(folder: Path) -> dict[str, NDArray[np.float64]]:
    with np.load(folder / "found.npz") as kept:
        return {key: kept[key] for key in kept if key != "losses"}


def losses(folder: Path) -> list[dict[str, float]]:
    """What the log of a run says of its losses."""
    rows = [json.loads(line) for line in (folder / "steps.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each learner in float64 by two processes; one also in float32, unbroken, then killed."""
    folder = tmp_path_factory.mktemp("several")
    jobs: list[dict[str, object]] = [
        {"learner": name, "out": f"two_{name}", "double": True} for name in LEARNERS
    ]
    jobs.append({"learner": KILLED, "out": "whole"})
    jobs.append({"learner": KILLED, "out": "broken", "die_after": 4})
    assert two_processes(folder, jobs) == [-signal.SIGKILL] * 2
    shutil.copytree(folder / "broken", folder / "alone")
    return folder


@pytest.mark.parametrize("learner", LEARNERS)
def test_two_processes_train_as_one_with_the_joined_batch(trained: Path, learner: str) -> None:
    run({"learner": learner, "out": f"one_{learner}", "double": True}, trained)
    one, two = found(trained / f"one_{learner}"), found(trained / f"two_{learner}")
    assert one.keys() == two.keys()
    assert any(key.startswith("gradient.") for key in one)
    for key, value in one.items():
        np.testing.assert_allclose(two[key], value, rtol=1e-9, atol=1e-10, err_msg=key)
    for a, b in zip(
        losses(trained / f"one_{learner}"), losses(trained / f"two_{learner}"), strict=True
    ):
        for name, value in a.items():  # a share that is right is counted in float32
            exact = 1e-7 if "accuracy" in name else 1e-10
            assert b[name] == pytest.approx(value, rel=1e-9, abs=exact), name


def test_two_processes_that_are_killed_go_on_to_the_last_digit(trained: Path) -> None:
    assert len(losses(trained / "broken")) < 6
    assert two_processes(trained, [{"learner": KILLED, "out": "broken", "resume": True}]) == [0, 0]
    assert losses(trained / "broken") == losses(trained / "whole")
    one, other = found(trained / "broken"), found(trained / "whole")
    assert all(np.array_equal(one[key], other[key]) for key in one)


def test_what_two_processes_began_goes_on_in_one(trained: Path) -> None:
    run({"learner": KILLED, "out": "alone", "resume": True}, trained)
    one, two = losses(trained / "alone"), losses(trained / "whole")
    assert [row["iteration"] for row in one] == [row["iteration"] for row in two]
    for a, b in zip(one, two, strict=True):
        assert a == pytest.approx(b, rel=1e-3, abs=1e-4)


def test_shares_side_by_side_are_the_whole_batch() -> None:
    drawn = torch.arange(16)
    parts = [Share(rank, 4).rows(2, domains=2).of(drawn) for rank in range(4)]
    first, second = zip(*(part.split(2) for part in parts), strict=True)
    assert torch.equal(torch.cat([*first, *second]), drawn)
    assert torch.equal(Share().rows(8, domains=2).of(drawn), drawn)


@pytest.mark.parametrize("of", [1, 2, 4])
def test_rows_of_the_middle_keep_their_place_in_the_joined_batch(of: int) -> None:
    drawn = torch.arange(4, 12)
    for rank in range(of):
        rows = Share(rank, of).rows(8 // of, domains=2)
        own = rows.of(torch.arange(16))
        where, within = rows.between(4, 12)
        assert torch.equal(within.of(drawn), own[where])
        assert torch.equal(own[where], own[(own >= 4) & (own < 12)])


def test_a_batch_that_processes_cannot_share_is_refused_with_the_numbers_that_can() -> None:
    processes = Processes()
    processes.share = Share(0, 3)
    with pytest.raises(UsageError, match=r"3 processes cannot share a batch of 4.* 1, 2$"):
        share_work(*conftest.start_slices(), processes)


def test_what_is_joined_without_training_is_the_usual_batch_norm() -> None:
    norm = nn.BatchNorm2d(3)
    norm.running_mean = torch.arange(3.0)
    joined = JoinedBatchNorm(norm, of=2).eval()
    images = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(joined(images), norm.eval()(images))
    assert joined.state_dict().keys() == norm.state_dict().keys()


def test_layers_compute_in_bfloat16_by_fabric_only_where_wanted() -> None:
    with open_processes("cpu") as processes:
        assert (processes.first, processes.several) == (True, False)
        for wanted in (True, False):
            with processes.half(processes.device, wanted=wanted):
                found = torch.ones(2, 2) @ torch.ones(2, 2)
            assert found.dtype == (torch.bfloat16 if wanted else torch.float32)
