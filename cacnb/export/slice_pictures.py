"""The slices of a scan that matter and their pictures; it does not know the page they are on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from cacnb.ct.grids import NETWORK_WINDOW_HU, OUTSIDE_HU
from cacnb.ct.volume import Volume
from cacnb.export.strip import INSET_PX, PANEL_PX, Floats, Inset, Layers, Mask, strip_png
from cacnb.scoring.cac_map import healthy_image
from cacnb.scoring.lesions import bounding_box
from cacnb.scoring.scored_scan import ScoredScan

#: The usual soft-tissue window, centre 40 HU and width 400 HU, as its two ends.
SOFT_TISSUE_WINDOW_HU = (-160.0, 240.0)

#: At most this many slices of a scan are shown, each at least so far from the others.
SLICES_SHOWN = 4
SLICE_GAP_MM = 4.5

#: Room around the heart, and the side of the place that is shown magnified, in mm.
MARGIN_MM = 10.0
INSET_MM = 22.0

#: Smooths the steps of the heart mask's voxels out of its outline, in pixels of the picture.
HEART_LINE_SIGMA_PX = 2.0


@dataclass(frozen=True, eq=False)
class SlicePictures:
    """One slice as two strips of three panels: the scan, the CAC map over it, the healthy image.

    `network_png` is in the network's window, `soft_tissue_png` in the soft-tissue window, on one
    field of view. `map_share` is the part of the map's sum that lies in this slice, `map_hu_mm3`
    its pseudo-mass, `clinical_voxels` how many voxels of it the clinical score counted.
    `probability_of_cac` is NaN where no classifier looked.
    """

    index: int
    z_mm: float
    probability_of_cac: float
    map_hu_mm3: float
    map_share: float
    clinical_voxels: int
    network_png: bytes
    soft_tissue_png: bytes


def slice_pictures(scan: ScoredScan) -> list[SlicePictures]:
    """Pictures of the slices that matter of a scored scan, from head to feet; [] without a map."""
    if scan.image is None or scan.cac_map is None:
        return []
    mass = _per_slice(scan.cac_map)
    counted = _per_slice(scan.clinical_labels)
    box = _field_of_view(scan.image, scan.heart)
    healthy = healthy_hu(scan.image, scan.cac_map)
    pictures = []
    for k in sorted(slices_that_matter(scan), reverse=True):
        probability = scan.probability_of_cac
        layers = layers_of(scan, healthy, k, box)
        inset = _inset(scan, healthy, k, box, layers.heart > 0.5)
        pictures.append(
            SlicePictures(
                index=k,
                z_mm=float(scan.image.axis_mm(0)[k]),
                probability_of_cac=float("nan") if probability is None else float(probability[k]),
                map_hu_mm3=float(mass[k]) * scan.image.voxel_volume_mm3,
                map_share=float(mass[k] / mass.sum()) if mass.any() else 0.0,
                clinical_voxels=int(counted[k]) if counted.size else 0,
                network_png=strip_png(layers, NETWORK_WINDOW_HU, inset),
                soft_tissue_png=strip_png(layers, SOFT_TISSUE_WINDOW_HU, inset),
            )
        )
    return pictures


def slices_that_matter(scan: ScoredScan) -> list[int]:
    """The slices with most of the CAC map, then those with most of the clinical score.

    At most `SLICES_SHOWN`, each `SLICE_GAP_MM` or more from the others; the slice in the middle of
    the heart where neither method counted anything.
    """
    if scan.image is None:
        return []
    chosen: list[int] = []
    gap = max(1, round(SLICE_GAP_MM / scan.image.spacing_mm[0]))
    for amount in (_per_slice(scan.cac_map), _per_slice(scan.clinical_labels)):
        for k in np.argsort(-amount, kind="stable"):
            far = all(abs(int(k) - other) >= gap for other in chosen)
            if amount[k] > 0 and far and len(chosen) < SLICES_SHOWN:
                chosen.append(int(k))
    if chosen:
        return chosen
    in_heart = np.flatnonzero(_per_slice(scan.heart))
    return [int(in_heart[in_heart.size // 2]) if in_heart.size else scan.image.shape[0] // 2]


@dataclass(frozen=True)
class Box:
    """A field of view: first pixel and size along (y, x) in pixels, and how large it is drawn."""

    start: tuple[float, float]
    size: tuple[float, float]
    drawn_px: tuple[int, int]


def _per_slice(volume: Volume | None) -> NDArray[np.float64]:
    """(z,) sums of a map, or voxels of a mask or of labels; empty without a volume."""
    if volume is None:
        return np.zeros(0)
    array: NDArray[Any] = volume.array
    counted = array if array.dtype.kind == "f" else array > 0
    return np.asarray(counted.sum(axis=(1, 2), dtype=np.float64))


def healthy_hu(image: Volume, cac_map: Volume) -> NDArray[Any]:
    """(z, y, x) HU of a scan without its calcium, the scan itself where the map is empty."""
    # Only where calcium is taken away: elsewhere the network's window would turn lungs grey
    without: NDArray[Any] = healthy_image(image, cac_map).array
    values: NDArray[Any] = cac_map.array
    return np.where(values > 0, without, image.array)


def _field_of_view(image: Volume, heart: Volume | None) -> Box:
    """The heart with a margin, widened to the shape of a panel; the whole slice without a heart."""
    _, height, width = image.shape
    found = None if heart is None else bounding_box(np.asarray(heart.array, dtype=bool))
    y, x = (slice(0, height), slice(0, width)) if found is None else found[1:]
    step_y, step_x = image.spacing_mm[1:]
    margin = 0.0 if found is None else 2 * MARGIN_MM
    height_mm = (y.stop - y.start) * step_y + margin
    width_mm = (x.stop - x.start) * step_x + margin
    aspect = PANEL_PX[1] / PANEL_PX[0]
    width_mm, height_mm = max(width_mm, height_mm * aspect), max(height_mm, width_mm / aspect)
    size = (height_mm / step_y, width_mm / step_x)
    start = ((y.start + y.stop - size[0]) / 2, (x.start + x.stop - size[1]) / 2)
    return Box(start, size, PANEL_PX)


def _inset(scan: ScoredScan, healthy: NDArray[Any], k: int, box: Box, heart: Mask) -> Inset | None:
    """The place of most calcium in a slice, magnified where it hides least of the heart."""
    centre = _brightest(scan.cac_map, k) or _brightest(scan.clinical_labels, k)
    if centre is None or scan.image is None:
        return None
    size = (INSET_MM / scan.image.spacing_mm[1], INSET_MM / scan.image.spacing_mm[2])
    near = Box(
        (centre[0] + 0.5 - size[0] / 2, centre[1] + 0.5 - size[1] / 2), size, (INSET_PX, INSET_PX)
    )
    per_px = PANEL_PX[1] / box.size[1]
    top, left = (
        round((start - first) * drawn / whole)
        for start, first, drawn, whole in zip(
            near.start, box.start, PANEL_PX, box.size, strict=True
        )
    )
    source = (top, left, round(size[1] * per_px))
    corners = [
        (0, 0),
        (0, PANEL_PX[1] - INSET_PX),
        (PANEL_PX[0] - INSET_PX, PANEL_PX[1] - INSET_PX),
    ]
    hidden = [_hidden(heart, source, corner) for corner in corners]
    return Inset(layers_of(scan, healthy, k, near), source, corners[int(np.argmin(hidden))])


def _brightest(volume: Volume | None, k: int) -> tuple[int, int] | None:
    """(y, x) where a map is largest in a slice, or the middle of a mask there; None if all is 0."""
    if volume is None:
        return None
    values: NDArray[Any] = volume.array[k]
    if not (values > 0).any():
        return None
    if values.dtype.kind != "f":
        where = np.argwhere(values > 0)
        y, x = where[where.shape[0] // 2]
    else:
        y, x = np.unravel_index(int(np.argmax(values)), values.shape)
    return int(y), int(x)


def _hidden(heart: Mask, source: tuple[int, int, int], corner: tuple[int, int]) -> int:
    """How many pixels of the heart an inset in a corner hides; its own source counts for all."""
    matters = heart.astype(np.intp)
    top, left, side = source
    matters[max(top, 0) : top + side, max(left, 0) : left + side] = heart.size
    return int(matters[corner[0] : corner[0] + INSET_PX, corner[1] : corner[1] + INSET_PX].sum())


def layers_of(scan: ScoredScan, healthy: NDArray[Any], k: int, box: Box) -> Layers:
    """What a picture of slice `k` shows of a scored scan, cut to a field of view.

    `healthy` is `healthy_hu` of the scan, which is the same for all its slices.
    """

    def cut(values: NDArray[Any], how: Image.Resampling, outside: float = 0.0) -> Floats:
        return enlarged(values.astype(np.float32), box, how, outside)

    def mask(volume: Volume | None, how: Image.Resampling) -> Floats:
        if volume is None:
            return np.zeros(box.drawn_px, dtype=np.float32)
        array: NDArray[Any] = volume.array
        return cut(array[k] > 0, how)

    if scan.image is None or scan.cac_map is None:
        raise ValueError("a scan without image and map has no pictures")
    smooth, linear = Image.Resampling.BICUBIC, Image.Resampling.BILINEAR
    return Layers(
        scan_hu=cut(scan.image.array[k], smooth, OUTSIDE_HU),
        healthy_hu=cut(healthy[k], smooth, OUTSIDE_HU),
        map_hu=cut(scan.cac_map.array[k], linear),
        heart=ndimage.gaussian_filter(mask(scan.heart, linear), HEART_LINE_SIGMA_PX),
        counted=mask(scan.clinical_labels, Image.Resampling.NEAREST) > 0.5,
        pixel_mm=box.size[1] * scan.image.spacing_mm[2] / box.drawn_px[1],
    )


def enlarged(values: Floats, box: Box, how: Image.Resampling, outside: float) -> Floats:
    """The box of a slice (y, x) at the size it is drawn; `outside` where it passes the border."""
    low = np.floor(box.start).astype(int)
    high = np.ceil(np.add(box.start, box.size)).astype(int)
    before = np.maximum(-low, 0)
    after = np.maximum(high - values.shape, 0)
    padded = np.pad(values, list(zip(before, after, strict=True)), constant_values=outside)
    top, left = np.add(box.start, before).tolist()
    bottom, right = np.add((top, left), box.size).tolist()
    height, width = box.drawn_px
    picture = Image.fromarray(padded).resize((width, height), how, box=(left, top, right, bottom))
    return np.asarray(picture, dtype=np.float32)
