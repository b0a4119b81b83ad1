"""Three panels of one slice side by side as a PNG; it does not know which slice, or why."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Floats = NDArray[np.float32]
Pixels = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: One panel in pixels (height, width); three of them and two gaps make a strip.
PANEL_PX = (264, 352)
GAP_PX = 6

#: Length of the scale bar in mm.
SCALE_BAR_MM = 20

#: Map values from this on have the brightest colour.
MAP_TOP_HU = 500.0

#: Nine evenly spaced colours of matplotlib's `inferno`, which stays ordered for the colour-blind.
INFERNO = (
    (0, 0, 4), (31, 12, 72), (85, 15, 109), (136, 34, 106), (186, 54, 85),
    (227, 89, 51), (249, 140, 10), (249, 201, 50), (252, 255, 164),
)  # fmt: skip

#: The part of `inferno` that stands out from a dark image begins here.
DARKEST_COLOUR = 0.4

CLINICAL_RGB = (86, 204, 242)
HEART_RGB = (190, 196, 204)
BACKGROUND_RGB = (11, 13, 16)

#: Grey steps of a panel; more would only store the scan's noise more finely.
GREY_LEVELS = 64


@dataclass(frozen=True, eq=False)
class Layers:
    """What a strip shows, all of it (height, width) of one panel; `pixel_mm` is a panel's pixel."""

    scan_hu: Floats
    healthy_hu: Floats
    map_hu: Floats
    heart: Mask
    counted: Mask
    pixel_mm: float


def strip_png(layers: Layers, window_hu: tuple[float, float]) -> bytes:
    """A PNG: the scan, the map over it and the healthy image, in a window from low to high HU.

    On the first panel stand the outline of what the clinical score counted and a scale bar, on the
    second the outline of the heart.
    """
    plain = _grey(layers.scan_hu, window_hu)
    first = _outlined(plain, layers.counted, CLINICAL_RGB)
    first = _with_scale_bar(first, layers.pixel_mm)
    second = _outlined(plain, layers.heart, HEART_RGB, strength=0.55)
    second = _with_map(second, layers.map_hu)
    third = _grey(layers.healthy_hu, window_hu)
    gap = np.broadcast_to(np.asarray(BACKGROUND_RGB, np.float32), (PANEL_PX[0], GAP_PX, 3))
    strip = np.concatenate([first, gap, second, gap, third], axis=1)
    content = io.BytesIO()
    Image.fromarray(np.rint(strip).astype(np.uint8)).save(content, "PNG", optimize=True)
    return content.getvalue()


def map_colour(share: float) -> tuple[int, int, int]:
    """The overlay's colour for a map value as a share of `MAP_TOP_HU`, as (red, green, blue)."""
    red, green, blue = (round(float(c)) for c in _inferno(np.asarray([share]))[0])
    return red, green, blue


def _grey(hu: Floats, window_hu: tuple[float, float]) -> Pixels:
    low, high = window_hu
    shade = np.clip((hu - low) / (high - low), 0.0, 1.0)
    stepped = np.rint(shade * (GREY_LEVELS - 1)) * (255.0 / (GREY_LEVELS - 1))
    return np.repeat(stepped[..., np.newaxis].astype(np.float32), 3, axis=2)


def _outlined(
    panel: Pixels, mask: NDArray[np.bool_], rgb: tuple[int, int, int], *, strength: float = 1.0
) -> Pixels:
    """The panel with a line of one pixel around a mask."""
    line = ndimage.binary_dilation(mask) & ~mask
    marked = panel.copy()
    marked[line] += strength * (np.asarray(rgb, np.float32) - marked[line])
    return marked


def _with_map(panel: Pixels, map_hu: Floats) -> Pixels:
    share = np.clip(map_hu / MAP_TOP_HU, 0.0, 1.0)
    opacity = np.clip(map_hu / 20.0, 0.0, 1.0) * (0.6 + 0.4 * share)
    blended = panel + opacity[..., np.newaxis] * (_inferno(share) - panel)
    return np.asarray(blended, dtype=np.float32)


def _inferno(share: NDArray[Any]) -> NDArray[np.float64]:
    place = (DARKEST_COLOUR + (1 - DARKEST_COLOUR) * share) * (len(INFERNO) - 1)
    steps = np.arange(len(INFERNO))
    channels = [np.interp(place, steps, [rgb[i] for rgb in INFERNO]) for i in range(3)]
    return np.stack(channels, axis=-1)


def _with_scale_bar(panel: Pixels, pixel_mm: float) -> Pixels:
    length = round(SCALE_BAR_MM / pixel_mm)
    marked = panel.copy()
    marked[-13:-9, 11 : 13 + length] = 0.0
    marked[-12:-10, 12 : 12 + length] = 235.0
    return marked
