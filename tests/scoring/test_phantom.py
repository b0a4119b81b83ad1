"""A real scan of the QRM thorax phantom: nine hydroxyapatite cylinders of known size and density.

By the literature convention (Agatston, volume in mm³, pseudo-mass in HU·mm³), 120 kVp,
0.488 × 0.488 × 3.0 mm, regions of 12, 9 and 5 pixels' radius on slices 20–24:

    diameter  mg/cm³   Agatston     volume   pseudo-mass
    5 mm         800  402.93965  302.20474    131253.304
    5 mm         400  238.38214  216.47290     66187.124
    5 mm         200  138.59981  167.17709     35140.767
    3 mm         800   88.11328   82.15968     28950.214
    3 mm         400   69.53805   58.58342     15071.657
    3 mm         200   22.86182   34.29274      6582.776
    1 mm         800    6.19174    9.28762      1578.180
    1 mm         400          0          0             0
    1 mm         200          0          0             0

The two faintest 1 mm inserts have no component above 1 mm² in this scan.
"""

import numpy as np
import pydicom
import pytest

from cacnb.ct.volume import Volume
from cacnb.scoring.clinical import score_clinically
from cacnb.scoring.conventions import convention

#: Centre (row, column) of each insert by (diameter in mm, density in mg/cm³).
CENTRES = {
    (5, 800): (220, 180), (5, 400): (151, 291), (5, 200): (281, 299),
    (3, 800): (221, 206), (3, 400): (173, 280), (3, 200): (260, 285),
    (1, 800): (220, 231), (1, 400): (195, 268), (1, 200): (239, 271),
}  # fmt: skip
RADIUS_PX = {5: 12, 3: 9, 1: 5}
CALCIUM_SLICES = slice(20, 25)

#: Agatston, volume in mm³ and pseudo-mass in HU·mm³, as in the table above.
TABLE = {
    (5, 800): (402.93965, 302.20474, 131253.304),
    (5, 400): (238.38214, 216.47290, 66187.124),
    (5, 200): (138.59981, 167.17709, 35140.767),
    (3, 800): (88.11328, 82.15968, 28950.214),
    (3, 400): (69.53805, 58.58342, 15071.657),
    (3, 200): (22.86182, 34.29274, 6582.776),
    (1, 800): (6.19174, 9.28762, 1578.180),
    (1, 400): (0.0, 0.0, 0.0),
    (1, 200): (0.0, 0.0, 0.0),
}


@pytest.fixture(scope="module")
def phantom(shared_data):
    """The scan in HU, slices from the feet up."""
    slices = [pydicom.dcmread(path) for path in (shared_data / "qrm_thorax_phantom").iterdir()]
    slices.sort(key=lambda one: float(one.ImagePositionPatient[2]))
    hu = np.stack(
        [one.pixel_array * float(one.RescaleSlope) + float(one.RescaleIntercept) for one in slices]
    )
    first, second = (float(one.ImagePositionPatient[2]) for one in slices[:2])
    row_mm, column_mm = map(float, slices[0].PixelSpacing)
    return Volume(hu.astype(np.float32), (second - first, row_mm, column_mm), (first, 0.0, 0.0))


@pytest.fixture(scope="module")
def scores(phantom):
    return {
        insert: score_clinically(
            phantom, region_of(phantom, insert), convention("literature"), slice_thickness_mm=3.0
        )
        for insert in CENTRES
    }


def region_of(phantom, insert):
    row, column = CENTRES[insert]
    rows, columns = np.ogrid[: phantom.shape[1], : phantom.shape[2]]
    disk = (rows - row) ** 2 + (columns - column) ** 2 <= RADIUS_PX[insert[0]] ** 2
    region = np.zeros(phantom.shape, dtype=bool)
    region[CALCIUM_SLICES] = disk
    return phantom.with_array(region)


def literature_by_hand(hu, region, thickness_mm, row_mm, column_mm):
    """The literature convention again, voxel by voxel, sharing no code with the package."""
    agatston = volume = mass = 0.0
    for image, inside in zip(hu, region, strict=True):
        waiting = {
            (row, column)
            for row in range(image.shape[0])
            for column in range(image.shape[1])
            if inside[row, column] and image[row, column] >= 130
        }
        while waiting:
            component, reached = [], [waiting.pop()]
            while reached:
                row, column = reached.pop()
                component.append(int(image[row, column]))
                for y in (row - 1, row, row + 1):
                    for x in (column - 1, column, column + 1):
                        if (y, x) in waiting:
                            waiting.remove((y, x))
                            reached.append((y, x))
            area = len(component) * row_mm * column_mm
            if area <= 1:
                continue
            weight = 1 + (max(component) >= 200) + (max(component) >= 300) + (max(component) >= 400)
            agatston += area * weight * thickness_mm / 3
            volume += area * thickness_mm
            mass += sum(component) * row_mm * column_mm * thickness_mm
    return agatston, volume, mass


def test_the_phantom_is_the_scan_that_its_readme_describes(phantom):
    assert phantom.shape == (47, 512, 512)
    assert phantom.spacing_mm == (3.0, 0.488, 0.488)


def test_the_inserts_stand_at_three_angles_at_the_same_radii(phantom):
    large = np.array([CENTRES[5, density] for density in (800, 400, 200)], dtype=float)
    # the circle through the three large inserts
    centre = np.linalg.solve(
        2 * (large[1:] - large[0]), (large[1:] ** 2 - large[0] ** 2).sum(axis=1)
    )
    for density in (800, 400, 200):
        offsets = [(np.array(CENTRES[size, density]) - centre) * 0.488 for size in (5, 3, 1)]
        radii = [np.hypot(*offset) for offset in offsets]
        angles = np.unwrap([np.arctan2(*offset) for offset in offsets])
        assert np.diff(radii) == pytest.approx([-12.5, -12.5], abs=0.6)
        assert np.ptp(np.degrees(angles)) < 6


@pytest.mark.parametrize("insert", CENTRES, ids=lambda insert: f"{insert[0]}mm_{insert[1]}mg_cm3")
def test_each_insert_scores_as_counted_by_hand(phantom, scores, insert):
    row, column = CENTRES[insert]
    box = (CALCIUM_SLICES, slice(row - 15, row + 16), slice(column - 15, column + 16))
    by_hand = literature_by_hand(
        phantom.array[box], region_of(phantom, insert).array[box], 3.0, 0.488, 0.488
    )
    ours = scores[insert]
    measured = (ours.agatston, ours.volume_mm3, ours.pseudo_mass_hu_mm3)
    assert measured == pytest.approx(by_hand, rel=1e-12)
    assert [round(value, 5) for value in measured[:2]] == list(TABLE[insert][:2])
    assert round(measured[2], 3) == TABLE[insert][2]


@pytest.mark.parametrize("quantity", ["agatston", "volume_mm3", "pseudo_mass_hu_mm3"])
def test_a_denser_or_larger_insert_never_scores_less(scores, quantity):
    def measured(*insert):
        return getattr(scores[insert], quantity)

    for size in (5, 3, 1):
        assert measured(size, 800) >= measured(size, 400) >= measured(size, 200)
    for density in (800, 400, 200):
        assert measured(5, density) > measured(3, density) > measured(1, density) - 1e-9


def test_pseudo_mass_follows_the_true_mass_of_the_large_inserts(scores):
    masses = [scores[5, density].pseudo_mass_hu_mm3 for density in (200, 400, 800)]
    assert np.corrcoef([200, 400, 800], masses)[0, 1] > 0.999


def test_the_whole_phantom_region_adds_up_the_inserts_that_stand_apart(phantom, scores):
    large = [(5, 800), (5, 400), (5, 200)]
    together = phantom.with_array(
        np.any([region_of(phantom, insert).array for insert in large], axis=0)
    )
    total = score_clinically(phantom, together, convention("literature")).agatston
    assert total == pytest.approx(sum(scores[insert].agatston for insert in large))


def test_the_calcium_of_one_insert_scores_differently_by_each_convention(phantom):
    region = region_of(phantom, (5, 400))
    measured = {
        name: score_clinically(phantom, region, convention(name)).agatston
        for name in ("literature", "qurai", "ai-cac", "deepcac", "slicer", "calciumscoring.jl")
    }
    assert len(set(measured.values())) >= 4
    assert max(measured.values()) / min(measured.values()) > 1.03
