from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from cacnb.ct.volume import Volume
from cacnb.simulation.anatomy import REST, Anatomy, PosedHeart, pose_heart
from cacnb.simulation.lesions import Deposit, hu_mm3_per_mg
from cacnb.simulation.motion import STILL, HeartBeat
from cacnb.simulation.scanner import PROTOCOLS, Settings, blur, noise, render_calcium

STILL_SETTINGS = Settings(
    kvp=120.0, pixel_mm=1.0, thickness_mm=3.0, spacing_mm=3.0, blur_mm=0.9, noise_hu=15.0,
    beat=STILL,
)  # fmt: skip
GRID = Volume(np.empty((32, 90, 90), np.int16), (3.0, 1.0, 1.0), (-46.5, -44.5, -44.5))
HEART = pose_heart(Anatomy.draw(3), REST)


def piece(place: str = "LAD", at: tuple[float, float, float] = (0, 0, 0)) -> Deposit:
    return Deposit(0, place, np.asarray(at, float), mass_mg=5.0, sigma_mm=0.9)


def rendered(
    deposit: Deposit, settings: Settings, grid: Volume = GRID, heart: PosedHeart = HEART
) -> np.ndarray:
    return render_calcium([deposit], heart, settings, grid)


def mass_mg(hu: np.ndarray, settings: Settings, grid: Volume = GRID) -> float:
    return float(hu.sum(dtype=float)) * grid.voxel_volume_mm3 / hu_mm3_per_mg(settings.kvp)


@given(at=st.tuples(*[st.floats(-3, 3)] * 3))
@examples(max_examples=30, deadline=None)
def test_a_still_lesion_keeps_its_mass_wherever_it_lies_between_voxels(
    at: tuple[float, float, float],
) -> None:
    hu = rendered(piece(at=at), STILL_SETTINGS)
    assert mass_mg(hu, STILL_SETTINGS) == pytest.approx(5.0, rel=0.001)


@pytest.mark.parametrize("kvp", [80.0, 100.0, 120.0, 140.0])
@pytest.mark.parametrize("spacing_mm", [(3.0, 1.3, 1.3), (1.25, 0.6, 0.6)])
def test_mass_survives_every_voltage_and_grid(
    kvp: float, spacing_mm: tuple[float, float, float]
) -> None:
    z, y, x = spacing_mm
    settings = replace(STILL_SETTINGS, kvp=kvp, pixel_mm=y, thickness_mm=z, spacing_mm=z)
    grid = Volume(np.empty((40, 60, 60), np.int16), spacing_mm, (-19.5 * z, -29.5 * y, -29.5 * x))
    assert mass_mg(rendered(piece(), settings, grid), settings, grid) == pytest.approx(5, rel=0.01)


def test_overlapping_slices_show_the_same_mass_over_their_spacing() -> None:
    settings = replace(STILL_SETTINGS, thickness_mm=2.0, spacing_mm=1.0)
    grid = Volume(np.empty((60, 60, 60), np.int16), (1.0, 1.0, 1.0), (-30.0, -30.0, -30.0))
    assert mass_mg(rendered(piece(), settings, grid), settings, grid) == pytest.approx(5, rel=0.01)


def test_motion_alone_loses_no_mass_where_all_slices_see_the_same_phase() -> None:
    for phase in np.arange(0, 1, 0.125):
        beat = HeartBeat(float(phase), 0.0, window=0.4, strength=1.0)
        settings = replace(STILL_SETTINGS, beat=beat)
        hu = rendered(piece("RCA"), settings)
        assert mass_mg(hu, settings) == pytest.approx(5.0, rel=0.01)


def test_motion_lowers_the_peak_and_the_right_coronary_suffers_most() -> None:
    on_a_voxel = (1.5, 0.5, 0.5)
    still = float(rendered(piece(at=on_a_voxel), STILL_SETTINGS).max())
    peaks = {}
    for place in ("LAD", "LCX", "RCA"):
        beats = [HeartBeat(float(p), 0.03, window=0.6, strength=1.0) for p in np.arange(0, 1, 0.1)]
        found = [
            float(rendered(piece(place, on_a_voxel), replace(STILL_SETTINGS, beat=beat)).max())
            for beat in beats
        ]
        assert max(found) <= still * 1.001
        peaks[place] = np.mean(found)
    assert peaks["RCA"] < peaks["LCX"] < peaks["LAD"] < 0.9 * still


def test_a_blurrier_scanner_shows_a_lower_peak_and_the_same_mass() -> None:
    sharp, soft = (replace(STILL_SETTINGS, blur_mm=b) for b in (0.5, 1.4))
    crisp, dull = rendered(piece(), sharp), rendered(piece(), soft)
    assert dull.max() < 0.7 * crisp.max()
    assert mass_mg(dull, soft) == pytest.approx(mass_mg(crisp, sharp), rel=1e-3)


def test_many_pieces_are_the_sum_of_each() -> None:
    one, other = piece(), piece(at=(4.0, 2.0, -3.0))
    both = render_calcium([one, other], HEART, STILL_SETTINGS, GRID)
    apart = rendered(one, STILL_SETTINGS) + rendered(other, STILL_SETTINGS)
    np.testing.assert_allclose(both, apart, atol=1e-3)


def test_calcium_off_the_grid_does_not_appear() -> None:
    assert not rendered(piece(at=(400.0, 0, 0)), STILL_SETTINGS).any()
    assert not rendered(piece(at=(0, 400.0, 0)), STILL_SETTINGS).any()


def test_blur_keeps_the_mean_and_acts_in_the_slice_alone() -> None:
    image = np.zeros((5, 41, 41), np.float32)
    image[2, 20, 20] = 1000.0
    soft = blur(image, replace(STILL_SETTINGS, blur_mm=1.5), edge_mm=1.0)
    assert soft.sum() == pytest.approx(1000.0, rel=1e-3)
    assert soft.max() < 120
    assert not soft[[0, 1, 3, 4]].any()


def test_what_soft_edges_blurred_is_not_blurred_again() -> None:
    image = np.random.default_rng(0).normal(size=(2, 9, 9)).astype(np.float32)
    settings = replace(STILL_SETTINGS, blur_mm=0.3)
    np.testing.assert_array_equal(blur(image, settings, edge_mm=1.2), image)


def test_the_noise_in_the_middle_of_the_body_is_what_the_settings_say() -> None:
    settings = replace(STILL_SETTINGS, noise_hu=20.0)
    field = noise((12, 256, 256), settings, np.random.default_rng(0))
    middle, corner = field[:, 112:144, 112:144], field[:, :32, :32]
    assert middle.std() == pytest.approx(20.0, rel=0.1)
    assert corner.std() == pytest.approx(20.0 * 0.55, rel=0.25)
    assert abs(float(field.mean())) < 0.2


def test_the_noise_power_peaks_above_zero_frequency_and_falls_with_the_kernel() -> None:
    settings = replace(STILL_SETTINGS, pixel_mm=0.7, blur_mm=0.7)
    field = noise((40, 128, 128), settings, np.random.default_rng(1))
    power = (np.abs(np.fft.fft2(field)) ** 2).mean(axis=0)
    f = np.fft.fftfreq(128, 0.7)
    radius = np.hypot(f[:, None], f[None, :])
    edges = np.linspace(0, 0.7, 15)
    profile = [power[(radius >= a) & (radius < b)].mean() for a, b in pairwise(edges)]
    peak = int(np.argmax(profile))
    assert 0.1 < edges[peak] < 0.5
    assert profile[0] < 0.6 * profile[peak]
    assert profile[-1] < 0.6 * profile[peak]


def test_overlapping_slices_share_noise_and_touching_ones_do_not() -> None:
    def neighbours(thickness_mm: float, spacing_mm: float) -> float:
        settings = replace(STILL_SETTINGS, thickness_mm=thickness_mm, spacing_mm=spacing_mm)
        field = noise((20, 64, 64), settings, np.random.default_rng(2))
        return float(np.corrcoef(field[:-1].ravel(), field[1:].ravel())[0, 1])

    assert neighbours(1.0, 0.6) > 0.15
    assert abs(neighbours(3.0, 3.0)) < 0.03


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_the_settings_of_a_scan_lie_in_its_protocol(name: str) -> None:
    protocol = PROTOCOLS[name]
    for seed in range(40):
        drawn = Settings.draw(protocol, np.random.default_rng(seed))
        assert drawn.kvp in protocol.kvp
        assert (drawn.thickness_mm, drawn.spacing_mm) in protocol.slices_mm
        assert protocol.pixel_mm[0] <= drawn.pixel_mm <= protocol.pixel_mm[1]
        assert protocol.noise_hu[0] <= drawn.noise_hu <= protocol.noise_hu[1]
        low, high = protocol.blur_fwhm_mm
        assert low <= drawn.blur_mm * 2.355 <= high
