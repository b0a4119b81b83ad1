"""Where scans are scored: here, on all cores, on a SLURM cluster; values, nothing runs here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Here:
    """One scan after the other in this process, without Dask; `threads` None leaves torch's own."""

    threads: int | None = None


@dataclass(frozen=True)
class Local:
    """Worker processes on this machine, each with one scan at a time.

    `workers` None takes as many as cores and memory allow; `memory` ends a worker that takes more,
    None shares the machine's memory among the workers.
    """

    workers: int | None = None
    threads: int = 1
    memory: str | None = None


@dataclass(frozen=True)
class Slurm:
    """Jobs of a SLURM cluster, each a worker with one scan at a time.

    `interface` is the network that compute nodes reach this machine by, such as `ib0`. `options`
    are added to `#SBATCH` as they are, `before` are shell lines that each job runs first.
    """

    workers: int = 4
    threads: int = 1
    memory: str = "4GB"
    walltime: str = "02:00:00"
    queue: str | None = None
    account: str | None = None
    interface: str | None = None
    options: tuple[str, ...] = ()
    before: tuple[str, ...] = ()


Engine = Here | Local | Slurm
