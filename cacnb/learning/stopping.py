"""A scheduler's wish that a training ends soon; it does not know what a training is."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from cacnb.errors import CacnbError

#: What a scheduler sends before it ends a job: SLURM's `--signal` and `scancel`, `torchrun`.
ASKS_TO_STOP = (signal.SIGTERM, signal.SIGUSR1)


class StoppedError(CacnbError):
    """A training ended early because it was asked to; it can go on."""

    exit_status = 128 + signal.SIGTERM


@dataclass
class Asked:
    """Whether a signal came, and which."""

    by: signal.Signals | None = None


@contextmanager
def heard(listen: bool) -> Iterator[Asked]:
    """While it lasts, `ASKS_TO_STOP` end no process but are noted; only in the main thread."""
    asked = Asked()
    if not listen:
        yield asked
        return

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        asked.by = signal.Signals(number)

    before = {number: signal.signal(number, note) for number in ASKS_TO_STOP}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
