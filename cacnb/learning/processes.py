"""The processes that train one network together, on Lightning Fabric; no network, no file.

Fabric takes seconds to import, so it is imported only where processes are opened.
"""

from __future__ import annotations

import atexit
import logging
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, distributed

from cacnb.errors import CacnbError, InputError, UsageError
from cacnb.learning.device import CPU, open_device
from cacnb.learning.joined import sum_of_all
from cacnb.learning.share import WHOLE, Share

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments import ClusterEnvironment

T = TypeVar("T")

#: How long a process waits for another, which may be preparing a study or looking at slices.
WAIT_AT_MOST = timedelta(hours=24)

#: Seconds that processes which this one started have for ending by themselves.
END_WITHIN_S = 20.0


class ToldByFirstError(CacnbError):
    """A refusal that the first process tells: the others end without a word."""

    exit_status = 0


class Processes:
    """One process's place among those that train together; without `fabric` it is alone.

    Every process calls the same methods in the same order, and each call waits for all of them.
    """

    def __init__(self, fabric: Fabric | None = None, device: torch.device = CPU) -> None:
        self.fabric = fabric
        self.share = WHOLE if fabric is None else Share(fabric.global_rank, fabric.world_size)
        self.device = device if fabric is None else fabric.device

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.share.rank == 0

    @property
    def several(self) -> bool:
        """Whether there are others."""
        return self.share.of > 1

    def half(self, device: torch.device, *, wanted: bool) -> AbstractContextManager[object]:
        """Where layers compute in bfloat16, if wanted; weights and sums stay float32."""
        if self.fabric is None:
            return torch.autocast(device.type, torch.bfloat16, enabled=wanted)
        return self.fabric.autocast() if wanted else nullcontext()

    def average(self, gradients: Sequence[Tensor]) -> None:
        """Replace gradients by their mean over the processes, all of them in one message."""
        if not self.several:
            return
        # Not Fabric's all_reduce: it lets all processes meet once more before each.
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.share.of
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, mean in zip(gradients, parts, strict=True):
            gradient.copy_(mean.view_as(gradient))

    def total(self, mine: Tensor) -> Tensor:
        """The sum of a tensor over the processes; gradients flow through it."""
        return sum_of_all(mine) if self.several else mine

    def tell(self, losses: dict[str, float], *, stop: bool) -> tuple[dict[str, float], bool]:
        """The mean of each loss term over the processes, and whether any of them is to stop."""
        if not self.several:
            return losses, stop
        told = torch.tensor([*losses.values(), stop], dtype=torch.float64, device=self.device)
        distributed.all_reduce(told)
        *means, stops = (told / self.share.of).tolist()
        return dict(zip(losses, means, strict=True)), stops > 0

    def after_first(self, work: Callable[[], T]) -> T:
        """Let the first process do some work, then the others: what it wrote is there for them.

        What the first one refuses, nobody does.
        """
        if self.fabric is None or not self.several:
            return work()
        if not self.first:
            if (said := self.fabric.broadcast("")) is not None:
                raise ToldByFirstError(said)
            return work()
        try:
            done = work()
        except CacnbError as error:
            self.fabric.broadcast(str(error))
            raise
        self.fabric.broadcast(None)
        return done

    def once(self, error: CacnbError) -> CacnbError:
        """What to raise where all processes refuse the same: the first one tells it."""
        return error if self.first else ToldByFirstError(str(error))

    @contextmanager
    def or_one_is_gone(self) -> Iterator[None]:
        """Turn what a process finds in place of another that has ended into `process_gone`."""
        try:
            yield
        except RuntimeError as error:
            if self.several and (isinstance(error, distributed.DistError) or "gloo" in str(error)):
                raise self.once(
                    InputError(
                        "process_gone",
                        "another process of this training has ended: see what it said, then go on "
                        "with --resume",
                    )
                ) from error
            raise


#: A process that trains by itself.
ALONE = Processes()


@contextmanager
def open_processes(device: str = "cpu", devices: int | None = None) -> Iterator[Processes]:
    """The place of this process among those that train together, on a device of its own.

    Under `torchrun`, and under `srun` with several tasks, these have started the processes.
    Otherwise this one starts `devices` − 1 more, by the same command, on this machine.

    Raises
    ------
    InputError
        `no_device` where there are fewer devices than processes.
    UsageError
        Where `devices` is not the number that was started, or several share one device.
    """
    environment, local, nodes, by_us = _started_by(devices)
    several = local * nodes > 1
    target = open_device(device)
    if several and target.type not in ("cpu", "cuda"):
        raise UsageError(f"several processes train on cpu or cuda, --device {device} came")
    if several and ":" in device:
        raise UsageError(f"--device {device} is one for {local} processes: give --device cuda")
    if target.type == "cuda" and torch.cuda.device_count() < local:
        raise InputError(
            "no_device",
            f"{local} processes want a GPU each and {torch.cuda.device_count()} are here: "
            "start fewer",
        )
    if target.type not in ("cpu", "cuda", "mps"):
        yield Processes(device=target)
        return
    from lightning_fabric import Fabric
    from lightning_fabric.strategies import DDPStrategy

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    fabric = Fabric(
        accelerator=target.type,
        devices=local if several or target.type != "cuda" else [target.index or 0],
        num_nodes=nodes,
        strategy=DDPStrategy(timeout=WAIT_AT_MOST) if several else "auto",
        precision="bf16-mixed",  # inside `half` alone
        plugins=environment,
    )
    parent = os.getppid()
    fabric.launch()
    started: list[subprocess.Popen[bytes]] = getattr(fabric.strategy.launcher, "procs", [])
    if started:
        atexit.register(_end, started)
    elif several and by_us:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    yield Processes(fabric)
    if several:
        distributed.destroy_process_group()


def _started_by(devices: int | None) -> tuple[ClusterEnvironment, int, int, bool]:
    """Who started this process, processes on this machine, machines, and whether we start them."""
    from lightning_fabric.plugins import environments

    told = os.environ
    if distributed.is_torchelastic_launched():
        local = int(told["LOCAL_WORLD_SIZE"])
        found: ClusterEnvironment = environments.TorchElasticEnvironment()
        nodes = int(told["WORLD_SIZE"]) // local
    elif int(told.get("SLURM_STEP_NUM_TASKS", "1")) > 1:
        nodes = int(told.get("SLURM_STEP_NUM_NODES", "1"))
        local = int(told["SLURM_STEP_NUM_TASKS"]) // nodes
        told.setdefault("SLURM_NTASKS_PER_NODE", str(local))
        found = environments.SLURMEnvironment(auto_requeue=False)
    else:
        return environments.LightningEnvironment(), devices or 1, 1, True
    if devices not in (None, local):
        raise UsageError(f"{local} processes were started, --devices {devices} came: leave it out")
    return found, local, nodes, False


def _end(started: list[subprocess.Popen[bytes]]) -> None:
    """Leave no process behind: one that waits for a message of this one would wait for ever."""
    for process in started:
        try:
            process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            process.returncode = 0  # Fabric's watch over them would kill this process for it


def _end_with(parent: int) -> None:
    """End this process when the one that started it has been killed."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
