"""A picture of calcium put into a real scan: before, after, difference; it inserts nothing."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cacnb.ct.volume import Volume
from cacnb.export.slice_pictures import SOFT_TISSUE_WINDOW_HU
from cacnb.simulation.scan import SimulatedScan

#: The panels of a row: title, window in HU.
PANELS = (
    ("real scan, 40/400 HU", SOFT_TISSUE_WINDOW_HU),
    ("simulated calcium in it, 40/400 HU", SOFT_TISSUE_WINDOW_HU),
    ("the same, -50 to 950 HU", (-50.0, 950.0)),
    ("difference, -100 to 300 HU", (-100.0, 300.0)),
)

#: Side of a panel in pixels, room around the heart in mm, and height of a title in pixels.
PANEL_PX, MARGIN_MM, TITLE_PX = 380, 12.0, 24

#: Rows shown at most, at least so far apart along z.
ROWS, APART_MM = 3, 8.0


def insertion_picture(before: Volume, after: SimulatedScan) -> bytes:
    """A PNG of the slices with most inserted calcium, first one of each artery, head first.

    `before` is the scan without calcium, HU on the grid of `after`.
    """
    rows = _slices(after)
    side = PANEL_PX
    picture = Image.new("L", (side * len(PANELS), (side + TITLE_PX) * len(rows)), 0)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(15)
    box = _box(after.heart)
    planes = {k: after.image.array[k].astype(np.float32) for k in rows}
    for row, k in enumerate(rows):
        top = row * (side + TITLE_PX)
        was = before.array[k].astype(np.float32)
        shown = (was, planes[k], planes[k], planes[k] - was)
        for column, ((title, window), plane) in enumerate(zip(PANELS, shown, strict=True)):
            picture.paste(_panel(plane, window, box), (column * side, top + TITLE_PX))
            draw.text((column * side + 6, top + 3), title, fill=255, font=font)
    file = BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def _slices(scan: SimulatedScan) -> list[int]:
    """The slice with most of each artery's calcium, then those with most of all, from the head."""
    amounts = [volume.array.sum(axis=(1, 2)) for volume in scan.calcium.values()]
    amounts = sorted(amounts, key=lambda amount: -float(amount.max()))
    total = np.sum(amounts, axis=0)
    apart = max(1, round(APART_MM / scan.image.spacing_mm[0]))
    chosen: list[int] = []
    wanted = [int(a.argmax()) for a in amounts if a.any()] + np.argsort(-total).tolist()
    for k in wanted:
        far = all(abs(k - other) >= apart for other in chosen)
        if far and total[k] >= 0.05 * total.max() > 0 and len(chosen) < ROWS:
            chosen.append(int(k))
    return sorted(chosen, reverse=True) or [scan.image.shape[0] // 2]


def _box(heart: Volume) -> tuple[float, float, float, float]:
    """Left, top, right and bottom in pixels of a square around the heart."""
    _, dy, dx = heart.spacing_mm
    where = np.argwhere(heart.array.any(axis=0))
    low, high = where.min(axis=0), where.max(axis=0) + 1
    middle = (low + high) / 2
    half = float(((high - low) * (dy, dx)).max()) / 2 + MARGIN_MM
    y, x = middle
    return x - half / dx, y - half / dy, x + half / dx, y + half / dy


def _panel(
    plane: NDArray[Any], window: tuple[float, float], box: tuple[float, float, float, float]
) -> Image.Image:
    low, high = window
    grey = Image.fromarray(((plane - low) / (high - low) * 255).astype(np.float32))
    smooth = Image.Resampling.BICUBIC
    # Padded by cropping, which takes what lies outside the scan as 0: black.
    left, top, right, bottom = (round(edge) for edge in box)
    square = grey.crop((left, top, right, bottom)).resize((PANEL_PX, PANEL_PX), smooth)
    return Image.fromarray(np.clip(np.asarray(square), 0, 255).astype(np.uint8))
