import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cacnb.simulation.coronaries import (
    ARTERIES,
    CourseVariation,
    along,
    courses,
    heart_frame,
    rotation_matrix,
)

SMALL = st.tuples(*[st.floats(-0.25, 0.25)] * 3)
RADII_MM = (69.0, 51.0, 49.0)


@given(vector=st.tuples(*[st.floats(-4, 4)] * 3))
@settings(deadline=None)
def test_a_rotation_keeps_lengths_and_handedness(vector: tuple[float, float, float]) -> None:
    turn = rotation_matrix(np.asarray(vector))
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(turn) == pytest.approx(1.0)


@given(tilt=SMALL)
@settings(deadline=None)
def test_the_apex_of_a_heart_points_left_forward_and_down(
    tilt: tuple[float, float, float],
) -> None:
    frame = heart_frame(np.zeros(3), np.asarray(tilt), RADII_MM)
    z, y, x = frame.long_axis
    assert z < 0
    assert y < 0
    assert x > 0
    np.testing.assert_allclose(frame.axes @ frame.axes.T, np.eye(3), atol=1e-9)
    assert frame.left[2] >= 0


@given(seed=st.integers(0, 10_000))
@settings(deadline=None)
def test_the_left_main_forks_into_lad_and_circumflex(seed: int) -> None:
    frame = heart_frame(np.zeros(3), np.zeros(3), RADII_MM)
    arteries = courses(frame, CourseVariation.draw(np.random.default_rng(seed)))
    fork = arteries["LM"][-1]
    np.testing.assert_allclose(arteries["LAD"][0], fork, atol=1e-9)
    np.testing.assert_allclose(arteries["LCX"][0], fork, atol=1e-9)
    assert np.linalg.norm(arteries["RCA"][0] - fork) > 10


def test_the_arteries_run_where_they_do_in_the_heart() -> None:
    frame = heart_frame(np.zeros(3), np.zeros(3), RADII_MM)
    arteries = courses(frame, CourseVariation.draw(np.random.default_rng(0)))
    apex = frame.at(1.0, 0.0)
    nearest = {n: np.linalg.norm(arteries[n] - apex, axis=1).min() for n in ARTERIES}
    assert min(nearest, key=nearest.__getitem__) == "LAD"
    sideways = {n: float(((arteries[n] - frame.centre) @ frame.left).mean()) for n in ARTERIES}
    assert sideways["RCA"] < 0 < sideways["LCX"]
    for name in ARTERIES:
        length = np.linalg.norm(np.diff(arteries[name], axis=0), axis=1).sum()
        assert 60 < length < 260


@given(share=st.floats(0, 1))
@settings(deadline=None)
def test_a_share_of_an_artery_is_that_share_of_its_length(share: float) -> None:
    line = np.array([[0.0, 0, 0], [0, 0, 10], [0, 30, 10]])
    point, direction = along(line, share)
    walked = min(40 * share, 10) + max(40 * share - 10, 0)
    assert point[2] + point[1] == pytest.approx(walked)
    assert np.linalg.norm(direction) == pytest.approx(1.0)


def test_before_the_ostium_and_past_the_end_an_artery_stops() -> None:
    line = np.array([[0.0, 0, 0], [0, 0, 10]])
    np.testing.assert_array_equal(along(line, -0.5)[0], line[0])
    np.testing.assert_allclose(along(line, 1.5)[0], line[-1])
