"""The apps as the notebooks in `apps/` open them; each shows one widget and no more."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from IPython.display import display

from cacnb.errors import CacnbError, UsageError
from cacnb.ui.reading_room import ReadingRoom, plan_from


def label_slices() -> None:
    """Show the labeller of the study that is served."""
    from cacnb.ui.labeller import Labeller

    _show(Labeller)


def paint_regions() -> None:
    """Show the region painter of the study that is served."""
    from cacnb.ui.region_painter import RegionPainter

    _show(RegionPainter)


def score_clinically() -> None:
    """Show the lesion picker of the study that is served."""
    from cacnb.ui.lesion_picker import LesionPicker

    _show(LesionPicker)


def review_maps() -> None:
    """Show the map review of the study that is served."""
    from cacnb.ui.map_review import MapReview

    _show(MapReview)


def training_monitor() -> None:
    """Show the monitor of the training runs that are served."""
    from cacnb.ui.training_monitor import TrainingMonitor

    try:
        runs: list[str] = json.loads(os.environ.get("CACNB_RUNS") or "[]")
        if not runs:
            raise UsageError("no run was named: start with `cacnb serve monitor --run DIR`")
        display(TrainingMonitor(*runs))  # type: ignore[no-untyped-call]
    except CacnbError as error:
        display({"text/plain": f"cacnb: {error}"}, raw=True)  # type: ignore[no-untyped-call]


def _show(kind: type[ReadingRoom]) -> None:
    """Open the study named in CACNB_STUDY for the reader whom the server knows, if it knows one."""
    from cacnb.serving.reader import reader_name

    try:
        study = os.environ.get("CACNB_STUDY")
        if not study:
            raise UsageError("no study was named: start with `cacnb serve … --study DIR`")
        options: dict[str, Any] = json.loads(os.environ.get("CACNB_OPTIONS") or "{}")
        display(kind(Path(study), reader_name, plan_from(options)))  # type: ignore[no-untyped-call]
    except CacnbError as error:
        display({"text/plain": f"cacnb: {error}"}, raw=True)  # type: ignore[no-untyped-call]
