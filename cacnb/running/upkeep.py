"""Workers of a Dask cluster kept at their number; it does not know how they are started."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distributed.core import Status

from cacnb.errors import InputError

#: Workers that may be lost, for each that was wanted, while no scan is finished.
LOST_WITHOUT_A_SCAN = 3


class Upkeep:
    """A cluster whose workers are watched: one that is gone for good is replaced.

    Parameters
    ----------
    cluster
        A `SpecCluster` of distributed.
    wanted
        How many workers there should be.
    gone_among
        Names of the workers that will not come back, among those that the cluster holds.
    announce
        Is told how many were replaced.
    """

    def __init__(
        self,
        cluster: Any,
        wanted: int,
        gone_among: Callable[[dict[str, Any]], list[str]],
        announce: Callable[[str], None],
    ) -> None:
        self.cluster, self.wanted = cluster, wanted
        self.gone_among, self.announce = gone_among, announce
        self.lost = 0

    def look(self, *, heard: bool) -> None:
        """Replace the workers that are gone; `heard` says a scan was finished meanwhile.

        Raises
        ------
        InputError
            `no_workers` where more were lost than can be chance, or none can be had.
        """
        if heard:
            self.lost = 0
        held = dict(self.cluster.workers)
        # What the cluster itself gave up is wanted still, but held no more.
        gone = [*self.gone_among(held), *(set(self.cluster.worker_spec) - set(held))]
        if gone:
            self.lost += len(gone)
            if self.lost > LOST_WITHOUT_A_SCAN * self.wanted:
                raise InputError(
                    "no_workers",
                    f"{self.lost} workers ended before they scored a scan: on SLURM see what the "
                    "jobs said in the folder scores/slurm; more --memory or --walltime may help",
                )
            self.announce(f"{len(gone)} workers ended, others are started")
            self.top_up(gone)

    def top_up(self, gone: list[str]) -> None:
        """Start workers until as many are there as wanted, without those that are gone."""
        try:
            self.cluster.sync(self._top_up, gone)
        except RuntimeError as error:  # also what dask-jobqueue makes of an sbatch that refuses
            # the first of sbatch's lines names what is wrong, the last only says that it is
            told = [line for line in str(error).splitlines() if line.startswith("sbatch: error:")]
            raise InputError(
                "no_workers",
                f"no worker could be started ({(told or [type(error).__name__])[0]}): see the "
                "options --queue, --account, --memory and --walltime",
            ) from error

    async def _top_up(self, gone: list[str]) -> None:
        # Cluster.scale would do, but it logs what goes wrong instead of raising it, and it counts
        # a job that was cancelled in the queue.
        self._forget(gone)
        while len(self.cluster.worker_spec) < self.wanted:
            self.cluster.worker_spec.update(self.cluster.new_worker_spec())
        try:
            await self.cluster._correct_state()
        except RuntimeError:
            # Whoever closes a cluster insists that what it made was started or has failed; a job
            # that sbatch refused is neither.
            never = [n for n, job in self.cluster.workers.items() if job.status is Status.created]
            self._forget(never)
            raise

    def _forget(self, names: list[str]) -> None:
        for name in names:
            self.cluster.worker_spec.pop(name, None)
            self.cluster._created.discard(self.cluster.workers.pop(name, None))
