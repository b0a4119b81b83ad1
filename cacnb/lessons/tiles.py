"""Tiles of slices as one PNG with captions and an alternative text; it does not know what of."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion

#: Side of a tile, height of a caption and of the title, between tiles, in pixels.
TILE_PX, CAPTION_PX, TITLE_PX, GAP_PX = 176, 20, 26, 4

#: Colours of the ground, of words, and of an outline (Okabe and Ito's orange).
GROUND, INK, OUTLINE = (11, 13, 16), (235, 238, 242), (230, 159, 0)


@dataclass(frozen=True, eq=False)
class Tile:
    """One slice: `grey` (y, x) from 0, black, to 1, white; what stands under it; an outline.

    `outline` (y, x) is a bool mask whose border is drawn.
    """

    grey: NDArray[np.floating[Any]]
    caption: str = ""
    outline: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class Tiles:
    """A picture for notebooks: the PNG, and what is seen for those who do not see it."""

    png: bytes
    alt: str

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        del include, exclude
        data = {"image/png": b64encode(self.png).decode(), "text/plain": self.alt}
        return data, {"image/png": {"alt": self.alt}}


def tiled(rows: Sequence[tuple[str, Sequence[Tile]]], alt: str) -> Tiles:
    """Rows of tiles, each with a title above it.

    Parameters
    ----------
    rows
        A title and its tiles, from left to right; all tiles are drawn equally large.
    alt
        What is seen; say *simulated* in it where it is.

    Example
    -------
    >>> tiled([("A row", [Tile(np.zeros((8, 8)), "black")])], "A black tile.").png[1:4]
    b'PNG'
    """
    columns = max(len(tiles) for _, tiles in rows)
    step_x, step_y = TILE_PX + GAP_PX, TITLE_PX + TILE_PX + CAPTION_PX
    sheet = Image.new("RGB", (columns * step_x + GAP_PX, len(rows) * step_y), GROUND)
    draw = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(14), ImageFont.load_default(12)
    for i, (title, tiles) in enumerate(rows):
        top = i * step_y
        draw.text((GAP_PX, top + 6), title, INK, large)
        for j, tile in enumerate(tiles):
            left = GAP_PX + j * step_x
            sheet.paste(_drawn(tile), (left, top + TITLE_PX))
            draw.text((left, top + TITLE_PX + TILE_PX + 3), tile.caption, INK, small)
    content = io.BytesIO()
    sheet.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(content, "PNG")
    return Tiles(content.getvalue(), alt)


def _drawn(tile: Tile) -> Image.Image:
    grey = np.rint(np.clip(tile.grey, 0, 1) * 255).astype(np.uint8)
    size = (TILE_PX, TILE_PX)
    picture = Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR).convert("RGB")
    if tile.outline is None or not tile.outline.any():
        return picture
    mask = Image.fromarray(tile.outline.astype(np.uint8) * 255)
    inside = np.asarray(mask.resize(size, Image.Resampling.BICUBIC)) > 127
    border = inside & ~np.asarray(binary_erosion(inside, iterations=2))
    pixels = np.asarray(picture).copy()
    pixels[border] = OUTLINE
    return Image.fromarray(pixels)
