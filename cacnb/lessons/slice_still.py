"""One slice of each pane of a picture as a PNG, in the canvas's own colours; it has no kernel."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cacnb.ct.volume import Volume
from cacnb.ui.picture import Box, Layer, Picture

#: Width of all panes together and their greatest height, of a caption, and between panes, in px.
WIDTH_PX, HEIGHT_PX, CAPTION_PX, GAP_PX = 960, 420, 22, 2

#: A map value of this much is fully coloured, in HU, and a label covers this share: as the canvas.
FULL_MAP_HU, LABEL_SHARE = 400.0, 0.5

#: Colours of the ground and of captions.
GROUND, INK = (11, 13, 16), (235, 238, 242)

Pixels = NDArray[np.float64]


def picture_png(picture: Picture, at: tuple[int, ...], window_hu: tuple[float, float]) -> bytes:
    """Every pane of a picture side by side with its caption.

    Parameters
    ----------
    picture
        As a canvas shows it.
    at
        For each stack the slice of its box that is drawn, from 0.
    window_hu
        From black to white.
    """
    panes = picture.panes
    width = (WIDTH_PX - GAP_PX * (len(panes) - 1)) // len(panes)
    tiles = []
    for pane in panes:
        stack, box = picture.stacks[pane.stack], picture.box[pane.stack]
        image = stack.images[pane.image]
        pixels = _grey(_slice(image, box, at[pane.stack]), window_hu)
        for name in pane.layers:
            layer = stack.layers[name]
            if layer.on:
                pixels = _laid_over(pixels, layer, _slice(layer.volume, box, at[pane.stack]))
        tiles.append(_fitting(pixels, image.spacing_mm[1:], width))
    height = max(tile.height for tile in tiles)
    sheet = Image.new("RGB", (WIDTH_PX, CAPTION_PX + height), GROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for i, (pane, tile) in enumerate(zip(panes, tiles, strict=True)):
        left = i * (width + GAP_PX)
        draw.text((left + 6, 4), pane.title, INK, font)
        at_px = (left + (width - tile.width) // 2, CAPTION_PX + (height - tile.height) // 2)
        sheet.paste(tile, at_px)
    content = io.BytesIO()
    sheet.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(content, "PNG")
    return content.getvalue()


def _slice(volume: Volume, box: Box | None, z: int) -> NDArray[Any]:
    array = volume.array if box is None else volume.array[box]
    found: NDArray[Any] = array[z]
    return found


def _grey(hu: NDArray[Any], window_hu: tuple[float, float]) -> Pixels:
    """(y, x, 3) from 0 to 255."""
    low, high = window_hu
    shade = np.clip((hu.astype(np.float64) - low) / (high - low), 0.0, 1.0) * 255
    return np.repeat(shade[..., np.newaxis], 3, axis=2)


def _laid_over(pixels: Pixels, layer: Layer, values: NDArray[Any]) -> Pixels:
    if layer.kind == "map":
        far = np.clip(values.astype(np.float64) / FULL_MAP_HU, 0.0, 1.0)
        colour = np.stack([np.full(far.shape, 255.0), 60 + 170 * far, 60 * (1 - far)], axis=2)
        share = np.where(values >= 1, (110 + 130 * far) / 256, 0.0)
    else:
        colour, share = np.zeros(pixels.shape), np.zeros(values.shape)
        for number, rgb in layer.colours.items():
            colour[values == number] = rgb
            share[values == number] = LABEL_SHARE
    covered = share[..., np.newaxis]
    return np.asarray(pixels * (1 - covered) + colour * covered)


def _fitting(pixels: Pixels, spacing_mm: tuple[float, ...], width: int) -> Image.Image:
    """A slice as large as its pane allows, with square millimetres."""
    high_mm, wide_mm = pixels.shape[0] * spacing_mm[0], pixels.shape[1] * spacing_mm[1]
    scale = min(width / wide_mm, HEIGHT_PX / high_mm)
    size = (max(1, round(wide_mm * scale)), max(1, round(high_mm * scale)))
    picture = Image.fromarray(np.rint(pixels).astype(np.uint8))
    return picture.resize(size, Image.Resampling.BILINEAR)
