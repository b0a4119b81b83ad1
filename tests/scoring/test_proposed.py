import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cacnb.ct.volume import Volume
from cacnb.errors import UsageError
from cacnb.scoring.clinical import score_clinically
from cacnb.scoring.conventions import SmallestSize, convention
from cacnb.scoring.proposed import PROPOSED_COLUMNS, score_map

SPACING_MM = (1.5, 0.5, 0.5)


def drawn(shape=(5, 10, 10), hu=0.0):
    return Volume(np.full(shape, hu, dtype=np.float32), SPACING_MM, (10.0, 20.0, 30.0))


def test_an_empty_map_scores_zero():
    scores = score_map(drawn(), drawn(hu=40.0))
    assert (scores.pseudo_mass_hu_mm3, scores.agatston_adjusted, scores.volume_mm3) == (0, 0, 0)
    assert scores.risk_category == "I"
    assert tuple(scores.lesions.columns) == PROPOSED_COLUMNS


def test_a_lesion_below_130_hu_counts_only_when_adjusted():
    image, cac_map = drawn(hu=40.0), drawn()
    image.array[2, 2:4, 2:5] = 120.0
    cac_map.array[2, 2:4, 2:5] = 80.0
    scores = score_map(cac_map, image)
    everywhere = image.with_array(np.ones(image.shape, dtype=bool))
    assert score_clinically(image, everywhere, convention("literature")).agatston == 0.0
    assert scores.agatston_adjusted == 6 * 0.25 * 1 * 0.5
    assert scores.pseudo_mass_hu_mm3 == 6 * 80 * 0.375


def test_the_weight_is_from_the_image_and_the_mass_from_the_map():
    image, cac_map = drawn(hu=40.0), drawn()
    image.array[2, 2, 2:5] = (150.0, 410.0, 150.0)
    image.array[3, 2, 2:5] = (150.0, 199.0, 150.0)
    cac_map.array[2:4, 2, 2:5] = 90.0
    lesion = score_map(cac_map, image).lesions.iloc[0]
    assert lesion.agatston_adjusted == (3 * 4 + 3 * 1) * 0.25 * 0.5
    assert (lesion.peak_hu, lesion.peak_map_hu, lesion.area_mm2) == (410.0, 90.0, 0.75)
    assert (lesion.first_slice, lesion.last_slice) == (2, 3)
    assert (lesion.z_mm, lesion.y_mm, lesion.x_mm) == (10 + 1.5 * 2.5, 21.0, 31.5)


def test_a_lesion_that_is_too_small_leaves_table_and_scores():
    image, cac_map = drawn(hu=300.0), drawn()
    cac_map.array[1, 1, 1:3] = 500.0
    cac_map.array[3, 5, 1:4] = 10.0
    assert score_map(cac_map, image).pseudo_mass_hu_mm3 == 30 * 0.375
    both = score_map(cac_map, image, smallest_lesion_voxels=1)
    assert both.lesions.volume_mm3.tolist() == [0.75, 1.125]
    heavy = score_map(cac_map, image, smallest_lesion_voxels=1, smallest_mass_hu_mm3=100.0)
    assert heavy.lesions.lesion.tolist() == [1]
    assert heavy.pseudo_mass_hu_mm3 == 1000 * 0.375
    assert heavy.lesion_labels.array[3, 5, 1] == 0


def test_lesions_that_touch_at_a_corner_across_slices_are_one():
    image, cac_map = drawn(hu=300.0), drawn()
    cac_map.array[1, 1, 1] = cac_map.array[2, 2, 2] = cac_map.array[3, 3, 3] = 50.0
    assert score_map(cac_map, image).lesions.voxels.tolist() == [3]


def test_an_artery_is_named_from_the_voxels_of_a_lesion():
    image, cac_map = drawn(hu=300.0), drawn()
    cac_map.array[1, 1, 1:4] = 50.0
    cac_map.array[1, 8, 1:4] = 50.0
    named = score_map(cac_map, image, artery_of=lambda zyx: "LAD" if zyx[:, 1].max() < 5 else None)
    assert [lesion["artery"] for lesion in named.as_json()["lesions"]] == ["LAD", None]
    unnamed = score_map(cac_map, image)
    assert [lesion["artery"] for lesion in unnamed.as_json()["lesions"]] == [None, None]


def test_a_calibration_factor_turns_pseudo_mass_into_mg():
    image, cac_map = drawn(hu=300.0), drawn()
    cac_map.array[1, 1, 1:5] = 50.0
    assert score_map(cac_map, image).mass_mg is None
    assert score_map(cac_map, image, calibration_mg_per_hu_mm3=0.001).mass_mg == 0.075
    with pytest.raises(UsageError, match="positive number"):
        score_map(cac_map, image, calibration_mg_per_hu_mm3=-1.0)


def test_the_json_holds_plain_numbers():
    image, cac_map = drawn(hu=300.0), drawn()
    cac_map.array[1, 1, 1:5] = 50.0
    printed = json.loads(json.dumps(score_map(cac_map, image).as_json(), allow_nan=False))
    wanted = {"pseudo_mass_hu_mm3", "agatston_adjusted", "volume_mm3", "risk_category", "lesions"}
    assert wanted <= set(printed)
    assert set(printed["lesions"][0]) == set(PROPOSED_COLUMNS)


hu_images = hnp.arrays(
    np.int16,
    st.tuples(*[st.integers(1, 6)] * 3),
    elements=st.one_of(st.just(40), st.integers(100, 500)),
)
spacings = st.tuples(*[st.floats(0.3, 5.0, allow_subnormal=False)] * 3)


@settings(deadline=None)
@given(hu_images, spacings)
def test_adjusted_and_conventional_scores_agree_exactly_on_a_130_hu_mask(hu, spacing_mm):
    image = Volume(hu.astype(np.float32), spacing_mm)
    mask = hu >= 130
    conventional = replace(convention("qurai"), smallest=SmallestSize())
    clinical = score_clinically(image, image.with_array(np.ones_like(mask)), conventional)
    proposed = score_map(
        image.with_array(np.where(mask, image.array, 0)), image, smallest_lesion_voxels=1
    )
    assert proposed.agatston_adjusted == clinical.agatston
    assert proposed.volume_mm3 == clinical.volume_mm3
    assert proposed.pseudo_mass_hu_mm3 == clinical.pseudo_mass_hu_mm3
    assert proposed.risk_category == clinical.risk_category
