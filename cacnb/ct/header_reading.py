"""Headers of many files, on all cores where that pays; it does not know what is done with them.

Reading a header is waiting for the disk and parsing. A few threads wait together; the interpreter
parses on one core, so with many files one worker process for every other core reads too. The
workers are programs of their own (`cacnb.ct.header_worker`) that get names and give JSON:
no fork of a process with running threads, no second run of the caller's script, and a worker that
dies loses nothing, for its files are then read here.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import IO

from cacnb.ct.dicom_headers import SliceHeader, read_header

#: What became of one file: its header, None where it is not DICOM, or why it cannot be read.
Read = SliceHeader | None | ValueError | OSError
#: The same as it travels between processes.
Wire = list[object] | dict[str, object] | None
#: Called with the number of headers read, of all, and what is being done.
Progress = Callable[[int, int, str], None]

#: Below this many files the workers' start takes longer than they save.
FEWEST_FOR_WORKERS = 3000
MOST_WORKERS = 16
#: Threads of this process: on a disk that answers late they wait together.
THREADS = 4
_CHUNK = 64

_values_of = attrgetter(*(field.name for field in fields(SliceHeader)))


def read_headers(
    paths: Sequence[Path], on_progress: Progress | None = None, *, workers: int | None = None
) -> list[Read]:
    """The header of every file, in the order of the paths; never raises for what a file holds."""
    if workers is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        workers = min(cores or 1, MOST_WORKERS) if len(paths) >= FEWEST_FOR_WORKERS else 1
    tell = on_progress or (lambda *_: None)
    chunks = [paths[i : i + _CHUNK] for i in range(0, len(paths), _CHUNK)]
    results: list[list[Read]] = [[] for _ in chunks]
    todo = iter(enumerate(chunks))
    lock = threading.Lock()
    done = 0

    def work(process: subprocess.Popen[bytes] | None) -> None:
        nonlocal done
        while True:
            with lock:
                number, chunk = next(todo, (-1, []))
            if number < 0:
                return
            found = None if process is None else _ask(process, chunk)
            if found is None:
                process, found = None, [read_one(path) for path in chunk]
            results[number] = found
            with lock:
                done += len(chunk)
                tell(done, len(paths), "headers")

    with _worker_processes(workers - 1) as processes:
        beside = [*processes, *[None] * (min(THREADS, len(chunks)) - 1)]
        threads = [threading.Thread(target=work, args=(one,), daemon=True) for one in beside]
        for thread in threads:
            thread.start()
        work(None)
        for thread in threads:
            thread.join()
    return [read for chunk in results for read in chunk]


def read_one(path: Path) -> Read:
    """The header of one file, or the error that it makes."""
    try:
        return read_header(path)
    except (ValueError, OSError) as error:
        return error
    except Exception:  # one file must not lose the others of its chunk
        return ValueError("the header breaks the parser")


def to_wire(read: Read) -> Wire:
    """What became of a file as JSON can hold it."""
    if isinstance(read, SliceHeader):
        return [str(read.path), *_values_of(read)[1:]]
    if isinstance(read, OSError):
        return {"errno": read.errno, "why": read.strerror or str(read)}
    return None if read is None else {"why": str(read)}


def from_wire(wire: Wire, path: Path) -> Read:
    """What `to_wire` was given, of the file of a path."""
    if isinstance(wire, list):
        values = (tuple(value) if isinstance(value, list) else value for value in wire[1:])
        return SliceHeader(path, *values)  # type: ignore[arg-type]
    if wire is None:
        return None
    why = str(wire["why"])
    return OSError(wire["errno"], why) if "errno" in wire else ValueError(why)


def send(stream: IO[bytes], value: object) -> None:
    """Write one value, its length before it."""
    data = json.dumps(value).encode()
    stream.write(struct.pack("<Q", len(data)) + data)
    stream.flush()


def receive(stream: IO[bytes]) -> object:
    """Read one value that `send` wrote; raises EOFError where the other side is gone."""
    head = stream.read(8)
    if len(head) < 8:
        raise EOFError
    (length,) = struct.unpack("<Q", head)
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    found: object = json.loads(data)
    return found


@contextmanager
def _worker_processes(number: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many worker processes, which end with the block."""
    call = [sys.executable, "-m", "cacnb.ct.header_worker"]
    place = str(Path(__file__).resolve().parents[2])
    known = os.environ.get("PYTHONPATH")
    environment = os.environ | {"PYTHONPATH": f"{place}{os.pathsep}{known}" if known else place}
    with ExitStack() as stack:
        processes = []
        for _ in range(number):
            process = subprocess.Popen(  # noqa: S603  the call is made of our own names
                call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
            )
            stack.callback(_end, process)
            processes.append(process)
        yield processes


def _end(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):  # a worker that is gone has closed the other end
                stream.close()
    process.wait()


def _ask(process: subprocess.Popen[bytes], chunk: Sequence[Path]) -> list[Read] | None:
    """A worker's answer for a chunk, or None where the worker is gone."""
    if process.stdin is None or process.stdout is None:
        return None
    try:
        send(process.stdin, [str(path) for path in chunk])
        answer = receive(process.stdout)
    except (OSError, EOFError, ValueError):
        return None
    if not isinstance(answer, list) or len(answer) != len(chunk):
        return None
    return [from_wire(wire, path) for wire, path in zip(answer, chunk, strict=True)]
