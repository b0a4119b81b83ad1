"""Heart and CAC map in three dimensions, with a drawing from the front and from the left beside."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from cacnb.ct.volume import Volume
from cacnb.errors import UsageError
from cacnb.lessons.still import Still
from cacnb.ui.view_3d import AIR_HU, FULL_MAP_HU, Scene, scene, show_scene

#: Of each voxel of the drawing, of its margins, and the widget's height, in pixels.
VOXEL_PX, MARGIN_PX, HEIGHT_PX = 3, 34, 420

#: Where a heart begins: half way from soft tissue to what stands for all that is not shown, in HU.
SURFACE_HU = AIR_HU / 2

#: The drawn surface is averaged over this many voxels, so that no steps show.
SMOOTH_VOXELS = 2.2

#: Colours of the ground, of words, and of calcium from faint to `FULL_MAP_HU`.
GROUND, INK = (11, 13, 16), (235, 238, 242)
FAINT, FULL = np.array([200.0, 70.0, 30.0]), np.array([255.0, 235.0, 130.0])

#: Light falls from above and a little from the viewer's left: (towards the viewer, up, right).
LIGHT = np.array([0.75, 0.6, -0.3]) / np.linalg.norm([0.75, 0.6, -0.3])

#: From front to back in brightness: what lies farther is darker.
NEAR, FAR = 235.0, 120.0

#: The sides that are seen: name, how (z, y, x) becomes (depth, up to down, left to right), letters.
_VIEWS = (
    ("from the front", (1, 0, 2), False, "R", "L"),
    ("from the left", (2, 0, 1), True, "A", "P"),
)

Pixels = NDArray[np.float64]


class _Bundle:
    """What a viewer shows of itself; it ends the chain that `Still` asks."""

    viewer: Any

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Any:
        del include, exclude
        return {} if self.viewer is None else self.viewer._repr_mimebundle_()


@dataclass(frozen=True, eq=False)
class SolidView(Still, _Bundle):
    """A 3-D widget and, where no kernel or no ipyniivue is, a drawing of the same.

    Parameters
    ----------
    viewer
        The widget, None without ipyniivue.
    shown
        What it shows.
    alt
        What is seen, for those who do not see it.
    """

    viewer: Any
    shown: Scene
    alt: str

    def still(self) -> tuple[bytes, str]:
        """The heart from the front and from the left, calcium shining through."""
        return scene_png(self.shown), self.alt


def solid_view(
    image: Volume,
    heart: Volume | None = None,
    cac_map: Volume | None = None,
    alt: str | None = None,
    height_px: int = HEIGHT_PX,
) -> SolidView:
    """Show heart and map as a solid that the mouse turns.

    Parameters
    ----------
    image, heart, cac_map
        The scan in HU, its heart as a bool mask, its map in HU, on one grid, (z, y, x).
    alt
        What is seen; say *simulated* in it where it is.
    height_px
        Of the widget.

    Raises
    ------
    InputError
        As `scene`.
    """
    shown = scene(image, heart, cac_map)
    try:
        viewer = show_scene(shown, height_px)
    except UsageError:  # without ipyniivue the drawing stands alone
        viewer = None
    what = "heart" if heart is not None else "scan"
    over = "" if cac_map is None else ", its CAC map in orange"
    return SolidView(viewer, shown, alt or f"The {what} from the front and from the left{over}.")


def scene_png(shown: Scene) -> bytes:
    """A shaded surface from two sides, its brightness falling with depth; the map shines through.

    Example
    -------
    >>> cube = np.full((9, 9, 9), AIR_HU, np.float32)
    >>> cube[2:7, 2:7, 2:7] = 40
    >>> scene_png(Scene(Volume(cube, (1.5, 1.5, 1.5)), None))[1:4]
    b'PNG'
    """
    tiles = [_drawn(shown, axes, backwards=backwards) for _, axes, backwards, _, _ in _VIEWS]
    tall = max(tile.height for tile in tiles)
    sheet = Image.new(
        "RGB",
        (sum(tile.width + 2 * MARGIN_PX for tile in tiles), tall + 2 * MARGIN_PX),
        GROUND,
    )
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    left = MARGIN_PX
    for tile, (name, _, _, near_left, near_right) in zip(tiles, _VIEWS, strict=True):
        top = MARGIN_PX + (tall - tile.height) // 2
        sheet.paste(tile, (left, top))
        middle = top + tile.height // 2
        draw.text((left + tile.width // 2, 8), name, INK, font, anchor="ma")
        draw.text((left - 8, middle), near_left, INK, font, anchor="rm")
        draw.text((left + tile.width + 8, middle), near_right, INK, font, anchor="lm")
        left += tile.width + 2 * MARGIN_PX
    content = io.BytesIO()
    sheet.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(content, "PNG")
    return content.getvalue()


def _drawn(shown: Scene, axes: tuple[int, int, int], *, backwards: bool) -> Image.Image:
    solid = _seen(shown.image.array > SURFACE_HU, axes, backwards=backwards)
    pixels = _surface(solid)
    if shown.cac_map is not None:
        brightest = _seen(shown.cac_map.array, axes, backwards=backwards).max(axis=0)
        share = np.clip(brightest / FULL_MAP_HU, 0.0, 1.0)[..., np.newaxis].astype(np.float64)
        colour = FAINT + (FULL - FAINT) * share
        covered = np.where(share > 0, 0.55 + 0.45 * share, 0.0)
        pixels = pixels * (1 - covered) + colour * covered
    picture = Image.fromarray(np.rint(pixels).astype(np.uint8))
    size = (picture.width * VOXEL_PX, picture.height * VOXEL_PX)
    return picture.resize(size, Image.Resampling.BICUBIC)


def _seen(array: NDArray[Any], axes: tuple[int, int, int], *, backwards: bool) -> NDArray[Any]:
    """(z, y, x) as (depth from the viewer, from head to foot, from left to right)."""
    turned = array.transpose(axes)[:, ::-1]
    return turned[::-1] if backwards else turned


def _surface(solid: NDArray[np.bool_]) -> Pixels:
    """(rows, columns, 3) the first surface that is met, lit from above."""
    hit = np.asarray(solid.any(axis=0))
    depth = np.where(hit, solid.argmax(axis=0), solid.shape[0]).astype(np.float64)
    smooth = _smoothed(depth, hit)
    down, right = np.gradient(smooth)
    # its normal is (1, −∂depth/∂down, ∂depth/∂right) towards the viewer, up and to the right
    length = np.sqrt(1 + down**2 + right**2)
    lit = np.clip((LIGHT[0] - LIGHT[1] * down + LIGHT[2] * right) / length, 0.0, 1.0)
    span = max(float(np.ptp(smooth[hit])), 1.0) if hit.any() else 1.0
    near = (smooth - (smooth[hit].min() if hit.any() else 0.0)) / span
    shade = (NEAR + (FAR - NEAR) * np.clip(near, 0.0, 1.0)) * (0.35 + 0.65 * lit)
    tint = np.stack([shade, shade * 0.86, shade * 0.82], axis=2)
    ground = np.broadcast_to(np.array(GROUND, np.float64), tint.shape)
    return np.where(hit[..., np.newaxis], tint, ground)


def _smoothed(depth: Pixels, hit: NDArray[np.bool_]) -> Pixels:
    """Depth averaged over neighbours on the surface."""
    weight = gaussian_filter(hit.astype(np.float64), SMOOTH_VOXELS)
    mean = gaussian_filter(np.where(hit, depth, 0.0), SMOOTH_VOXELS) / np.maximum(weight, 1e-6)
    return np.where(hit, mean, depth)
