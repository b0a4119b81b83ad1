import numpy as np
import pytest
from scipy import ndimage

from cacnb.ct.volume import Volume
from cacnb.errors import UsageError
from cacnb.scoring.agatston_steps import STEP_COLUMNS, adjusted_steps, clinical_steps
from cacnb.scoring.clinical import score_clinically
from cacnb.scoring.conventions import CONVENTIONS, convention
from cacnb.scoring.proposed import score_map

WEIGHTED = [name for name, rules in CONVENTIONS.items() if rules.weight_from != "no weights"]


def speckled(seed: int, spacing_mm: tuple[float, float, float]) -> tuple[Volume, Volume]:
    """A scan of many touching and parted spots around the thresholds, and a region of most of it.

    HU are whole numbers, as in a scan.
    """
    generator = np.random.default_rng(seed)
    blurred = ndimage.gaussian_filter(generator.normal(size=(9, 40, 40)), (0.7, 1.2, 1.2))
    scan = Volume(np.rint(1500 * blurred - 120).astype(np.float32), spacing_mm, (5.0, -3.0, 2.0))
    region = np.zeros(scan.shape, bool)
    region[1:8, 4:38, 3:36] = True
    return scan, scan.with_array(region)


@pytest.mark.parametrize("name", WEIGHTED)
@pytest.mark.parametrize(
    ("spacing_mm", "thickness_mm"), [((3.0, 0.7, 0.7), None), ((1.5, 0.49, 0.49), 2.5)]
)
def test_the_steps_of_each_convention_add_up_to_exactly_its_score(name, spacing_mm, thickness_mm):
    scan, region = speckled(3, spacing_mm)
    rules = convention(name)
    score = score_clinically(scan, region, rules, slice_thickness_mm=thickness_mm)
    found = clinical_steps(scan, region, rules, slice_thickness_mm=thickness_mm)
    assert len(score.lesions) > 10
    assert found.agatston == score.agatston
    assert found.by_lesion.to_numpy().tolist() == score.lesions["agatston"].tolist()
    assert found.steps["voxels"].sum() == score.lesions["voxels"].sum()
    assert tuple(found.steps) == STEP_COLUMNS


def test_each_step_multiplies_area_weight_and_thickness():
    scan, region = speckled(5, (1.5, 0.6, 0.6))
    steps = clinical_steps(scan, region).steps
    product = steps["area_mm2"] * steps["weight"] * steps["thickness_factor"]
    assert np.allclose(product, steps["agatston"])
    assert np.allclose(steps["area_mm2"] * steps["weight"], steps["product_mm2"])
    assert set(steps["thickness_factor"]) == {0.5}
    assert set(steps["weight"]) == {1, 2, 3, 4}
    assert convention().weight(steps["peak_hu"].to_numpy()).tolist() == steps["weight"].tolist()


def test_a_slice_of_a_step_is_the_scans_slice_that_shows_it():
    scan, region = speckled(5, (3.0, 0.6, 0.6))
    found = clinical_steps(scan, region)
    labels = score_clinically(scan, region, convention()).lesion_labels.array
    for row in found.steps.head(12).itertuples():
        assert (labels[row.slice] == row.lesion).any()
        assert row.peak_hu in scan.array[row.slice][labels[row.slice] == row.lesion]


def test_a_convention_that_weighs_by_the_whole_lesion_says_that_maximum_in_each_slice():
    hu = np.zeros((2, 6, 6), np.float32)
    hu[0, 1:4, 1:4], hu[1, 1:4, 1:4] = 150, 420
    scan = Volume(hu, (3.0, 1.0, 1.0))
    everywhere = scan.with_array(np.ones(scan.shape, bool))
    by_lesion = clinical_steps(scan, everywhere, convention("ai-cac")).steps
    by_slice = clinical_steps(scan, everywhere, convention("qurai")).steps
    assert by_lesion["weight"].tolist() == [4, 4]
    assert by_slice["weight"].tolist() == [1, 4]


def test_the_steps_of_the_adjusted_score_add_up_to_exactly_it():
    scan, region = speckled(7, (1.5, 0.7, 0.7))
    cac_map = scan.with_array(np.where(region.array & (scan.array > 90), scan.array - 60, 0))
    score, found = score_map(cac_map, scan), adjusted_steps(cac_map, scan)
    assert len(score.lesions) > 5
    assert found.agatston == score.agatston_adjusted
    assert found.by_lesion.to_numpy().tolist() == score.lesions["agatston_adjusted"].tolist()
    below = found.steps[found.steps["peak_hu"] < 130]
    assert len(below)
    assert set(below["weight"]) == {1}


def test_nothing_found_has_no_steps_and_a_score_of_0():
    empty = Volume(np.zeros((2, 4, 4), np.float32), (3.0, 1.0, 1.0))
    nowhere = empty.with_array(np.zeros(empty.shape, bool))
    for found in (clinical_steps(empty, nowhere), adjusted_steps(empty, empty)):
        assert (len(found.steps), len(found.by_lesion), found.agatston) == (0, 0, 0.0)


def test_a_convention_without_weights_has_no_steps():
    scan, region = speckled(1, (3.0, 1.0, 1.0))
    with pytest.raises(UsageError, match="no density weights"):
        clinical_steps(scan, region, convention("orcascore"))
