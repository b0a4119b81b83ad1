import numpy as np
import pytest

from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.scoring.cac_map import clean_map, healthy_image, map_lesions

SHAPE = (3, 4, 4)
SPACING_MM = (1.5, 1.0, 1.0)


def grid(values, dtype=np.float32):
    return Volume(np.broadcast_to(values, SHAPE).astype(dtype), SPACING_MM)


def clean(map_hu=100.0, image=200.0, heart=True, positive=(True, True, True), smallest_hu=4.0):
    return clean_map(
        grid(map_hu), grid(image), grid(heart, bool), np.array(positive), smallest_hu=smallest_hu
    ).array


def test_calcium_in_soft_tissue_stays_as_it_is():
    assert (clean() == 100.0).all()


def test_a_voxel_whose_healthy_value_falls_below_minus_10_hu_is_noise():
    assert (clean(map_hu=210.0, image=200.0) == 210.0).all()
    assert (clean(map_hu=210.5, image=200.0) == 0.0).all()


def test_the_healthy_value_is_that_of_the_clipped_image_the_network_saw():
    assert (clean(map_hu=955.0, image=1200.0) == 955.0).all()
    assert (clean(map_hu=961.0, image=1200.0) == 0.0).all()
    assert (clean(map_hu=5.0, image=-900.0) == 0.0).all()


def test_nothing_outside_the_heart_or_on_negative_slices_is_scored():
    heart = np.zeros(SHAPE, dtype=bool)
    heart[:, 1:3, 1:3] = True
    cleaned = clean(heart=heart, positive=(False, True, False))
    assert cleaned[1, 1:3, 1:3].min() == 100.0
    assert cleaned.sum() == 400.0


def test_map_values_below_the_smallest_are_noise():
    assert (clean(map_hu=3.9) == 0.0).all()
    assert (clean(map_hu=4.0) == 4.0).all()


def test_a_negative_map_value_never_stays():
    assert (clean(map_hu=-5.0, smallest_hu=-10.0) == 0.0).all()


def test_the_healthy_image_is_the_image_less_its_map():
    assert (healthy_image(grid(300.0), grid(260.0)).array == 40.0).all()


def test_a_map_with_nan_is_refused():
    with pytest.raises(InputError, match="no numbers"):
        clean(map_hu=np.nan)


def test_a_call_for_every_slice_is_wanted():
    with pytest.raises(InputError, match="each of the 3 slices"):
        clean(positive=(True, False))


def two_lesions():
    """A lesion of 3 × 50 HU over all slices in one column, and one of 80 HU in a corner."""
    values = np.zeros(SHAPE, np.float32)
    values[:, 0, 0] = 50.0
    values[1, 3, 3] = 80.0
    return grid(values)


def test_a_lesion_takes_the_highest_probability_of_its_slices():
    found = map_lesions(two_lesions(), grid(True, bool), np.array([0.9, 0.2, 0.1]))
    np.testing.assert_allclose(found.probability, [0.9, 0.2])
    np.testing.assert_array_equal(found.voxels, [3, 1])
    np.testing.assert_allclose(found.mass_hu_mm3, [150 * 1.5, 80 * 1.5])


def test_a_lesion_is_near_the_arteries_by_the_share_of_its_mass():
    near = np.zeros(SHAPE, bool)
    near[:2] = True
    found = map_lesions(two_lesions(), grid(near, bool), np.ones(3))
    np.testing.assert_allclose(found.near_share, [2 / 3, 1.0])


def test_lesions_are_kept_whole_or_not_at_all():
    found = map_lesions(two_lesions(), grid(True, bool), np.ones(3))
    kept = found.kept(two_lesions(), np.array([True, False])).array
    assert kept.sum() == 150.0
    assert kept[1, 3, 3] == 0.0


def test_an_empty_map_has_no_lesions():
    found = map_lesions(grid(0.0), grid(True, bool), np.ones(3))
    assert len(found.voxels) == 0
    assert not found.kept(grid(0.0), np.zeros(0, bool)).array.any()


def test_a_region_on_another_grid_is_refused():
    region = Volume(np.ones((3, 4, 5), bool), SPACING_MM)
    with pytest.raises(InputError, match="region near the arteries"):
        map_lesions(two_lesions(), region, np.ones(3))


def three_lesions(probability=(0.9, 0.2, 0.2), near=(True, True, True)):
    """A certain lesion of 3 voxels, a faint one of 3, and one of 2, each in a slice of its own."""
    values = np.zeros((5, 4, 4), np.float32)
    values[0, 0, :3], values[2, 0, :3], values[4, 0, :2] = 200.0, 10.0, 200.0
    cac_map = Volume(values, SPACING_MM)
    where = np.zeros(values.shape, bool)
    where[[0, 2, 4]] = np.array(near)[:, None, None]
    each = np.zeros(5)
    each[[0, 2, 4]] = probability
    return map_lesions(cac_map, cac_map.with_array(where), each)


def test_where_one_lesion_is_certain_the_faint_ones_count_too():
    assert three_lesions().counted(0.5, 500.0).tolist() == [True, True, False]


def test_where_no_lesion_is_certain_none_counts():
    assert not three_lesions((0.4, 0.2, 0.2)).counted(0.5, 500.0).any()
    assert not three_lesions().counted(0.5, 1000.0).any()


def test_probability_and_mass_must_be_one_lesions():
    assert not three_lesions((0.1, 0.9, 0.1)).counted(0.5, 500.0).any()


def test_a_lesion_off_the_arteries_neither_counts_nor_vouches_for_others():
    far = three_lesions(near=(False, True, True))
    assert not far.counted(0.5, 500.0).any()
    assert far.counted(0.5, 500.0, near_arteries=False).tolist() == [True, True, False]


def test_an_empty_map_counts_nothing():
    assert map_lesions(grid(0.0), grid(True, bool), np.ones(3)).counted(0.0, 0.0).tolist() == []
