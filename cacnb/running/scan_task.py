"""One scan of a study, scored and written once wherever it runs; it does not know the others."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import SimpleITK
import torch

from cacnb.errors import InputError
from cacnb.learning.weights import Weights, load_weights
from cacnb.pipeline import score_scan
from cacnb.results import write_results
from cacnb.running.scan_files import Outcome, find_result, forget


@dataclass(frozen=True)
class ScanTask:
    """What a worker needs to know to score a scan; `threads` None leaves the process's own."""

    scan: str
    path: Path
    folder: Path
    weights: str
    weights_sha256: str
    device: str
    threads: int | None = None


@dataclass(frozen=True)
class Halt:
    """Why no scan can be scored here: the weights, the device or the disk are at fault."""

    code: str
    message: str


def run_task(task: ScanTask) -> Outcome | Halt:
    """Score a scan and write its results, unless a whole result of these weights is there already.

    What goes wrong with one scan is its outcome: the study goes on.
    """
    try:
        weights = _loaded(task)
    except InputError as error:
        return Halt(error.code, error.message)
    try:
        found = find_result(task.folder, task.scan, task.weights_sha256)
        if found.state != "whole":
            scored = score_scan(task.path, weights, name=task.scan)
            # A worker that was taken for dead may have come before this one.
            found = find_result(task.folder, task.scan, task.weights_sha256)
            if found.state != "whole":
                forget(task.folder, task.scan)
                write_results(scored, task.folder)
                found = find_result(task.folder, task.scan, task.weights_sha256)
    except InputError as error:
        if error.code == "cannot_write":
            return Halt(error.code, error.message)
        return Outcome(task.scan, "failed", error.code, error.message)
    except Exception as error:  # a defect that one scan shows must not end the study
        return Outcome(task.scan, "failed", "crashed", _crash(error, task))
    return found.outcome(task.scan)


def _loaded(task: ScanTask) -> Weights:
    """The weights, loaded once a process, and the process's threads as the task wants them."""
    if task.threads is not None:
        torch.set_num_threads(task.threads)
        SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(task.threads)
    weights = _load_once(task.weights, task.device)
    if weights.sha256 != task.weights_sha256:
        raise InputError(
            "weights_changed",
            f"the weights {task.weights!r} changed while the study was scored: call again, and "
            "the scans that the others scored are scored again",
        )
    return weights


@lru_cache(maxsize=1)
def _load_once(name: str, device: str) -> Weights:
    return load_weights(name, device)


def _crash(error: Exception, task: ScanTask) -> str:
    """Where a defect showed; not what the error said, which may quote a header."""
    frames = traceback.extract_tb(error.__traceback__)
    at = frames[-1] if frames else None
    ours = next((f for f in reversed(frames) if "cacnb" in Path(f.filename).parts), at)
    where = f" at {Path(ours.filename).name}:{ours.lineno}" if ours else ""
    return f"{type(error).__name__}{where}: see `cacnb --debug score {task.scan} --study …`"
