"""What a canvas shows: stacks of slices, layers over them, panes; it does not know who looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cacnb.ct.volume import Volume

#: Okabe and Ito's colours (2008), told apart by colour-blind readers, as (red, green, blue).
ORANGE, SKY, GREEN, YELLOW = (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66)
BLUE, VERMILION, PURPLE, GREY = (0, 114, 178), (213, 94, 0), (204, 121, 167), (150, 150, 150)

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Layer:
    """What lies over a scan: labels (uint8) each in its colour, or a map in HU (int16)."""

    volume: Volume
    kind: Literal["labels", "map"]
    colours: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    on: bool = True


@dataclass(frozen=True, eq=False)
class Stack:
    """Images in HU by name, and layers by name, all on one grid."""

    images: dict[str, Volume]
    layers: dict[str, Layer] = field(default_factory=dict)


@dataclass(frozen=True)
class Pane:
    """One view: which image of which stack, under which layers, with a caption."""

    stack: int = 0
    image: str = "scan"
    layers: tuple[str, ...] = ()
    title: str = ""


@dataclass(frozen=True, eq=False)
class Picture:
    """All that the browser needs to show a scan without asking again.

    Parameters
    ----------
    stacks
        One a scan; those that are shown side by side move together.
    panes
        The views, from left to right.
    box
        The part of each stack that is sent, as slices (z, y, x) of its grid; all of it where None.
    """

    stacks: tuple[Stack, ...]
    panes: tuple[Pane, ...]
    box: tuple[Box | None, ...] = (None,)

    def message(self) -> tuple[dict[str, Any], list[bytes]]:
        """The picture as a message and its buffers, each one array in C order, little-endian."""
        buffers: list[bytes] = []
        kinds: list[str] = []

        def put(array: NDArray[Any], kind: str) -> int:
            buffers.append(
                np.ascontiguousarray(array, dtype=f"<{np.dtype(kind).str[1:]}").tobytes()
            )
            kinds.append(kind)
            return len(buffers) - 1

        stacks = []
        for stack, box in zip(self.stacks, self.box, strict=True):
            grid = next(iter(stack.images.values()))
            cut = box or tuple(slice(0, n) for n in grid.shape)
            stacks.append(
                {
                    "shape": [
                        len(range(*c.indices(n))) for c, n in zip(cut, grid.shape, strict=True)
                    ],
                    "first": [c.start or 0 for c in cut],
                    "whole_shape": list(grid.shape),
                    "spacing_mm": list(grid.spacing_mm),
                    "images": {
                        name: put(whole_hu(image.array[cut]), "int16")
                        for name, image in stack.images.items()
                    },
                    "layers": {
                        name: {
                            "array": put(
                                whole_hu(layer.volume.array[cut])
                                if layer.kind == "map"
                                else layer.volume.array[cut],
                                "int16" if layer.kind == "map" else "uint8",
                            ),
                            "kind": layer.kind,
                            "colours": {str(k): list(c) for k, c in layer.colours.items()},
                            "on": layer.on,
                        }
                        for name, layer in stack.layers.items()
                    },
                }
            )
        panes = [
            {"stack": p.stack, "image": p.image, "layers": list(p.layers), "title": p.title}
            for p in self.panes
        ]
        return {"stacks": stacks, "panes": panes, "arrays": kinds}, buffers


def whole_hu(array: NDArray[Any]) -> NDArray[np.int16]:
    """HU rounded to int16, clipped to what it holds.

    Example
    -------
    >>> whole_hu(np.array([12.6, 4e9], np.float32)).tolist()
    [13, 32767]
    """
    held = array if array.dtype == np.int16 else np.clip(np.rint(array), -32768, 32767)
    return held.astype(np.int16, copy=False)


def heart_box(
    heart: NDArray[np.bool_], spacing_mm: Sequence[float], margin_mm: float
) -> Box | None:
    """Slices that show a heart (z), its bounding box with a margin (y, x); None if empty."""
    found = [np.flatnonzero(heart.any(axis=tuple(b for b in range(3) if b != a))) for a in range(3)]
    if not len(found[0]):
        return None
    cut = [slice(int(found[0][0]), int(found[0][-1]) + 1)]
    for axis in (1, 2):
        margin = round(margin_mm / spacing_mm[axis])
        low, high = int(found[axis][0]) - margin, int(found[axis][-1]) + 1 + margin
        cut.append(slice(max(0, low), min(heart.shape[axis], high)))
    return cut[0], cut[1], cut[2]
