"""Which reader a kernel was handed to, and when that reader last did something; no names shown."""

from __future__ import annotations

import time
from pathlib import Path

from cacnb.files import write_atomically


class KernelOwners:
    """The readers of the kernels, for the login, the culling and the kernels themselves.

    Parameters
    ----------
    folder
        Where a kernel finds its reader's name under its own id; None where no proxy names readers.

    Example
    -------
    >>> owners = KernelOwners(None)
    >>> owners.give("kernel-1", "reader a")
    >>> owners.owns("reader a", "kernel-1"), owners.owns("reader b", "kernel-1")
    (True, False)
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._reader: dict[str, str] = {}
        self._active_s: dict[str, float] = {}

    def give(self, kernel: str, reader: str) -> None:
        """Hand a kernel to a reader, before the page learns of the kernel."""
        self._reader[kernel] = reader
        self.seen(kernel)
        if self._folder is not None:
            write_atomically(reader, self._folder / kernel)

    def owns(self, reader: str, kernel: str) -> bool:
        """Whether a kernel was handed to this reader; one still in the pool is nobody's."""
        return self._reader.get(kernel) == reader

    def seen(self, kernel: str) -> None:
        """Note that the kernel's reader does something now."""
        self._active_s[kernel] = time.monotonic()

    def idle_s(self, kernel: str) -> float | None:
        """Seconds since the kernel's reader did something; None for a kernel without a reader."""
        active_s = self._active_s.get(kernel)
        return None if active_s is None else time.monotonic() - active_s

    def forget(self, kernel: str) -> None:
        """Drop what was noted of a kernel that has ended."""
        self._reader.pop(kernel, None)
        self._active_s.pop(kernel, None)
        if self._folder is not None:
            (self._folder / kernel).unlink(missing_ok=True)
