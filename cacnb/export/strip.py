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

#: Side of the square in a panel's corner that shows the calcium magnified.
INSET_PX = 112

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
DARKEST_COLOUR = 0.45

CLINICAL_RGB = (86, 204, 242)
HEART_RGB = (190, 196, 204)
FRAME_RGB = (235, 238, 242)
BACKGROUND_RGB = (11, 13, 16)

#: Grey steps of a panel; more would only store the scan's noise more finely.
GREY_LEVELS = 64


@dataclass(frozen=True, eq=False)
class Layers:
    """What a strip shows, all of it (height, width) of one panel; `pixel_mm` is a panel's pixel.

    `heart` rises smoothly from 0 outside to 1 inside, `counted` is what the clinical score counts.
    """

    scan_hu: Floats
    healthy_hu: Floats
    map_hu: Floats
    heart: Floats
    counted: Mask
    pixel_mm: float


@dataclass(frozen=True, eq=False)
class Inset:
    """A place shown magnified: its layers, the square it comes from, the corner that it goes to.

    `source` is (top, left, side), `corner` (top, left), both in pixels of the panel.
    """

    layers: Layers
    source: tuple[int, int, int]
    corner: tuple[int, int]


def strip_png(layers: Layers, window_hu: tuple[float, float], inset: Inset | None = None) -> bytes:
    """A PNG: the scan, the map over it and the healthy image, in a window from low to high HU.

    On the first panel stand the outline of what the clinical score counted and a scale bar, on the
    second the outline of the heart.
    """
    panels = _panels(layers, window_hu)
    _draw_scale_bar(panels[0], layers.pixel_mm)
    if inset is not None:
        for panel, magnified in zip(panels, _panels(inset.layers, window_hu), strict=True):
            _draw_inset(panel, magnified, inset)
    gap = np.broadcast_to(np.asarray(BACKGROUND_RGB, np.float32), (PANEL_PX[0], GAP_PX, 3))
    strip = np.concatenate([panels[0], gap, panels[1], gap, panels[2]], axis=1)
    content = io.BytesIO()
    picture = Image.fromarray(np.rint(strip).astype(np.uint8))
    # A palette takes a third off the file and moves no colour by more than a few of 256 steps
    palette = picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    palette.save(content, "PNG", compress_level=7)
    return content.getvalue()


def map_colour(share: float) -> tuple[int, int, int]:
    """The overlay's colour for a map value as a share of `MAP_TOP_HU`, as (red, green, blue)."""
    red, green, blue = (round(float(c)) for c in _inferno(np.asarray([share]))[0])
    return red, green, blue


def _panels(layers: Layers, window_hu: tuple[float, float]) -> tuple[Pixels, Pixels, Pixels]:
    scan = grey(layers.scan_hu, window_hu)
    clinical = with_outline(scan, layers.counted)
    overlaid = with_map(_with_heart(scan, layers.heart), layers.map_hu)
    return clinical, overlaid, grey(layers.healthy_hu, window_hu)


def grey(hu: Floats, window_hu: tuple[float, float]) -> Pixels:
    """A panel (height, width) in HU as grey pixels in a window from low to high HU."""
    low, high = window_hu
    shade = np.clip((hu - low) / (high - low), 0.0, 1.0)
    stepped = np.rint(shade * (GREY_LEVELS - 1)) * (255.0 / (GREY_LEVELS - 1))
    return np.repeat(stepped[..., np.newaxis].astype(np.float32), 3, axis=2)


def with_outline(panel: Pixels, counted: Mask) -> Pixels:
    """The panel with a bright line around a mask, and a dark one around that for contrast."""
    once = ndimage.binary_dilation(counted)
    marked = _blended(panel, (0, 0, 0), 0.6 * (ndimage.binary_dilation(once) & ~once))
    return _blended(marked, CLINICAL_RGB, once & ~counted)


def _with_heart(panel: Pixels, heart: Floats) -> Pixels:
    """The panel with a thin smooth line where the heart passes one half."""
    slope = np.hypot(*np.gradient(heart))
    distance_px = np.abs(heart - 0.5) / np.maximum(slope, 1e-3)
    return _blended(panel, HEART_RGB, 0.7 * np.clip(1.2 - distance_px, 0.0, 1.0))


def with_map(panel: Pixels, map_hu: Floats) -> Pixels:
    """The panel with a CAC map in HU laid over it in colour."""
    share = np.clip(map_hu / MAP_TOP_HU, 0.0, 1.0)
    opacity = np.clip(map_hu / 20.0, 0.0, 1.0) * (0.7 + 0.3 * share)
    return _blended(panel, _inferno(share), opacity)


def _blended(panel: Pixels, rgb: Any, opacity: NDArray[Any]) -> Pixels:
    """The panel with a colour laid over it, `opacity` (height, width) from 0 to 1."""
    colour = np.asarray(rgb, dtype=np.float32)
    return np.asarray(panel + opacity[..., np.newaxis] * (colour - panel), dtype=np.float32)


def _inferno(share: NDArray[Any]) -> NDArray[np.float64]:
    place = (DARKEST_COLOUR + (1 - DARKEST_COLOUR) * share) * (len(INFERNO) - 1)
    steps = np.arange(len(INFERNO))
    channels = [np.interp(place, steps, [rgb[i] for rgb in INFERNO]) for i in range(3)]
    return np.stack(channels, axis=-1)


def _draw_scale_bar(panel: Pixels, pixel_mm: float) -> None:
    length = round(SCALE_BAR_MM / pixel_mm)
    panel[-13:-9, 11 : 13 + length] = 0.0
    panel[-12:-10, 12 : 12 + length] = FRAME_RGB


def _draw_inset(panel: Pixels, magnified: Pixels, inset: Inset) -> None:
    _draw_frame(panel, *inset.source, strength=0.5)
    top, left = inset.corner
    panel[top : top + INSET_PX, left : left + INSET_PX] = magnified
    _draw_frame(panel, top, left, INSET_PX, strength=0.8)


def _draw_frame(panel: Pixels, top: int, left: int, side: int, *, strength: float) -> None:
    square = np.zeros(panel.shape[:2], dtype=bool)
    square[max(top, 0) : top + side, max(left, 0) : left + side] = True
    panel[:] = _blended(panel, FRAME_RGB, strength * (square & ~ndimage.binary_erosion(square)))
