"""A grid's cells trained and held against the truth, each in a folder of its own: it goes on.

What begins alike is trained once; it chooses nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from math import isnan
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from cacnb.decomposition_view import best_f1
from cacnb.files import write_atomically
from cacnb.learning.checkpoint import CHECKPOINT
from cacnb.learning.device import open_device
from cacnb.learning.loop import Run
from cacnb.map_truth import MapTruth, hold_against_truth
from cacnb.prepared_slices import slice_store
from cacnb.run_log import STEPS
from cacnb.training import train_stage
from cacnb.training_watch import WatchPlan
from cacnb.tuning.grid import Cell, Grid
from cacnb.weights_from_runs import finished_run

#: File of a finished cell's figures, in its run's folder.
FIGURES = "figures.json"

#: Folder of what several cells have in common.
BEGINNINGS = "beginnings"

#: What a seed's row of the table holds beside detection and repeatability.
MAP_FIGURES = ("mass_r", "dice", "false_mass", "false_slices")


def run_grid(grid: Grid, out: Path, workers: int = 1) -> Iterator[str]:
    """Train and hold against the truth every cell that has no figures yet; yields their names.

    Cells that learn the same of known calcium first share that beginning. Several workers share the
    cores of the machine; with one, a cell has them all.
    """
    left = [cell for cell in grid.cells() if not (out / "runs" / cell.name / FIGURES).exists()]
    _prepare(grid)
    times = Counter(_beginning(cell) for cell in left)
    shared = {name for name, count in times.items() if name and count > 1}
    first = {_beginning(cell): partial(_begin, grid, cell, out) for cell in left}
    then = [partial(_finish, grid, cell, out, _beginning(cell) in shared) for cell in left]
    if workers == 1:
        for name in sorted(shared):
            first[name]()
        for finish in then:
            yield finish()
        return
    threads = max(1, torch.get_num_threads() // workers)
    pool = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=torch.set_num_threads,
        initargs=(threads,),
    )  # fmt: skip
    with pool:
        for begun in [pool.submit(first[name]) for name in sorted(shared)]:
            begun.result()
        for done in as_completed([pool.submit(finish) for finish in then]):
            yield done.result()


def _prepare(grid: Grid) -> None:
    """Cut the slices of all studies once, before several processes ask for them."""
    for study in (*grid.studies, grid.validation, *([grid.test] if grid.test else [])):
        slice_store([study], grid.recipe.store_px)


def _beginning(cell: Cell) -> str:
    """The name of what a cell learns first, as others may; empty where there is nothing."""
    return cell.beginning.name if cell.beginning is not None else ""


def _begin(grid: Grid, cell: Cell, out: Path) -> None:
    """Train what several cells have in common: known calcium, learned alone."""
    begun = cell.beginning or cell
    run = Run(out / BEGINNINGS / begun.name, resume=True, until=begun.recipe.warm_up)
    _train(grid, begun, run)


def _train(grid: Grid, cell: Cell, run: Run) -> float:
    """Train a cell as far as its run goes; returns its seconds, of all that it went on from."""
    watched = WatchPlan(validate_every=0, picture_every=0)
    studies = list(grid.studies)
    for _ in train_stage("decomposition", cell.recipe, studies, run, watched, grid.device):
        pass
    lines = (run.folder / STEPS).read_text(encoding="utf-8").splitlines()
    return float(json.loads(lines[-1])["seconds"])


def _finish(grid: Grid, cell: Cell, out: Path, shared: bool) -> str:
    """Train one cell to its end, from the shared beginning where it has one; write its figures."""
    folder = out / "runs" / cell.name
    if shared and not (folder / CHECKPOINT).exists():
        begun = out / BEGINNINGS / _beginning(cell)
        for name in (STEPS, CHECKPOINT):  # the checkpoint last: where it stands, the log does
            write_atomically((begun / name).read_bytes(), folder / name)
    seconds = _train(grid, cell, Run(folder, resume=True))
    device = open_device(grid.device)
    network = finished_run(folder, "decomposition").network.to(device)
    seen = hold_against_truth(network, cell.recipe, grid.validation, device)
    least = _least_mass(seen)
    figures: dict[str, Any] = {
        "seconds": seconds, "least_mass_hu_mm3": least,
        "validation": map_figures(seen, least),
    }  # fmt: skip
    if grid.test is not None:
        told = hold_against_truth(network, cell.recipe, grid.test, device)
        figures["test"] = map_figures(told, least)
        write_atomically(told.scans.to_csv(index=False), folder / "test_scans.csv")
    write_atomically(json.dumps(figures, indent=2), folder / FIGURES)
    return cell.name


def _least_mass(seen: MapTruth) -> float:
    """The least mass of a scan by the best F1 of the validation scans."""
    mass = seen.scans["mass_hu_mm3"].to_numpy(float)
    _, least = best_f1(mass, seen.scans["visible"].to_numpy(bool))
    return least


def map_figures(seen: MapTruth, least: float) -> dict[str, Any]:
    """What is told of a map beside its seconds; `least` is the least mass of a scan in HU·mm³."""
    found = {**{name: getattr(seen, name) for name in MAP_FIGURES}, **seen.figures(least)}
    return {name: None if value is None or isnan(value) else value for name, value in found.items()}
