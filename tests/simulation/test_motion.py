import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cacnb.simulation.motion import (
    EXCURSION_MM,
    HELD,
    ROTATION_SHARE,
    STILL,
    Breath,
    Glide,
    HeartBeat,
    contraction,
    usual_travel_mm,
)

DOWN, INWARD = np.array([-1.0, 0, 0]), np.array([0, 0, 1.0])


@given(phase=st.floats(-3, 3))
@settings(deadline=None)
def test_contraction_is_a_share_that_comes_back_with_every_beat(phase: float) -> None:
    share = contraction(np.array([phase, phase + 1.0]))
    assert 0.0 <= share[0] <= 1.0
    assert share[0] == pytest.approx(share[1], abs=1e-6)


def test_the_heart_rests_in_diastole_and_is_contracted_at_end_systole() -> None:
    np.testing.assert_allclose(contraction(np.array([0.0, 0.35, 0.6, 0.7, 0.99])), [0, 1, 0, 0, 0])


def test_the_atria_pull_once_more_before_the_next_beat() -> None:
    np.testing.assert_allclose(contraction(np.array([0.7, 0.8, 0.9, 1.0]), 0.5), [0, 0, 0.5, 0])


@pytest.mark.parametrize("atrial", [0.0, 0.5])
def test_contraction_never_jumps(atrial: float) -> None:
    share = contraction(np.linspace(0, 2, 4001), atrial)
    assert np.abs(np.diff(share)).max() < 0.01


def test_the_right_coronary_moves_most_and_the_lad_least() -> None:
    beat = HeartBeat(0.0, 0.0, window=1.0, strength=1.0)
    reach = {
        place: np.linalg.norm(beat.shifts(place, 0.0, DOWN, INWARD, 64), axis=1).max()
        for place in ("LAD", "LCX", "RCA")
    }
    assert reach["RCA"] > reach["LCX"] > reach["LAD"] > 5
    assert reach["RCA"] == pytest.approx(np.hypot(*EXCURSION_MM["RCA"]), rel=0.01)


def test_calcium_moves_towards_the_apex_and_inwards_and_comes_back() -> None:
    beat = HeartBeat(0.35, 0.0, window=0.0, strength=0.5)
    axial, radial = EXCURSION_MM["LAD"]
    want = [[-0.5 * axial, 0, 0.5 * radial]] * 2
    np.testing.assert_allclose(beat.shifts("LAD", 0.0, DOWN, INWARD, 2), want)
    rest = HeartBeat(0.65, 0.0, window=0.1, strength=0.5)
    assert not rest.shifts("LAD", 0.0, DOWN, INWARD, 8).any()


def test_a_later_slice_sees_a_later_phase() -> None:
    beat = HeartBeat(0.0, 0.01, window=0.0, strength=1.0)
    shifts = [np.linalg.norm(beat.shifts("RCA", z, DOWN, INWARD, 1)) for z in (0.0, 20.0, 35.0)]
    assert shifts == sorted(shifts)
    assert shifts[-1] == pytest.approx(np.hypot(*EXCURSION_MM["RCA"]))


def test_a_still_heart_stays_where_it_is() -> None:
    for place in EXCURSION_MM:
        assert not STILL.shifts(place, 12.0, DOWN, INWARD, 8).any()


@given(seed=st.integers(0, 1000))
@settings(deadline=None)
def test_a_drawn_heart_beats_between_55_and_90_times_a_minute(seed: int) -> None:
    beat = HeartBeat.draw(np.random.default_rng(seed), rotation_s=0.5, table_mm_s=40.0)
    rate = 60.0 * beat.window / (0.5 * ROTATION_SHARE)
    assert 55 <= rate <= 90
    assert beat.phase_per_mm == pytest.approx(rate / 60 / 40)
    assert 0.2 <= beat.strength <= 2.0


def test_a_held_breath_leaves_every_slice_where_it_is() -> None:
    np.testing.assert_array_equal(HELD.seen_mm(np.arange(5.0)), np.arange(5.0))


@given(seed=st.integers(0, 1000))
@settings(deadline=None)
def test_quiet_breathing_carries_slices_by_half_its_reach_and_never_past_each_other(
    seed: int,
) -> None:
    breath = Breath.draw(np.random.default_rng(seed), table_mm_s=40.0)
    z_mm = np.arange(-150.0, 150.0, 0.6)
    seen_mm = breath.seen_mm(z_mm)
    assert 0 <= breath.reach_mm <= 15
    assert np.abs(seen_mm - z_mm).max() <= 0.5 * breath.reach_mm + 1e-9
    assert (np.diff(seen_mm) > 0).all()


def test_gliding_calcium_goes_its_way_evenly_with_its_place_of_rest_halfway() -> None:
    glide = Glide(0.0, 0.0, 0.0, 0.0, travel_mm=(0.0, 4.0, -8.0))
    moved = glide.shifts("LAD", 12.0, np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), 5)
    assert moved[2] == pytest.approx([0, 0, 0])
    assert moved.mean(axis=0) == pytest.approx([0, 0, 0])
    assert np.diff(moved, axis=0) == pytest.approx(np.tile([0, 0.8, -1.6], (4, 1)))


def test_in_a_shorter_slice_calcium_moves_less_and_never_further_than_a_beat_carries_it() -> None:
    whole = 1.4 * 24.0  # the usual strength times the excursion of the RCA towards the axis
    short, long = usual_travel_mm("RCA", 0.1), usual_travel_mm("RCA", 0.4)
    assert 0 < short < long <= whole
