"""A run's folder as TensorBoard's event file; the run itself is only read."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from cacnb.errors import InputError, UsageError
from cacnb.run_log import STEPS, RunLog, Series


def write_tensorboard(run: Path, out: Path) -> int:
    """Write what a run logged as events for `tensorboard --logdir`; how many numbers there were.

    Loss terms go under `losses/`, numbers on validation slices under `validation/`, pictures under
    `pictures/`; the clock starts with the training, at 0.

    Parameters
    ----------
    run
        Folder of a training.
    out
        Folder for the event file, new or empty: a run written twice would be shown twice.

    Raises
    ------
    InputError
        `tensorboard_missing` without the extra `tensorboard`, `no_run` where nothing was logged.
    UsageError
        Where `out` holds something.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError as error:
        raise InputError(
            "tensorboard_missing", "TensorBoard is not installed: pip install 'cacnb[tensorboard]'"
        ) from error
    log = RunLog(run)
    while log.read():
        continue
    if not log.iteration:
        raise InputError("no_run", f"{run} has no {STEPS}: give the folder of a training")
    if out.exists() and any(out.iterdir()):
        raise UsageError(f"{out} is not empty: choose another folder for the event file")
    with SummaryWriter(str(out)) as writer:
        count = 0
        for group, series in (("losses", log.steps), ("validation", log.looks)):
            for name, at, seconds, value in _points(series):
                writer.add_scalar(f"{group}/{name}", value, at, walltime=seconds)
                count += 1
        seconds_at = dict(zip(*log.looks.get("seconds"), strict=True))
        for iteration in log.pictures:
            if (png := log.picture(iteration)) is not None:
                grey = np.asarray(Image.open(io.BytesIO(png)))
                clock = float(seconds_at.get(iteration, 0.0))
                writer.add_image(
                    "pictures/validation slices", grey, iteration, walltime=clock, dataformats="HW"
                )
    return count


def _points(series: Series) -> list[tuple[str, int, float, float]]:
    """Name, iteration, seconds and value of everything in a series."""
    clock = dict(zip(*series.get("seconds"), strict=True))
    return [
        (name, int(at), float(clock.get(at, 0.0)), float(value))
        for name in series.values
        if name != "seconds"
        for at, value in zip(*series.get(name), strict=True)
    ]
