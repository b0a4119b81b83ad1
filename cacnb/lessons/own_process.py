"""A process that outlives the one that starts it, one at a time in a folder; not what it does."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from cacnb.files import or_cannot_write

#: Jupyter sets these for its kernels; a process that writes to a file says nothing for a terminal.
FOR_TERMINALS = ("FORCE_COLOR", "CLICOLOR_FORCE", "CLICOLOR")


def is_running(lock: Path) -> bool:
    """Whether a process holds a lock, whoever started it; whether it was killed does not matter."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def number_of(lock: Path) -> int | None:
    """The number of the process that holds a lock; None where it is not written yet."""
    try:
        return int(lock.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def start_once(command: list[str], lock: Path, log: Path, wanted: Callable[[], bool]) -> None:
    """Start a process that holds a lock until it ends, unless one does so already.

    It is the first of a session of its own, so that no interrupt and no restart of a notebook's
    kernel reaches it.

    Parameters
    ----------
    command
        Its first word is the path of a program.
    lock, log
        Files, made where they are missing: what is held locked, with the process's number in it,
        and what the process says, written anew.
    wanted
        Asked once the lock is held: whether there is still anything to do.

    Raises
    ------
    InputError
        `cannot_write` where the folder of the files cannot be made or written.
    """
    with or_cannot_write(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if wanted():
            number = _spawned(command, held, log)
            os.ftruncate(held, 0)
            os.pwrite(held, str(number).encode(), 0)
    except BlockingIOError:
        pass  # one runs already
    finally:
        os.close(held)


def _spawned(command: list[str], held: int, log: Path) -> int:
    """The number of the new process; `subprocess` would warn of one that is left running."""
    environment = {key: value for key, value in os.environ.items() if key not in FOR_TERMINALS}
    # a sentence stays on one line
    environment |= {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "2000"}
    os.set_inheritable(held, True)
    new = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), new, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    # by way of env: JupyterLab's debugger, where it is on, would debug a Python started directly
    through = ["/usr/bin/env", *command]
    return os.posix_spawn(through[0], through, environment, file_actions=files, setsid=True)
