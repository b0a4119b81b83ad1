"""Workers as SLURM jobs, and which of them ended; it does not know what they work on."""

from __future__ import annotations

import getpass
import logging
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cacnb.errors import InputError
from cacnb.running.engines import Slurm

#: How long a worker may take to start and be heard; python on a shared disk can be slow.
WORKER_START_S = 600


@contextmanager
def open_slurm(
    engine: Slurm, security: Any, folder: Path, dashboard: str, settings: dict[str, Any]
) -> Iterator[Any]:
    """A Dask cluster whose workers are SLURM jobs, as yet without any; their logs go to `folder`.

    `settings` are Dask's, and hold in the jobs too.

    Raises
    ------
    InputError
        `no_slurm`, `no_jobqueue` where a program is missing.
    """
    for program in ("sbatch", "squeue", "scancel"):
        if shutil.which(program) is None:
            raise InputError(
                "no_slurm",
                f"there is no {program} on this machine: call from a login node of the cluster, "
                "or take --engine local",
            )
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise InputError(
            "no_jobqueue", "dask-jobqueue is not installed: pip install 'cacnb[cluster]'"
        ) from error
    with SLURMCluster(
        cores=1,
        processes=1,
        job_cpu=engine.threads,
        memory=engine.memory,
        walltime=engine.walltime,
        queue=engine.queue,
        account=engine.account,
        interface=engine.interface,
        job_name="cacnb",
        death_timeout=WORKER_START_S,
        job_extra_directives=list(engine.options),
        job_script_prologue=[*map(_exported, settings.items()), *engine.before],
        log_directory=str(folder),
        worker_extra_args=["--no-dashboard"],
        security=security,
        protocol="tls://",
        scheduler_options={"dashboard_address": dashboard},
        silence_logs=logging.CRITICAL,
    ) as cluster:
        yield cluster


def _exported(setting: tuple[str, Any]) -> str:
    """A setting of Dask as a shell line: `a.b-c` is read from `DASK_A__B_C`."""
    name = setting[0].upper().replace(".", "__").replace("-", "_")
    return f"export DASK_{name}={shlex.quote(str(setting[1]))}"


def jobs_that_ended(jobs: dict[str, Any]) -> list[str]:
    """Names of the jobs that neither wait nor run; none where SLURM does not answer."""
    squeue = shutil.which("squeue") or "squeue"
    told = subprocess.run(  # noqa: S603 - a fixed call, no shell
        [squeue, "--noheader", "--format=%A", f"--user={getpass.getuser()}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if told.returncode != 0:
        return []
    there = set(told.stdout.split())
    return [name for name, job in jobs.items() if job.job_id not in there]
