"""Paint lesion regions (Figure 3B): where calcium lies and of which artery, without a threshold."""

from __future__ import annotations

from typing import Any

import numpy as np

from cacnb.labels.queue import Task
from cacnb.study.cohort import REGION_ARTERIES
from cacnb.ui.javascript import module
from cacnb.ui.picture import GREEN, ORANGE, SKY, Layer, Pane, Picture, Stack
from cacnb.ui.reading_room import ReadingRoom
from cacnb.ui.reading_study import OpenScan

#: The colour of each artery's label.
REGION_COLOURS = dict(zip(REGION_ARTERIES.values(), (ORANGE, SKY, GREEN), strict=True))


class RegionPainter(ReadingRoom):
    """A round brush of 1 cm in true millimetres, one colour an artery. Arguments as `ReadingRoom`.

    A region is kept slice by slice as runs of pixels on the scan's own grid;
    `cacnb study labels images` writes them as NIfTI and DICOM SEG.
    """

    _esm = module("region_painter")
    app = "paint"

    def __init__(self, *args: Any, **traits: Any) -> None:
        traits.setdefault("title", "Paint lesion regions")
        super().__init__(*args, **traits)

    def picture_of(self, task: Task, scan: OpenScan) -> Picture:
        """The scan under an empty layer, which the browser fills from the labels."""
        del task
        empty = scan.volume.with_array(np.zeros(scan.volume.shape, np.uint8))
        stack = Stack({"scan": scan.volume}, {"regions": Layer(empty, "labels", REGION_COLOURS)})
        return Picture((stack,), (Pane(layers=("regions",)),), (self.box_of(scan),))
