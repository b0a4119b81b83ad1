import json
from dataclasses import replace
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cacnb.ct.volume import Volume
from cacnb.errors import InputError, UsageError
from cacnb.scoring.clinical import CLINICAL_COLUMNS, score_clinically
from cacnb.scoring.conventions import CONVENTIONS, convention

LITERATURE = convention("literature")


def scan_of(hu, spacing_mm=(3.0, 0.5, 0.5), origin_mm=(0.0, 0.0, 0.0)):
    return Volume(np.asarray(hu, dtype=np.float32), spacing_mm, origin_mm)


def soft_tissue(shape=(5, 12, 12), spacing_mm=(3.0, 0.5, 0.5), origin_mm=(0.0, 0.0, 0.0)):
    return scan_of(np.full(shape, 40.0), spacing_mm, origin_mm)


def everywhere(scan):
    return scan.with_array(np.ones(scan.shape, dtype=bool))


def score(scan, rule=LITERATURE, **options):
    return score_clinically(scan, everywhere(scan), rule, **options)


def test_a_scan_without_calcium_scores_zero():
    scores = score(soft_tissue())
    assert (scores.agatston, scores.volume_mm3, scores.pseudo_mass_hu_mm3) == (0.0, 0.0, 0.0)
    assert scores.risk_category == "I"
    assert tuple(scores.lesions.columns) == CLINICAL_COLUMNS
    assert len(scores.lesions) == 0
    assert not scores.lesion_labels.array.any()


def test_an_empty_region_scores_zero():
    scan = soft_tissue()
    scores = score_clinically(scan, scan.with_array(np.zeros(scan.shape, dtype=bool)), LITERATURE)
    assert scores.agatston == 0.0


def test_one_lesion_scores_area_times_weight_in_each_slice():
    scan = soft_tissue(origin_mm=(100.0, -20.0, 10.0))
    scan.array[1, 2:4, 2:5] = 250.0
    scan.array[2, 2:4, 2:7] = 310.0
    scores = score(scan)
    assert scores.agatston == 6 * 0.25 * 2 + 10 * 0.25 * 3
    assert scores.volume_mm3 == 16 * 0.75
    assert scores.pseudo_mass_hu_mm3 == (6 * 250 + 10 * 310) * 0.75
    lesion = scores.lesions.iloc[0]
    assert (lesion.peak_hu, lesion.area_mm2, lesion.voxels) == (310.0, 2.5, 16)
    assert (lesion.first_slice, lesion.last_slice) == (1, 2)
    assert lesion.z_mm == pytest.approx(100 + 3 * (6 * 1 + 10 * 2) / 16)
    assert lesion.y_mm == pytest.approx(-20 + 0.5 * 2.5)
    assert lesion.x_mm == pytest.approx(10 + 0.5 * (6 * 3 + 10 * 4) / 16)


def test_exactly_130_hu_is_calcium_and_129_is_not():
    for hu, agatston in ((129.0, 0.0), (130.0, 1.5)):
        scan = soft_tissue()
        scan.array[1, 2:4, 2:5] = hu
        assert score(scan).agatston == agatston


def test_an_area_of_1_mm2_is_noise_and_more_is_a_lesion():
    for pixels, agatston in ((4, 0.0), (5, 1.25)):
        scan = soft_tissue()
        scan.array[1, 2, 2 : 2 + pixels] = 150.0
        assert score(scan).agatston == agatston


def test_pixels_that_touch_at_a_corner_are_one_component():
    scan = soft_tissue()
    scan.array[1, 2, 2:5] = 150.0
    scan.array[1, 3, 5:8] = 150.0
    assert score(scan).agatston == 6 * 0.25
    assert score(scan, CONVENTIONS["deepcac"]).agatston == 6 * 0.25
    four_neighbours = replace(LITERATURE, connectivity="2d-4")
    assert score(scan, four_neighbours).agatston == 0.0


def test_each_component_of_a_slice_has_its_own_weight():
    scan = soft_tissue()
    scan.array[1, 2:4, 2:5] = 450.0
    scan.array[1, 8:10, 2:5] = 150.0
    scores = score(scan)
    assert scores.agatston == 1.5 * 4 + 1.5
    assert sorted(scores.lesions.agatston) == [1.5, 6.0]


def test_components_that_touch_across_slices_are_one_lesion():
    scan = soft_tissue()
    scan.array[1, 2:4, 2:5] = 150.0
    scan.array[2, 2:4, 2:5] = 150.0
    scan.array[4, 2:4, 2:5] = 150.0
    scores = score(scan)
    assert scores.lesions.volume_mm3.tolist() == [9.0, 4.5]
    assert scores.lesion_labels.array.dtype == np.int32
    assert scores.lesion_labels.array[[1, 2, 4], 2, 2].tolist() == [1, 1, 2]


def test_calcium_outside_the_region_neither_counts_nor_weighs():
    scan = soft_tissue()
    scan.array[1, 2:4, 2:5] = 150.0
    scan.array[1, 2:4, 5:8] = 900.0
    region = np.zeros(scan.shape, dtype=bool)
    region[:, :, :5] = True
    scores = score_clinically(scan, scan.with_array(region), LITERATURE)
    assert scores.agatston == 1.5
    assert scores.lesions.peak_hu.tolist() == [150.0]


def test_the_slice_thickness_scales_agatston_and_the_spacing_scales_volume():
    scan = soft_tissue(spacing_mm=(4.0, 0.5, 0.5))
    scan.array[1, 2:4, 2:5] = 150.0
    scores = score(scan, slice_thickness_mm=5.0)
    assert scores.agatston == pytest.approx(1.5 * 5 / 3)
    assert scores.volume_mm3 == 6.0
    assert score(scan).agatston == pytest.approx(1.5 * 4 / 3)


def test_a_calibration_factor_turns_pseudo_mass_into_mg():
    scan = soft_tissue()
    scan.array[1, 2:4, 2:5] = 200.0
    assert score(scan).mass_mg is None
    assert score(scan, calibration_mg_per_hu_mm3=0.0008).mass_mg == pytest.approx(900 * 0.0008)


def test_a_threshold_may_be_named_for_another_tube_voltage():
    scan = soft_tissue()
    scan.array[1, 2:4, 2:5] = 140.0
    scores = score(scan, threshold_hu=147.0)
    assert (scores.agatston, scores.threshold_hu) == (0.0, 147.0)


def two_lesions_and_two_specks():
    """A lesion over three slices with a faint end, a small one above 400 HU, specks of 4 and 3 px.

    Columns of 0.5 mm; SliceThickness = 3 mm, spacing 1.5 mm.
    """
    scan = soft_tissue(shape=(6, 20, 20), spacing_mm=(1.5, 0.5, 0.5))
    scan.array[1, 2:5, 2:5] = 210.0  # 9 px, weight 2
    scan.array[2, 2:5, 2:6] = 420.0  # 12 px, weight 4
    scan.array[3, 2:4, 2:5] = 130.0  # 6 px at the threshold, weight 1
    scan.array[1, 10:12, 10:13] = 199.0  # 6 px, weight 1, in Julia 2
    scan.array[4, 15, 2:6] = 150.0  # 4 px are exactly 1 mm²
    scan.array[5, 10, 15:18] = 350.0  # 3 px
    return scan


@pytest.mark.parametrize(
    ("name", "agatston", "voxels"),
    [
        # 8-connected, > 1 mm², SliceThickness / 3 = 1
        ("literature", 0.25 * (9 * 2 + 12 * 4 + 6 * 1 + 6 * 1), 33),
        # 3-D, ≥ 1.5 mm³ = 4 voxels, spacing / 3 = 0.5
        ("qurai", 0.125 * (9 * 2 + 12 * 4 + 6 + 6 + 4), 37),
        # 27 × 4 × 0.25 = 27, 1.5 → 2, 1 → 1, 3 px × 3 × 0.25 = 2.25 → 2
        ("ai-cac", 27 + 2 + 1 + 2, 40),
        # > 3 pixels; voxels of round(0.375 / 3, 3) = 0.125
        ("deepcac", 0.125 * (9 * 2 + 12 * 4 + 6 + 6 + 4), 37),
        # > 130 HU loses the faint end, ≥ 4 pixels, no thickness
        ("slicer", 0.25 * (9 * 2 + 12 * 4 + 6 + 4), 31),
        # > 128 HU, weight 2 from 199 HU
        ("calciumscoring.jl", 0.25 * (9 * 2 + 12 * 4 + 6 + 6 * 2 + 4), 37),
        ("orcascore", None, 34),
    ],
)
def test_one_lesion_set_scores_differently_by_each_convention(name, agatston, voxels):
    scores = score(two_lesions_and_two_specks(), convention(name), slice_thickness_mm=3.0)
    assert scores.agatston == agatston
    assert scores.volume_mm3 == voxels * 0.375
    assert scores.convention == name


def test_deepcac_rounds_its_voxel_and_each_component_to_3_decimals():
    scan = soft_tissue(spacing_mm=(2.5, 0.7, 0.7))
    scan.array[1, 2:4, 2:5] = 210.0
    voxel = round(2.5 * 0.7 * 0.7 / 3, 3)
    assert score(scan, convention("deepcac")).agatston == round(6 * voxel * 2, 3)


def test_a_convention_without_weights_has_volume_and_mass_but_no_agatston_score():
    scores = score(two_lesions_and_two_specks(), convention("orcascore"))
    assert scores.agatston is None
    assert scores.risk_category is None
    assert scores.pseudo_mass_hu_mm3 > 0
    assert all(lesion["agatston"] is None for lesion in scores.as_json()["lesions"])


def test_the_json_holds_plain_numbers():
    scores = score(two_lesions_and_two_specks(), slice_thickness_mm=3.0)
    printed = json.loads(json.dumps(scores.as_json(), allow_nan=False))
    assert printed["convention"] == "literature"
    assert printed["risk_category"] == "II"
    lesion = printed["lesions"][0]
    assert set(lesion) == set(CLINICAL_COLUMNS)
    assert lesion["voxels"] == 27


voxel_hu = hnp.arrays(
    np.int16,
    st.tuples(*[st.integers(1, 5)] * 3),
    elements=st.sampled_from([40, 130, 250, 350, 500]),
)


@settings(deadline=None)
@given(voxel_hu, st.sampled_from([name for name in CONVENTIONS if name != "orcascore"]))
def test_the_lesions_add_up_to_the_scan(hu, name):
    scan = scan_of(hu, spacing_mm=(2.5, 0.6, 0.6))
    scores = score(scan, convention(name))
    lesions = scores.lesions
    assert lesions.agatston.sum() == pytest.approx(scores.agatston)
    assert lesions.volume_mm3.sum() == pytest.approx(scores.volume_mm3)
    assert lesions.pseudo_mass_hu_mm3.sum() == pytest.approx(scores.pseudo_mass_hu_mm3)
    labels = scores.lesion_labels.array
    assert np.bincount(labels.ravel())[1:].tolist() == lesions.voxels.tolist()


def test_a_region_on_another_grid_is_refused():
    scan = soft_tissue()
    moved = Volume(np.ones(scan.shape, dtype=bool), scan.spacing_mm, (0.0, 0.0, 2.0))
    with pytest.raises(InputError, match="resample") as refusal:
        score_clinically(scan, moved, LITERATURE)
    assert refusal.value.code == "different_grid"


def test_a_region_of_numbers_is_refused():
    scan = soft_tissue()
    with pytest.raises(InputError, match="wanted bool") as refusal:
        score_clinically(scan, scan, LITERATURE)
    assert refusal.value.code == "not_a_mask"


@pytest.mark.parametrize("option", ["slice_thickness_mm", "calibration_mg_per_hu_mm3"])
def test_a_thickness_or_calibration_of_zero_is_refused(option):
    with pytest.raises(UsageError, match="positive number"):
        score(soft_tissue(), **{option: 0.0})


def test_a_whole_chest_is_scored_in_seconds():
    rng = np.random.default_rng(0)
    scan = scan_of(rng.normal(40, 30, (100, 512, 512)))
    start = perf_counter()
    score(scan)
    assert perf_counter() - start < 10
