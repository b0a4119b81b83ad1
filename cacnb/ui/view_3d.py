"""Heart and CAC map in three dimensions, to be turned by hand: a picture, no measurement."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from cacnb.ct.geometry import Affine
from cacnb.ct.grids import resample, resample_onto
from cacnb.ct.nifti import write_nifti
from cacnb.ct.volume import Volume
from cacnb.errors import InputError, UsageError
from cacnb.scoring.lesions import bounding_box, require_mask, require_same_grid
from cacnb.ui.picture import whole_hu

Backend = Literal["niivue", "itk"]

#: Shown around the heart, and what stands for all that is not shown, in mm and HU.
MARGIN_MM, AIR_HU = 6.0, -1000.0
#: Voxels are cubes, no smaller than this; of a whole scan larger, so that it opens at once.
VOXEL_MM = 1.5
#: The longest side of what is sent, in voxels.
LONGEST_VOXELS = 160
#: From where a heart begins to be seen to where it is white, in HU.
SEEN_HU = (-80.0, 260.0)
#: A map value of this much is fully coloured, in HU.
FULL_MAP_HU = 150.0


@dataclass(frozen=True, eq=False)
class Scene:
    """What is sent to a viewer: the scan in HU and the map in HU (int16), on one coarse grid."""

    image: Volume
    cac_map: Volume | None

    def as_nifti(self) -> list[bytes]:
        """Each volume as a NIfTI file, so that left and right stay what they are."""
        return [_nifti(volume) for volume in (self.image, self.cac_map) if volume is not None]


def scene(image: Volume, heart: Volume | None = None, cac_map: Volume | None = None) -> Scene:
    """Cut a scan to its heart, take what lies around it for air, and make it coarse.

    Parameters
    ----------
    image, heart, cac_map
        The scan in HU, its heart as a bool mask, its map in HU, on one grid, (z, y, x). Without a
        heart all of the scan is taken.

    Raises
    ------
    InputError
        `different_grid`, `not_a_mask`, `no_heart` where the mask is empty.

    Example
    -------
    >>> scan = Volume(np.zeros((40, 100, 100), np.float32), (3.0, 0.75, 0.75))
    >>> scene(scan).image.shape
    (80, 50, 50)
    """
    box: tuple[slice, ...] = (slice(None),) * 3
    seen: NDArray[Any] = image.array
    if heart is not None:
        require_same_grid(image, heart, "heart mask")
        require_mask(heart, "heart mask")
        found = bounding_box(heart.array)
        if found is None:
            raise InputError("no_heart", "the heart mask is empty: give the heart, or None")
        box = tuple(
            slice(max(0, cut.start - _voxels(step)), cut.stop + _voxels(step))
            for cut, step in zip(found, image.spacing_mm, strict=True)
        )
        seen = np.where(heart.array[box], image.array[box], np.float32(AIR_HU))
    small = _cube(_cut(image, seen, box))
    if cac_map is None:
        return Scene(small.with_array(whole_hu(small.array)), None)
    require_same_grid(image, cac_map, "CAC map")
    on_small = resample_onto(_cut(image, cac_map.array[box], box), small, fill=0.0)
    return Scene(
        small.with_array(whole_hu(small.array)), small.with_array(whole_hu(on_small.array))
    )


def view_3d(
    image: Volume,
    heart: Volume | None = None,
    cac_map: Volume | None = None,
    backend: Backend = "niivue",
    height_px: int = 560,
) -> Any:
    """A widget that shows heart and map in three dimensions; drag turns it, the wheel zooms.

    `niivue` works everywhere and offline. `itk` is for JupyterLab with internet alone: itkwidgets
    takes its viewer from the network and shows nothing in Voila.

    Parameters
    ----------
    image, heart, cac_map
        As `scene`.
    backend
        `niivue` (ipyniivue) or `itk` (itkwidgets).
    height_px
        Of the widget.

    Returns
    -------
    ipywidgets.Widget or itkwidgets.Viewer
        To be displayed; the volumes follow once it is, which takes a fraction of the time.

    Raises
    ------
    UsageError
        For another backend, or where its package is not installed.
    InputError
        As `scene`.
    """
    if backend not in get_args(Backend):
        raise UsageError(f"{backend!r} is no 3-D viewer: niivue or itk was wanted")
    shown = scene(image, heart, cac_map)
    return _itk(shown) if backend == "itk" else show_scene(shown, height_px)


def show_scene(shown: Scene, height_px: int) -> Any:
    """An ipyniivue widget for a scene; raises UsageError where ipyniivue is not installed."""
    try:
        from ipyniivue import NiiVue, SliceType
    except ImportError as error:
        raise UsageError("the 3-D view needs ipyniivue: pip install 'cacnb[apps]'") from error
    viewer = NiiVue(
        height=height_px, slice_type=SliceType.RENDER, back_color=(0.04, 0.05, 0.06, 1.0),
        show_3d_crosshair=False, is_orient_cube=True, is_colorbar=False, crosshair_width=0.0,
        loading_text="",
    )  # fmt: skip

    def load() -> None:
        looks = (
            {"name": "heart.nii", "colormap": "gray", "cal_min": SEEN_HU[0], "cal_max": SEEN_HU[1]},
            {"name": "map.nii", "colormap": "warm", "cal_min": 1.0, "cal_max": FULL_MAP_HU},
        )
        viewer.load_volumes(
            [
                {"data": data, "colorbar_visible": False, **look}
                for data, look in zip(shown.as_nifti(), looks, strict=False)
            ]
        )

    viewer.on_canvas_attached(load)
    return viewer


def _itk(shown: Scene) -> Any:
    try:
        from itkwidgets import view
    except ImportError as error:
        raise UsageError(
            "the itk viewer needs itkwidgets, JupyterLab and internet: pip install 'cacnb[itk]', "
            "or take backend='niivue'"
        ) from error
    calcium = None if shown.cac_map is None else (shown.cac_map.array > 0).astype(np.uint8)
    try:
        return view(image=shown.image.array, label_image=calcium)
    except AttributeError as error:  # what itkwidgets 1.0a55 raises where its server never started
        raise UsageError(
            "itkwidgets found no JupyterLab to show its viewer in: open the notebook there, "
            "or take backend='niivue'"
        ) from error


def _voxels(step_mm: float) -> int:
    return int(np.ceil(MARGIN_MM / step_mm))


def _cut(volume: Volume, values: NDArray[Any], box: tuple[slice, ...]) -> Volume:
    """Values of a part of a grid, where they lie in the patient."""
    z, y, x = (cut.start or 0 for cut in box)
    return Volume(values, volume.spacing_mm, volume.to_mm((z, y, x)))


def _cube(volume: Volume) -> Volume:
    """The volume in cubes of `VOXEL_MM`, or larger where it would be too long."""
    longest_mm = max(n * step for n, step in zip(volume.shape, volume.spacing_mm, strict=True))
    side = max(VOXEL_MM, longest_mm / LONGEST_VOXELS)
    return resample(volume, (side, side, side))


def _nifti(volume: Volume) -> bytes:
    z, y, x = volume.spacing_mm
    affine: Affine = np.column_stack([np.diag([x, y, z]), volume.origin_mm[::-1]])
    file = io.BytesIO()
    write_nifti(file, volume.array, affine)
    return file.getvalue()
