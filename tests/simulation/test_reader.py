import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cacnb.ct.volume import Volume
from cacnb.simulation.reader import (
    BRUSH_RADIUS_MM,
    SEEN_AT_CNR,
    contrast_to_noise,
    label_slices,
    local_noise_hu,
    paint_regions,
    pick_lesions,
)

NOISE_HU = 20.0


def blank(value: float = 0.0, slices: int = 6) -> Volume:
    return Volume(np.full((slices, 40, 40), value, np.float32), (3.0, 1.0, 1.0))


def noisy(slices: int = 6, seed: int = 0) -> Volume:
    rng = np.random.default_rng(seed)
    return blank().with_array(rng.normal(40, NOISE_HU, (slices, 40, 40)).astype(np.float32))


def everywhere() -> Volume:
    return blank().with_array(np.ones((6, 40, 40), bool))


def test_the_reader_measures_the_noise_in_the_heart() -> None:
    found = local_noise_hu(noisy(), everywhere())
    np.testing.assert_allclose(found, NOISE_HU, rtol=0.1)


def test_a_slice_without_heart_takes_the_noise_of_the_others() -> None:
    heart = everywhere()
    heart.array[[0, 5]] = False
    found = local_noise_hu(noisy(), heart)
    assert found[0] == found[5] == np.median(found[1:5])


def test_without_a_heart_the_noise_is_beyond_all_bounds() -> None:
    heart = blank().with_array(np.zeros((6, 40, 40), bool))
    assert np.isinf(local_noise_hu(noisy(), heart)).all()


def test_contrast_to_noise_grows_with_the_square_root_of_the_area() -> None:
    calcium = blank()
    calcium.array[1, 10:12, 10:12] = 100.0
    calcium.array[2, 10:14, 10:14] = 100.0
    calcium.array[3, 10:12, 10:12] = 29.0
    cnr = contrast_to_noise(calcium, np.full(6, NOISE_HU))
    np.testing.assert_allclose(cnr, [0, 5, 10, 0, 0, 0])


def test_the_brightest_of_two_lesions_decides() -> None:
    calcium = blank()
    calcium.array[1, 10:12, 10:12] = 60.0
    calcium.array[1, 30:32, 30:32] = 200.0
    assert contrast_to_noise(calcium, np.full(6, NOISE_HU))[1] == pytest.approx(10.0)


@given(with_calcium=hnp.arrays(bool, 6), seed=st.integers(0, 1000), peak=st.floats(0, 900))
@settings(max_examples=25, deadline=None)
def test_the_reader_marks_nothing_where_no_calcium_is(
    with_calcium: np.ndarray, seed: int, peak: float
) -> None:
    calcium = blank()
    calcium.array[with_calcium, 18:22, 18:22] = peak
    seen = label_slices(noisy(), calcium, everywhere(), np.random.default_rng(seed))
    assert not seen[~with_calcium].any()


def test_bright_calcium_is_always_seen_and_borderline_calcium_half_of_the_time() -> None:
    bright, borderline = blank(), blank()
    bright.array[:, 18:22, 18:22] = 400.0
    side = 4
    measured = local_noise_hu(noisy(), everywhere())
    borderline.array[:, 18 : 18 + side, 18 : 18 + side] = (
        SEEN_AT_CNR * measured[:, None, None] / (side**2 / 4.0) ** 0.5
    )
    rng = np.random.default_rng(0)
    for _ in range(10):
        assert label_slices(noisy(), bright, everywhere(), rng).all()
    share = np.mean([label_slices(noisy(), borderline, everywhere(), rng) for _ in range(60)])
    assert share == pytest.approx(0.5, abs=0.1)


def test_a_region_is_painted_with_a_brush_of_one_centimetre_on_the_slices_seen() -> None:
    lad, lcx, rca = blank(), blank(), blank()
    lad.array[1:3, 10, 10] = 200.0
    rca.array[2, 30, 30] = 200.0
    seen = np.array([False, False, True, True, False, False])
    regions = paint_regions({"LAD": lad, "LCX": lcx, "RCA": rca}, seen).array
    assert sorted(np.unique(regions)) == [0, 1, 3]
    assert np.flatnonzero(regions.any(axis=(1, 2))).tolist() == [2]
    at = np.argwhere(regions[2] == 1)
    reach = np.linalg.norm(at - (10, 10), axis=1)
    assert reach.max() == BRUSH_RADIUS_MM
    assert len(at) == np.sum(np.hypot(*np.mgrid[-6:7, -6:7]) <= BRUSH_RADIUS_MM), (
        "the brush is a full disc"
    )


def test_a_clinical_reader_picks_bright_voxels_of_coronary_calcium_alone() -> None:
    image, calcium = blank(40.0), blank()
    calcium.array[2, 10:13, 10:13] = 200.0
    calcium.array[3, 20:23, 20:23] = 60.0
    image.array[...] += calcium.array
    image.array[4, 30:33, 30:33] = 500.0
    picked = pick_lesions(image, calcium).array
    assert picked.dtype == np.bool_
    np.testing.assert_array_equal(picked, calcium.array > 100)


def test_noise_on_the_faint_rim_of_nothing_is_not_picked() -> None:
    image, calcium = blank(140.0), blank(2.0)
    assert not pick_lesions(image, calcium).array.any()
