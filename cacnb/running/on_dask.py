"""Scans on Dask workers, tried again where a worker dies; it does not know what a scan is."""

from __future__ import annotations

import importlib.util
import logging
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.resource_tracker import ensure_running
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import dask
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster
from distributed.core import Status
from distributed.scheduler import KilledWorker
from distributed.system import MEMORY_LIMIT

from cacnb.errors import InputError
from cacnb.running.engines import Local, Slurm
from cacnb.running.scan_files import Outcome
from cacnb.running.scan_task import Halt, ScanTask, run_task
from cacnb.running.slurm_jobs import jobs_that_ended, open_slurm
from cacnb.running.upkeep import Upkeep
from cacnb.running.wire_key import wire_key

#: What a worker should have: a thin-sliced whole chest takes about 1.5 GB.
WORKER_BYTES = 3 * 10**9

#: Where the dashboard is: a port that is free, which only this machine reaches.
DASHBOARD = "127.0.0.1:0"

#: How often workers are looked after, in seconds.
LOOK_AFTER_S = 5.0

SETTINGS = {
    # A task that waits beside the one that kills its worker would be blamed with it.
    "distributed.scheduler.worker-saturation": 1.0,
    # Nothing here can be spilled to disk, and a worker that pauses for memory would wait for ever.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    # Sampling what a worker does, a hundred times a second, costs more than it tells here.
    "distributed.worker.profile.enabled": False,
    # On a machine with much else to do, a worker takes its time to start, and to start anew.
    "distributed.comm.timeouts.connect": "5 minutes",
    "distributed.deploy.lost-worker-timeout": "10 minutes",
}


def run_on_dask(
    tasks: Sequence[ScanTask],
    engine: Local | Slurm,
    folder: Path,
    announce: Callable[[str], None],
) -> Iterator[Outcome | Halt]:
    """Score scans on workers and tell each outcome as it comes, in any order.

    Dask gives a scan whose worker died to another one, up to three times. A scan that loses more
    is tried alone in the end, as a neighbour may have been at fault: if its workers die then too,
    it ends as `worker_died`.

    Parameters
    ----------
    folder
        A folder that this machine and all workers see: the key of their connections, jobs' logs.
    announce
        Is told where the dashboard is and which jobs were replaced.

    Raises
    ------
    InputError
        `no_workers` where none comes or stays, `no_encryption`, `no_slurm`, `no_jobqueue`.
    """
    with (
        dask.config.set(SETTINGS),
        wire_key(folder) as security,
        _workers(engine, security, folder, announce) as (cluster, upkeep),
        Client(cluster, security=security, set_as_default=False) as client,
    ):
        if importlib.util.find_spec("bokeh") is not None:
            port = cluster.scheduler_info["services"]["dashboard"]
            announce(f"Dashboard: http://127.0.0.1:{port}/status")
        suspects = []
        for task, outcome in _outcomes(client, tasks, upkeep, "among others"):
            if outcome is None:
                suspects.append(task)
            else:
                yield outcome
        for suspect in suspects:
            for task, outcome in _outcomes(client, [suspect], upkeep, "alone"):
                yield outcome or _worker_died(task)


def _outcomes(
    client: Any, tasks: Sequence[ScanTask], upkeep: Upkeep, how: str
) -> Iterator[tuple[ScanTask, Outcome | Halt | None]]:
    """Each task and its outcome as it comes, None where too many of its workers died.

    `how` is part of the tasks' names: the scheduler answers one that it knows without running it.
    """
    names = [f"{task.scan} {how}" for task in tasks]
    futures = client.map(run_task, tasks, key=names, pure=False)
    task_of = dict(zip(futures, tasks, strict=True))
    futures.clear()  # a future that is held keeps its result on a worker
    finished: SimpleQueue[Any] = SimpleQueue()
    for future in task_of:
        future.add_done_callback(finished.put)
    heard, looked = False, time.monotonic()
    while task_of:
        try:
            future = finished.get(timeout=LOOK_AFTER_S)
            outcome = future.result(timeout=LOOK_AFTER_S)
        except Empty:
            pass
        except TimeoutError:  # the worker that held the result died: the result comes again
            future.add_done_callback(finished.put)
        except KilledWorker:
            yield task_of.pop(future), None
        except ImportError as error:
            raise InputError(
                "no_workers",
                f"a worker cannot run cacnb ({error}): it needs the Python that calls",
            ) from error
        else:
            heard = True
            yield task_of.pop(future), outcome
        if time.monotonic() - looked > LOOK_AFTER_S:
            upkeep.look(heard=heard)
            heard, looked = False, time.monotonic()


def _worker_died(task: ScanTask) -> Outcome:
    return Outcome(
        task.scan,
        "failed",
        "worker_died",
        "every worker that scored this scan was killed, most likely for want of memory: give "
        "workers more with --memory, then score it with --retry",
    )


@contextmanager
def _workers(
    engine: Local | Slurm, security: Any, folder: Path, announce: Callable[[str], None]
) -> Iterator[tuple[Any, Upkeep]]:
    """A cluster with as many workers as the engine says, and their upkeep."""
    if isinstance(engine, Slurm):
        with open_slurm(engine, security, folder / "slurm", DASHBOARD, SETTINGS) as cluster:
            upkeep = Upkeep(cluster, engine.workers, jobs_that_ended, announce)
            upkeep.top_up([])
            yield cluster, upkeep
        return
    count = engine.workers or _workers_here(engine.threads)
    with _deaf_to_ctrl_c():
        cluster = LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            memory_limit=engine.memory or MEMORY_LIMIT // count,
            host="127.0.0.1",
            dashboard_address=DASHBOARD,
            security=security,
            protocol="tls://",
            silence_logs=logging.CRITICAL,
        )
    with cluster:
        yield cluster, Upkeep(cluster, count, _nannies_that_ended, announce)


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """What starts inside the block never hears Ctrl-C, which a terminal sends to all processes.

    This process hears it after the block and closes its workers, which would otherwise end on
    their own with a traceback each.
    """
    ensure_running()  # of multiprocessing's own process, whose start would undo the next line
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _nannies_that_ended(nannies: dict[str, Any]) -> list[str]:
    """A nanny starts its worker anew when it dies; one that could not ends itself."""
    over = (Status.closing, Status.closed, Status.failed)
    return [name for name, nanny in nannies.items() if nanny.status in over]


def _workers_here(threads: int) -> int:
    """As many workers as the machine has cores and memory for."""
    return max(1, min(int(CPU_COUNT) // threads, int(MEMORY_LIMIT) // WORKER_BYTES))
