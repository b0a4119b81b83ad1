"""`steps.jsonl` as a training writes it: a line a step, on disk within a second; no network."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

from cacnb.files import or_cannot_write, write_atomically

#: Seconds after which a logged step is on disk at the latest, for whoever watches.
FLUSH_AFTER_S = 1.0


@dataclass
class StepLog:
    """Lines that wait until they are flushed; of several processes only the first writes them."""

    path: Path
    writes: bool = True
    flushed: float = field(default_factory=time.monotonic)
    waiting: list[str] = field(default_factory=list)

    def add(self, iteration: int, losses: dict[str, float], seconds: float, samples: int) -> None:
        """A step, flushed where the last flush was long ago."""
        row = {"iteration": iteration, **losses}
        self.waiting.append(json.dumps({**row, "seconds": round(seconds, 3), "samples": samples}))
        if time.monotonic() - self.flushed > FLUSH_AFTER_S:
            self.flush()

    def flush(self) -> None:
        """Write the lines that wait.

        Raises
        ------
        InputError
            `cannot_write` where the disk is full; what waited is not tried again.
        """
        lines, self.waiting = self.waiting, []
        self.flushed = time.monotonic()
        if not (lines and self.writes):
            return
        with or_cannot_write(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write("".join(f"{line}\n" for line in lines))

    def seconds(self) -> float:
        """Seconds of training that the last step came after; 0 for a new run or an old log."""
        if not self.path.exists():
            return 0.0
        with self.path.open("rb") as lines:
            lines.seek(max(0, self.path.stat().st_size - 4096))
            last = lines.read().splitlines()[-1:]
        return float(json.loads(last[0]).get("seconds", 0.0)) if last else 0.0

    def cut(self, reached: int) -> None:
        """Drop the steps after a checkpoint: they will be trained again."""
        if self.path.exists():
            kept = self.path.read_text(encoding="utf-8").splitlines()[:reached]
            write_atomically("".join(f"{line}\n" for line in kept), self.path)
