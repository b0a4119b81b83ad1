"""Examples of lesions chosen by rule and shown side by side (Figure 7); it scores nothing."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from cacnb.ct.volume import Volume
from cacnb.errors import UsageError
from cacnb.export.slice_pictures import SOFT_TISSUE_WINDOW_HU, Box, healthy_hu, layers_of
from cacnb.export.strip import Layers, Pixels, grey, with_map, with_outline
from cacnb.scoring.scored_scan import ScoredScan

#: Kinds of example in the order of the figure, and what each is called.
KINDS = {
    "both": "Found by both methods",
    "map_alone": "Found by the map alone: the clinical threshold misses it",
    "missed": "Missed by the map",
    "false": "False positive of the map: no coronary calcium there",
}

#: The panels of a row, from left to right.
PANELS = ("Scan", "Clinical, 130 HU and more", "Healthy image", "CAC map")

#: Side of what a panel shows in mm, side of a panel and heights of the lines of text in pixels.
FIELD_MM, PANEL_PX, HEAD_PX, LINE_PX, GAP_PX = 44.0, 236, 28, 26, 4

_TOUCHING = np.ones((3, 3, 3), dtype=bool)

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class LesionExample:
    """A lesion that shows what a method does: its kind, its scan by name, and what is seen.

    `slice_number` counts from 1; `map_hu_mm3` is what the map holds of it, `volume_mm3` its
    size: of the map's lesion, or of what the map missed.
    """

    kind: str
    scan: str
    slice_number: int
    map_hu_mm3: float
    volume_mm3: float
    layers: Layers


def lesion_examples(
    scans: Iterable[ScoredScan],
    reference: Callable[[str], Volume | None] | None = None,
    *,
    of_each: int = 1,
) -> list[LesionExample]:
    """The largest lesions of each kind among scored scans, at most one of a kind in a scan.

    A lesion is a connected part of the CAC map. It is `both` where the clinical score counted a
    voxel of it, `map_alone` where it did not and the reference confirms calcium, `false` where
    the reference has none. A part of the reference without any map is `missed`. The largest by
    pseudo-mass are taken, missed ones by volume.

    Parameters
    ----------
    scans
        With image, map and clinical labels on one grid; others are passed over. They may come one
        by one: only the chosen places are kept.
    reference
        By name a scan's calcium as a mask on its grid, from painted regions or a simulation's
        truth. Where it gives None the clinical score is the only reference: a lesion of the map
        alone may then be calcium or not, and is no example.
    of_each
        At most so many of a kind.

    Raises
    ------
    UsageError
        Where a reference has another grid than its scan.
    """
    best: dict[str, list[LesionExample]] = {kind: [] for kind in KINDS}
    for scan in scans:
        for example in _of_scan(scan, None if reference is None else reference(scan.name)):
            found = best[example.kind]
            found.append(example)
            found.sort(key=lambda e: (-e.map_hu_mm3, -e.volume_mm3, e.scan))
            del found[of_each:]
    return [example for kind in KINDS for example in best[kind]]


def lesion_examples_png(examples: Sequence[LesionExample], *, simulated: bool) -> bytes:
    """Figure 7 as a PNG: a row an example, with the scan, what each method marks, and the rest.

    Raises
    ------
    UsageError
        Without an example.
    """
    if not examples:
        raise UsageError("no example came: a figure of lesions needs at least one")
    row = LINE_PX + PANEL_PX + GAP_PX
    width = len(PANELS) * (PANEL_PX + GAP_PX) - GAP_PX
    sheet = Image.new("RGB", (width, HEAD_PX + row * len(examples) - GAP_PX), "white")
    draw = ImageDraw.Draw(sheet)
    bold, plain = ImageFont.load_default(15), ImageFont.load_default(13)
    heads = (f"{PANELS[0]} (simulated)" if simulated else PANELS[0], *PANELS[1:])
    for column, words in enumerate(heads):
        draw.text((column * (PANEL_PX + GAP_PX) + 2, 6), words, fill=(29, 34, 40), font=bold)
    for place, example in enumerate(examples):
        top = HEAD_PX + place * row
        draw.text((2, top + 5), _caption(example), fill=(60, 68, 76), font=plain)
        for column, panel in enumerate(_panels(example.layers)):
            pixels = np.rint(np.clip(panel, 0, 255)).astype(np.uint8)
            sheet.paste(Image.fromarray(pixels), (column * (PANEL_PX + GAP_PX), top + LINE_PX))
    content = io.BytesIO()
    sheet.save(content, "PNG", optimize=True)
    return content.getvalue()


def lesion_examples_caption(examples: Sequence[LesionExample]) -> str:
    """Figure 7's caption: what the panels are, and each example by the name of its scan."""
    listed = "; ".join(
        f"{KINDS[e.kind][0].lower()}{KINDS[e.kind][1:]} (scan {e.scan}, slice {e.slice_number})"
        for e in examples
    )
    return (
        "Figure 7. Examples chosen by size alone. From left to right: the scan (-160 to 240 HU), "
        "what the clinical score counts, the healthy image that is left without the map, and the "
        f"CAC map over the scan; each {FIELD_MM:.0f} mm wide. From top to bottom: {listed}."
    )


def _of_scan(scan: ScoredScan, reference: Volume | None) -> Iterator[LesionExample]:
    """The largest example of each kind of one scan."""
    if scan.image is None or scan.cac_map is None or scan.clinical_labels is None:
        return
    map_hu: NDArray[Any] = scan.cac_map.array
    clinical = np.asarray(scan.clinical_labels.array > 0)
    if reference is not None and not reference.same_grid(scan.image):
        raise UsageError(
            f"the reference of scan {scan.name} has {reference.shape} voxels on another grid than "
            f"the scan's {scan.image.shape}: resample it to the scan's grid"
        )
    calcium: Mask = clinical if reference is None else np.asarray(reference.array > 0)
    healthy: NDArray[Any] | None = None
    for kind, lesion in _lesions(map_hu, clinical, calcium, known=reference is not None).items():
        healthy = healthy_hu(scan.image, scan.cac_map) if healthy is None else healthy
        amount = np.where(lesion, map_hu if kind != "missed" else 1.0, 0.0)
        k = int(amount.sum(axis=(1, 2)).argmax())
        y, x = ndimage.center_of_mass(amount[k])
        voxel = scan.image.voxel_volume_mm3
        yield LesionExample(
            kind=kind,
            scan=scan.name,
            slice_number=k + 1,
            map_hu_mm3=float(map_hu[lesion].sum()) * voxel,
            volume_mm3=float(lesion.sum()) * voxel,
            layers=layers_of(scan, healthy, k, _around(scan.image, y, x)),
        )


def _lesions(
    map_hu: NDArray[Any], clinical: Mask, calcium: Mask, *, known: bool
) -> dict[str, Mask]:
    """The heaviest lesion of each kind as a mask; the largest of those that the map missed."""
    labels, count = ndimage.label(map_hu > 0, structure=_TOUCHING)
    out: dict[str, Mask] = {}
    places = np.arange(1, count + 1)
    mass = np.atleast_1d(ndimage.sum_labels(map_hu, labels, places)) if count else np.zeros(0)
    for place in places[np.argsort(-mass, kind="stable")]:
        lesion = labels == place
        kind = _kind(bool(clinical[lesion].any()), bool(calcium[lesion].any()), known=known)
        if kind is not None:
            out.setdefault(kind, lesion)
    labels, count = ndimage.label(calcium, structure=_TOUCHING)
    found = set(np.unique(labels[map_hu > 0]).tolist())
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    missed = [place for place in range(1, count + 1) if place not in found]
    if missed:
        out["missed"] = labels == max(missed, key=lambda place: int(sizes[place]))
    return out


def _kind(counted: bool, confirmed: bool, *, known: bool) -> str | None:
    if not known:
        return "both" if counted else None
    if not confirmed:
        return "false"
    return "both" if counted else "map_alone"


def _around(image: Volume, y: float, x: float) -> Box:
    _, step_y, step_x = image.spacing_mm
    size = (FIELD_MM / step_y, FIELD_MM / step_x)
    return Box((y + 0.5 - size[0] / 2, x + 0.5 - size[1] / 2), size, (PANEL_PX, PANEL_PX))


def _panels(layers: Layers) -> tuple[Pixels, Pixels, Pixels, Pixels]:
    scan = grey(layers.scan_hu, SOFT_TISSUE_WINDOW_HU)
    return (
        scan,
        with_outline(scan, layers.counted),
        grey(layers.healthy_hu, SOFT_TISSUE_WINDOW_HU),
        with_map(scan, layers.map_hu),
    )


def _caption(example: LesionExample) -> str:
    said = f"{KINDS[example.kind]}; scan {example.scan}, slice {example.slice_number}, "
    if example.kind == "missed":
        return said + f"{example.volume_mm3:.0f} mm3"
    return said + f"pseudo-mass {example.map_hu_mm3:,.0f} HU mm3"
