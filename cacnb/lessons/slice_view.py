"""Images side by side on the apps' own canvas, linked and cut to the heart; it reads no file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cacnb.ct.grids import resample_onto
from cacnb.ct.volume import Volume
from cacnb.errors import UsageError
from cacnb.export.slice_pictures import SOFT_TISSUE_WINDOW_HU
from cacnb.lessons.slice_still import picture_png
from cacnb.lessons.still import Still
from cacnb.ui.javascript import style
from cacnb.ui.picture import (
    GREEN,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    Layer,
    Pane,
    Picture,
    Stack,
    heart_box,
)
from cacnb.ui.slice_canvas import SliceCanvas

#: Shown around the heart, in mm.
MARGIN_MM = 12.0

#: Half as high as an app, and the slice's number where no pane has its scale bar.
LOWER = """
.cacnb-lesson { --cacnb-height: 460px; }
.cacnb-lesson .cacnb-status { bottom: auto; top: 26px; }
"""

#: Colours of labels 1, 2, 3 …, taken again from the first after the last.
LABEL_COLOURS = (SKY, ORANGE, GREEN, PURPLE, YELLOW, VERMILION)

#: One image for all panes, or by caption for those that it belongs to.
OverPanes = Volume | Mapping[str, Volume]


class LessonCanvas(Still, SliceCanvas):  # type: ignore[misc]  # their bundles differ in arguments
    """The canvas of the apps, lower, opened at a slice, with a picture for pages without a kernel.

    Parameters
    ----------
    picture
        What it shows.
    at
        For each stack the slice of its box that it opens with, from 0.
    window_hu
        From black to white, as it opens.
    alt
        What is seen, for those who do not see it.
    """

    _css = style() + LOWER

    def __init__(
        self,
        picture: Picture,
        at: tuple[int, ...],
        window_hu: tuple[float, float],
        alt: str,
        **traits: Any,
    ) -> None:
        super().__init__(**traits)
        self.picture, self.at, self.window_hu, self.alt = picture, at, window_hu, alt
        self.add_class("cacnb-lesson")

    def still(self) -> tuple[bytes, str]:
        """The slice that it opens with."""
        if self.picture is None:
            raise ValueError("a lesson's canvas always has a picture")
        return picture_png(self.picture, self.at, self.window_hu), self.alt

    def _send_picture(self) -> None:
        if self.picture is not None:
            message, buffers = self.picture.message()
            opened = {"slice": self.at[0], "window": list(self.window_hu)}
            self.send({"type": "picture", **opened, **message}, buffers)


def slice_view(
    images: Mapping[str, Volume],
    *,
    heart: OverPanes | None = None,
    cac_map: OverPanes | None = None,
    labels: OverPanes | None = None,
    start_mm: float | None = None,
    window_hu: tuple[float, float] = SOFT_TISSUE_WINDOW_HU,
    title: str = "",
    alt: str = "",
) -> LessonCanvas:
    """Show images in HU side by side; those on one grid scroll as one, the others beside them.

    Parameters
    ----------
    images
        By caption, from left to right.
    heart
        Bool mask: what is shown is cut to it. It may stand on another grid than an image.
    cac_map, labels
        Over the images: a map in HU, label numbers or a bool mask, each on its image's grid.
        These and `heart` are one image for all panes, or by caption for some of them.
    start_mm
        The slice to open with, in patient mm (z) of the first image; without it the slice with
        most of the map, else of the labels, else the middle.
    window_hu
        The grey window to open with, from black to white; keys 5 to 8 change it.
    title
        Above the canvas; say *simulated* in it where it is.
    alt
        What is seen, in one or two sentences; the captions stand in for it.

    Raises
    ------
    UsageError
        Without an image, or where a map or labels are on another grid than their image.

    Example
    -------
    >>> scan = Volume(np.zeros((3, 8, 8), np.int16), (3.0, 0.7, 0.7))
    >>> view = slice_view({"Scan": scan, "Smooth scan": scan.with_array(scan.array + 1)})
    >>> len(view.picture.panes), view.at
    (2, (1,))
    """
    if not images:
        raise UsageError("no image came: give at least one by its caption")
    stacks: list[Stack] = []
    boxes: list[Any] = []
    panes = []
    for caption, image in images.items():
        number = next((i for i, s in enumerate(stacks) if _grid(s).same_grid(image)), len(stacks))
        if number == len(stacks):
            stacks.append(Stack({}))
            boxes.append(_cut(image, _for(heart, caption)))
        stack = stacks[number]
        layers = (
            _layer(stack, image, _for(cac_map, caption), "map", caption),
            _layer(stack, image, _for(labels, caption), "labels", caption),
        )
        name = _named(stack.images, image)
        panes.append(Pane(number, name, tuple(layer for layer in layers if layer), caption))
    picture = Picture(tuple(stacks), tuple(panes), tuple(boxes))
    at = _opened_at(picture, start_mm)
    said = alt or f"Slices side by side: {', '.join(images)}."
    return LessonCanvas(picture, at, window_hu, said, title=title or "Slices")


def _grid(stack: Stack) -> Volume:
    return next(iter(stack.images.values()))


def _for(over: OverPanes | None, caption: str) -> Volume | None:
    return over.get(caption) if isinstance(over, Mapping) else over


def _cut(image: Volume, heart: Volume | None) -> tuple[slice, slice, slice] | None:
    if heart is None:
        return None
    mask = heart if heart.same_grid(image) else resample_onto(heart, image)
    return heart_box(mask.array > 0, image.spacing_mm, MARGIN_MM)


def _named(known: dict[str, Volume], image: Volume) -> str:
    """The name of an image in a stack, under which it is sent once."""
    name = next((name for name, other in known.items() if other is image), f"image {len(known)}")
    known[name] = image
    return name


def _layer(stack: Stack, image: Volume, over: Volume | None, kind: Any, caption: str) -> str | None:
    """Put a layer into a stack; its name there."""
    if over is None:
        return None
    if not over.same_grid(image):
        raise UsageError(
            f"the {kind} over {caption!r} is {over.shape} at {over.spacing_mm} mm, the image "
            f"{image.shape} at {image.spacing_mm} mm (z, y, x): resample it onto the image"
        )
    name, volume, colours = f"{kind} {id(over)}", over, {}  # one that lies over two panes goes once
    if name in stack.layers:
        return name
    if kind == "labels":
        volume = over.with_array(over.array.astype(np.uint8))
        numbers = [int(n) for n in np.unique(volume.array) if n]
        colours = {n: LABEL_COLOURS[(n - 1) % len(LABEL_COLOURS)] for n in numbers}
    stack.layers[name] = Layer(volume, kind, colours)
    return name


def _opened_at(picture: Picture, start_mm: float | None) -> tuple[int, ...]:
    """For each stack the slice to open with: chosen in the first, as far up in the others."""
    first = _grid(picture.stacks[0])
    cuts = [box[0] if box else slice(0, _grid(s).shape[0]) for s, box in zip(
        picture.stacks, picture.box, strict=True)]  # fmt: skip
    if start_mm is None:
        z = _fullest(picture.stacks[0], picture.box[0])
    else:
        z = round((start_mm - first.origin_mm[0]) / first.spacing_mm[0]) - cuts[0].start
    z = min(max(z, 0), cuts[0].stop - cuts[0].start - 1)
    up_mm = z * first.spacing_mm[0]
    return (
        z,
        *(
            min(round(up_mm / _grid(stack).spacing_mm[0]), cut.stop - cut.start - 1)
            for stack, cut in list(zip(picture.stacks, cuts, strict=True))[1:]
        ),
    )


def _fullest(stack: Stack, box: Any) -> int:
    for kind in ("map", "labels"):
        for layer in stack.layers.values():
            if layer.kind == kind:
                shown: NDArray[Any] = layer.volume.array if box is None else layer.volume.array[box]
                seen = shown if kind == "map" else shown > 0
                amount = seen.sum(axis=(1, 2), dtype=np.float64)
                if amount.any():
                    return int(np.argmax(amount))
    depth = _grid(stack).shape[0] if box is None else box[0].stop - box[0].start
    return int(depth // 2)
