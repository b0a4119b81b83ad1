import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cacnb.ct.grids import crop_heart, resample, resample_onto, to_scan_grid
from cacnb.ct.volume import Volume


def ball(spacing_mm: tuple[float, float, float], shape: tuple[int, int, int]) -> Volume:
    grid = Volume(np.zeros(shape, bool), spacing_mm, (-30.0, -30.0, -30.0))
    z, y, x = (grid.axis_mm(axis) for axis in range(3))
    return grid.with_array(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 < 20.0**2)


def edges(volume: Volume) -> np.ndarray:
    first = np.subtract(volume.origin_mm, np.divide(volume.spacing_mm, 2))
    return np.stack([first, first + np.multiply(volume.shape, volume.spacing_mm)])


def test_a_resampled_scan_covers_the_same_extent() -> None:
    scan = Volume(np.zeros((49, 51, 52), np.float32), (4.0, 1.367, 1.367), (-699.0, -50.0, 20.0))
    fine = resample(scan, (3.0, 1.5, 1.5))
    assert fine.spacing_mm == (3.0, 1.5, 1.5)
    assert np.abs(edges(fine) - edges(scan)).max() <= 0.75
    assert fine.array.dtype == np.float32


def test_a_linear_ramp_stays_a_linear_ramp() -> None:
    scan = Volume(np.zeros((10, 40, 40), np.float32), (3.0, 0.7, 0.7), (5.0, -3.0, 2.0))
    ramp = scan.axis_mm(0)[:, None, None] + 2 * scan.axis_mm(1)[:, None] - scan.axis_mm(2)
    coarse = resample(scan.with_array(ramp.astype(np.float32)), (1.5, 1.0, 1.0))
    want = coarse.axis_mm(0)[:, None, None] + 2 * coarse.axis_mm(1)[:, None] - coarse.axis_mm(2)
    inside = (slice(2, -2), slice(4, -4), slice(4, -4))
    np.testing.assert_allclose(coarse.array[inside], want[inside], atol=1e-3)


def test_the_same_spacing_changes_nothing() -> None:
    scan = Volume(np.random.default_rng(0).normal(size=(5, 6, 7)).astype(np.float32), (3, 1, 1))
    np.testing.assert_allclose(resample(scan, (3, 1, 1)).array, scan.array, atol=1e-6)


def test_smoothing_before_reduction_takes_the_noise_down() -> None:
    noise = np.random.default_rng(0).normal(0, 100, (6, 120, 120)).astype(np.float32)
    scan = Volume(noise, (3.0, 0.5, 0.5))
    smooth, plain = (
        resample(scan, (3.0, 1.5, 1.5), antialias=a).array.std() for a in (True, False)
    )
    assert smooth < 0.5 * plain


def test_a_resampled_mask_keeps_its_volume() -> None:
    heart = ball((3.0, 1.0, 1.0), (21, 61, 61))
    other = resample(heart, (1.5, 1.5, 1.5))
    assert other.array.dtype == np.bool_
    ours, theirs = (v.array.sum() * v.voxel_volume_mm3 for v in (other, heart))
    assert ours == pytest.approx(theirs, rel=0.03)


def test_a_mask_goes_onto_another_grid_and_ends_outside_it() -> None:
    heart = ball((1.5, 1.5, 1.5), (41, 41, 41))
    like = Volume(np.zeros((20, 90, 90), np.float32), (3.0, 1.0, 1.0), (-30.0, -60.0, -30.0))
    there = resample_onto(heart, like)
    assert there.same_grid(like)
    assert there.array.dtype == np.bool_
    assert not there.array[:, :25].any()
    np.testing.assert_array_equal(there.array, resample_onto(there, like).array)


def test_outside_the_scan_is_the_fill_value() -> None:
    scan = Volume(np.full((4, 4, 4), 40.0, np.float32), (1, 1, 1))
    like = Volume(np.zeros((4, 4, 12), np.float32), (1, 1, 1))
    there = resample_onto(scan, like, fill=-1024).array
    assert (there[..., :4] == 40).all()
    assert (there[..., 5:] == -1024).all()


def test_the_window_around_the_heart_holds_its_centre_in_the_middle() -> None:
    scan = Volume(np.zeros((3, 300, 280), np.float32), (1.5, 1.0, 1.0), (0.0, -150.0, -120.0))
    scan.array[:, 200, 90] = 7
    y, x = scan.to_mm((0, 200, 90))[1:]
    window = crop_heart(scan, (y, x))
    assert window.shape == (3, 224, 224)
    assert (window.array[:, 111:113, 111:113] == 7).any()
    index = tuple(int(i) for i in np.argwhere(window.array == 7)[0])
    assert window.to_mm(index)[1:] == (y, x)


@pytest.mark.parametrize("centre", [(-10.0, 5.0), (500.0, 500.0)])
def test_a_window_past_the_border_is_filled_with_air(centre: tuple[float, float]) -> None:
    scan = Volume(np.full((2, 30, 30), 40.0, np.float32), (1, 1, 1))
    window = crop_heart(scan, centre, 64)
    assert window.shape == (2, 64, 64)
    assert set(np.unique(window.array)) <= {-1000.0, 40.0}
    assert window.array.min() == -1000


def test_a_mask_window_past_the_border_is_empty_there() -> None:
    heart = Volume(np.ones((2, 30, 30), bool), (1, 1, 1))
    window = crop_heart(heart, (0.0, 0.0), 64)
    assert window.array.dtype == np.bool_
    assert window.array.sum() == 2 * 30 * 30
    assert window.array[:, 31:61, 31:61].all()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    map_mm=st.tuples(st.floats(0.3, 3.0), st.floats(0.3, 3.0)),
    scan_mm=st.tuples(st.floats(0.3, 3.0), st.floats(0.3, 3.0)),
    shift=st.tuples(st.floats(0, 3), st.floats(0, 3)),
)
def test_calcium_mass_is_kept_on_the_way_to_the_scan_grid(
    seed: int,
    size: tuple[int, int],
    map_mm: tuple[float, float],
    scan_mm: tuple[float, float],
    shift: tuple[float, float],
) -> None:
    values = np.random.default_rng(seed).gamma(0.3, 200, (3, *size)).astype(np.float32)
    cac_map = Volume(values, (3.0, *map_mm), (1.0, *shift))
    start = [s - step for s, step in zip(shift, map_mm, strict=True)]
    ends = [s + n * step for s, n, step in zip(shift, size, map_mm, strict=True)]
    shape = [int((e - b) / step) + 6 for b, e, step in zip(start, ends, scan_mm, strict=True)]
    origin = [b - 2 * step for b, step in zip(start, scan_mm, strict=True)]
    like = Volume(np.zeros((3, *shape), np.float32), (3.0, *scan_mm), (1.0, *origin))
    there = to_scan_grid(cac_map, like)
    assert there.same_grid(like)
    before = values.sum(axis=(1, 2), dtype=float) * cac_map.pixel_area_mm2
    after = there.array.sum(axis=(1, 2), dtype=float) * there.pixel_area_mm2
    np.testing.assert_allclose(after, before, rtol=2e-6)
    assert there.array.min() >= 0


def test_a_map_on_the_scan_grid_stays_as_it_is() -> None:
    values = np.random.default_rng(0).gamma(1, 100, (2, 9, 8)).astype(np.float32)
    cac_map = Volume(values, (3.0, 0.7, 0.7), (0.0, 5.0, 6.0))
    np.testing.assert_allclose(to_scan_grid(cac_map, cac_map).array, values, rtol=1e-5)


def test_a_map_on_other_slices_is_refused() -> None:
    cac_map = Volume(np.zeros((4, 5, 5), np.float32), (1.5, 1, 1))
    like = Volume(np.zeros((2, 5, 5), np.float32), (3.0, 1, 1))
    with pytest.raises(ValueError, match="same slices"):
        to_scan_grid(cac_map, like)
