from pathlib import Path

import numpy as np
import pytest

from cacnb.ct.grids import resample_onto
from cacnb.ct.heart import (
    centre_of_mass_mm,
    clean_heart,
    great_vessels_contrast,
    judge_heart,
    without_chest_wall,
)
from cacnb.ct.reading import read_image, read_scan
from cacnb.ct.volume import Volume
from cacnb.simulation.scan import Person, simulate_scan

GRID = Volume(np.zeros((60, 80, 90), np.float32), (3.0, 3.0, 3.0), (-90.0, -120.0, -135.0))


def ellipsoid(
    centre_mm: tuple[float, float, float], radii_mm: tuple[float, float, float]
) -> np.ndarray:
    z, y, x = (
        (GRID.axis_mm(axis) - c) / r
        for axis, c, r in zip(range(3), centre_mm, radii_mm, strict=True)
    )
    return z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 < 1


HEART = ellipsoid((0, 0, 15), (45, 45, 55))


def chest(blood_hu: float, marrow_hu: float = 180.0, stomach_hu: float = 40.0) -> Volume:
    """Lungs, a heart, a spine and a stomach under the left lung."""
    hu = np.full(GRID.shape, 40.0, np.float32)
    for side in (-1, 1):
        hu[ellipsoid((10, 0, 75 * side), (80, 70, 45))] = -850.0
    hu[HEART] = blood_hu
    spine = ellipsoid((0, 75, 0), (500, 15, 17))
    hu[spine] = marrow_hu
    hu[ellipsoid((-75, -10, 50), (25, 45, 45))] = stomach_hu
    return GRID.with_array(hu + np.random.default_rng(0).normal(0, 15, GRID.shape))


def codes(volume: Volume, mask: np.ndarray) -> list[str]:
    return [reason.code for reason in judge_heart(volume, volume.with_array(mask))]


def test_a_heart_without_contrast_may_be_scored() -> None:
    assert codes(chest(42), HEART) == []


@pytest.mark.parametrize("blood_hu", [150.0, 245.0, 391.0, 700.0])
def test_enhanced_blood_in_the_heart_is_contrast(blood_hu: float) -> None:
    assert codes(chest(blood_hu), HEART) == ["contrast"]


def test_an_empty_mask_is_no_heart() -> None:
    assert codes(chest(42), np.zeros(GRID.shape, bool)) == ["no_heart"]


@pytest.mark.parametrize("radii", [(20.0, 20.0, 20.0), (80.0, 80.0, 85.0), (85.0, 18.0, 55.0)])
def test_a_mask_of_an_implausible_size_is_no_heart(radii: tuple[float, float, float]) -> None:
    assert "no_heart" in codes(chest(42), ellipsoid((0, 0, 15), radii))


def test_crumbs_beside_the_heart_do_not_matter() -> None:
    crumbs = HEART.copy()
    crumbs[0, :3, :3] = True
    assert codes(chest(42), crumbs) == []


@pytest.mark.parametrize(("first", "cut"), [(15, False), (16, False), (20, True), (30, True)])
def test_a_heart_cut_by_the_first_slice_is_truncated(first: int, cut: bool) -> None:
    scan = chest(42)
    part = Volume(scan.array[first:], scan.spacing_mm)
    found = [r.code for r in judge_heart(part, part.with_array(HEART[first:]))]
    assert ("heart_truncated" in found) == cut
    assert "no_heart" not in found


def test_a_heart_cut_by_the_last_slice_or_the_field_of_view_is_truncated() -> None:
    scan = chest(42)
    for part in (np.s_[:28], np.s_[:, :40], np.s_[:, :, 50:]):
        volume = Volume(scan.array[part], scan.spacing_mm)
        found = [r.code for r in judge_heart(volume, volume.with_array(HEART[part]))]
        assert "heart_truncated" in found


def test_a_mask_on_another_grid_is_not_judged() -> None:
    with pytest.raises(ValueError, match="resample"):
        judge_heart(chest(42), Volume(HEART, (3.0, 3.0, 3.1)))


def test_enhanced_vessels_are_found_without_a_heart_mask() -> None:
    reason = great_vessels_contrast(chest(300))
    assert reason is not None
    assert (reason.code, reason.severity) == ("contrast", "refuse")


def test_blood_without_contrast_is_not_taken_for_enhanced_vessels() -> None:
    assert great_vessels_contrast(chest(42)) is None


def test_a_stomach_full_of_contrast_under_the_lung_is_not_a_vessel() -> None:
    assert great_vessels_contrast(chest(42, stomach_hu=300.0)) is None


def test_a_dense_spine_is_not_a_vessel() -> None:
    assert great_vessels_contrast(chest(42, marrow_hu=250.0)) is None


@pytest.mark.parametrize(
    ("name", "enhanced"),
    [
        ("acrin_flt_breast_013", False),
        ("qrm_thorax_phantom", False),
        ("abdomen_3mm.nii.gz", False),
        ("ct_angiography_crop/ct_cropped.nii.gz", True),
    ],
)
def test_enhanced_vessels_in_real_scans(shared_data: Path, name: str, enhanced: bool) -> None:
    _, volume = read_scan(shared_data / name)
    assert (great_vessels_contrast(volume) is not None) == enhanced


def test_the_angiography_heart_is_refused_for_contrast(shared_data: Path) -> None:
    folder = shared_data / "ct_angiography_crop"
    _, volume = read_scan(folder / "ct_cropped.nii.gz")
    heart = read_image(folder / "heart.nii.gz")
    heart = resample_onto(heart.with_array(np.greater(heart.array, 0)), volume)
    assert "contrast" in [reason.code for reason in judge_heart(volume, heart)]


def test_a_cleaned_heart_is_one_part_without_holes() -> None:
    probability = np.where(HEART, 0.9, 0.05).astype(np.float32)
    probability[30, 40, 48:52] = 0.0
    probability[2:5, 2:5, 2:5] = 0.95
    heart = clean_heart(GRID.with_array(probability))
    assert heart.array.dtype == np.bool_
    assert heart.array[30, 40, 50]
    assert not heart.array[:8].any()
    dice = 2 * (heart.array & HEART).sum() / (heart.array.sum() + HEART.sum())
    assert dice > 0.99


def test_no_probability_is_no_heart() -> None:
    assert not clean_heart(GRID.with_array(np.zeros(GRID.shape, np.float32))).array.any()


def test_the_centre_of_mass_stands_in_patient_millimetres() -> None:
    assert centre_of_mass_mm(GRID.with_array(HEART)) == pytest.approx((0, 0, 15), abs=0.1)


def test_an_empty_heart_has_no_centre() -> None:
    with pytest.raises(ValueError, match="empty"):
        centre_of_mass_mm(GRID.with_array(np.zeros(GRID.shape, bool)))


def test_bone_and_cartilage_are_cut_out_of_a_mask_and_calcium_is_kept() -> None:
    hu = np.full((40, 60, 60), 40, np.int16)
    hu[:, 10:14, :] = 250  # a rib that the mask reaches over: 12 cm³
    hu[20, 40, 40] = 600  # a lesion
    volume = Volume(hu, (2.0, 2.0, 2.0))
    mask = np.zeros(hu.shape, bool)
    mask[5:35, 8:55, 5:55] = True
    kept = without_chest_wall(volume.with_array(mask), volume).array
    assert not kept[:, 10:14].any()
    assert not kept[:, 8:10].any(), "what lies beyond the rib is no heart"
    assert kept[20, 40, 40]
    assert kept.sum() > 0.8 * mask[:, 16:].sum()


def test_the_cut_leaves_a_simulated_heart_as_it_is() -> None:
    scan = simulate_scan(Person.draw(704), breath_hold=True, field_of_view="heart")
    kept = without_chest_wall(scan.heart, scan.image).array
    assert kept.sum() > 0.95 * scan.heart.array.sum()
