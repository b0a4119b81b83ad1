import builtins
import sys
import types

import numpy as np
import pytest

from cacnb.ct.nifti import read_nifti
from cacnb.ct.volume import Volume
from cacnb.errors import InputError, UsageError
from cacnb.ui.view_3d import AIR_HU, LONGEST_VOXELS, VOXEL_MM, scene, view_3d

SPACING_MM = (3.0, 0.75, 0.75)
ORIGIN_MM = (-100.0, -50.0, 20.0)


def volumes():
    """A heart of 60 mm in a chest of 150 mm, and calcium of 200 HU in its middle."""
    z, y, x = np.ogrid[:50, :200, :200]
    far_mm = np.sqrt((3 * (z - 25.0)) ** 2 + (0.75 * (y - 80.0)) ** 2 + (0.75 * (x - 120.0)) ** 2)
    scan = Volume(np.full(far_mm.shape, 40.0, np.float32), SPACING_MM, ORIGIN_MM)
    calcium = np.where(far_mm < 6, 200.0, 0.0).astype(np.float32)
    return scan, scan.with_array(far_mm < 30), scan.with_array(calcium)


def test_a_scene_holds_the_heart_and_its_margin_alone() -> None:
    scan, heart, _ = volumes()
    image = scene(scan, heart).image
    assert image.spacing_mm == (VOXEL_MM,) * 3
    sides_mm = np.multiply(image.shape, image.spacing_mm)
    assert (sides_mm > 60).all() and (sides_mm < 60 + 2 * 6 + 2 * 3 + 2 * VOXEL_MM).all()
    assert image.array[0, 0, 0] == AIR_HU
    assert image.array[tuple(n // 2 for n in image.shape)] == 40


def test_a_scene_lies_in_the_patient_where_the_scan_lay() -> None:
    scan, heart, cac_map = volumes()
    shown = scene(scan, heart, cac_map)
    middle = np.argwhere(shown.cac_map.array > 100).mean(axis=0)
    np.testing.assert_allclose(
        shown.cac_map.to_mm(tuple(middle)), scan.to_mm((25, 80, 120)), atol=1
    )


def test_a_whole_scan_is_made_coarse_enough_to_open_at_once() -> None:
    long = Volume(np.zeros((20, 8, 8), np.float32), (20.0, 20.0, 20.0))
    image = scene(long).image
    assert max(image.shape) == LONGEST_VOXELS
    assert len(set(image.spacing_mm)) == 1


def test_the_files_of_a_scene_read_back_voxel_for_voxel(tmp_path) -> None:
    shown = scene(*volumes())
    for data, volume in zip(shown.as_nifti(), (shown.image, shown.cac_map), strict=True):
        file = tmp_path / "scene.nii"
        file.write_bytes(data)
        array, header = read_nifti(file)
        np.testing.assert_array_equal(array, volume.array)
        np.testing.assert_allclose(header.affine[:, 3], volume.origin_mm[::-1], rtol=1e-6)


def test_volumes_follow_once_the_viewer_is_displayed() -> None:
    viewer = view_3d(*volumes())
    assert viewer.volumes == []
    viewer._canvas_attached = True
    assert [volume.colormap for volume in viewer.volumes] == ["gray", "warm"]
    assert viewer.opts.slice_type.name == "RENDER"


def test_without_a_map_the_heart_stands_alone() -> None:
    scan, heart, _ = volumes()
    viewer = view_3d(scan, heart)
    viewer._canvas_attached = True
    assert len(viewer.volumes) == 1


def test_an_empty_heart_is_refused() -> None:
    scan, heart, _ = volumes()
    with pytest.raises(InputError) as refused:
        scene(scan, heart.with_array(np.zeros(heart.shape, bool)))
    assert refused.value.code == "no_heart"


def test_a_map_on_another_grid_is_refused() -> None:
    scan, heart, cac_map = volumes()
    with pytest.raises(InputError) as refused:
        scene(scan, heart, Volume(cac_map.array, (1.5, 0.75, 0.75), ORIGIN_MM))
    assert refused.value.code == "different_grid"


def test_another_viewer_is_refused() -> None:
    with pytest.raises(UsageError, match="niivue or itk"):
        view_3d(*volumes(), backend="vtk")


def test_itk_without_its_package_names_the_extra_in_one_line(monkeypatch) -> None:
    really = builtins.__import__

    def absent(name, *args, **kwargs):
        if name.partition(".")[0] == "itkwidgets":
            raise ImportError(name)
        return really(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(UsageError, match=r"pip install 'cacnb\[itk\]'") as refused:
        view_3d(*volumes(), backend="itk")
    assert "\n" not in str(refused.value)


def test_itk_gets_the_heart_and_where_there_is_calcium(monkeypatch) -> None:
    given = {}
    stand_in = types.ModuleType("itkwidgets")
    stand_in.view = lambda **images: given.update(images) or "viewer"
    monkeypatch.setitem(sys.modules, "itkwidgets", stand_in)
    assert view_3d(*volumes(), backend="itk") == "viewer"
    shown = scene(*volumes())
    np.testing.assert_array_equal(given["image"], shown.image.array)
    np.testing.assert_array_equal(given["label_image"], shown.cac_map.array > 0)
