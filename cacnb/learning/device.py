"""What a device does fast, and how much it holds; it knows no network, no loss and no data."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier
from typing import TypeVar

import torch
from torch import distributed

from cacnb.errors import InputError

A = TypeVar("A")
B = TypeVar("B")

CPU = torch.device("cpu")

#: Share of a GPU's free memory that slices may take: the rest is for networks and activations.
ROOM_FOR_SLICES = 0.5


def runs_bfloat16(device: torch.device) -> bool:
    """Whether a device has units for bfloat16; without them it is slower there than in float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    told = torch.cpu.get_capabilities()
    return bool(told.get("amx_bf16") or told.get("avx512_bf16") or told.get("bf16"))


def room_for_slices(device: torch.device) -> int:
    """Bytes that prepared slices may take on a device; 0 for a CPU, which maps them from disk."""
    if device.type != "cuda":
        return 0
    free, _ = torch.cuda.mem_get_info(device)
    return int(ROOM_FOR_SLICES * free)


def side_by_side(
    first: Callable[[], A], second: Callable[[], B], device: torch.device
) -> tuple[A, B]:
    """Two pieces of work that touch nothing of each other, at once on the cores of a CPU.

    Each has half of torch's threads to itself, so that none waits for another after every layer:
    two networks of a CycleGAN keep two cores busier than one network spread over both. Elsewhere,
    with one thread, and among several processes, whose messages must come in one order, one after
    the other. What comes out does not depend on who is first.

    Example
    -------
    >>> side_by_side(lambda: 1, lambda: 2, torch.device("cpu"))
    (1, 2)
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads < 2 or _among_others():
        return first(), second()
    halves = _halves(threads // 2)
    one, other = halves.submit(first), halves.submit(second)
    return one.result(), other.result()


def _among_others() -> bool:
    return distributed.is_available() and distributed.is_initialized()


@cache
def _halves(threads: int) -> ThreadPoolExecutor:
    """Two workers of so many of torch's threads each."""
    all_of_them = torch.get_num_threads()

    def begin() -> None:
        torch.get_num_threads()  # a thread asked for the first time takes the number of all
        torch.set_num_threads(threads)

    pool = ThreadPoolExecutor(2, thread_name_prefix="half", initializer=begin)
    started = Barrier(2)
    list(pool.map(lambda _: started.wait(), range(2)))
    torch.set_num_threads(all_of_them)  # a worker's number also became that of new threads
    return pool


def open_device(name: str) -> torch.device:
    """The device of a name, such as `cuda:1`, that holds a tensor; else InputError `no_device`."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise InputError(
            "no_device", f"the device {name!r} cannot be used here: try --device cpu"
        ) from error
    return device
