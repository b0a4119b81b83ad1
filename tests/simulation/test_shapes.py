import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cacnb.simulation.coronaries import rotation_matrix
from cacnb.simulation.shapes import Canvas, Capsule, Column, Ellipsoid, Shape

AXIS_MM = np.arange(-24.0, 24.5, 1.0)
SHIFTS = st.tuples(*[st.floats(-0.5, 0.5)] * 3)


def empty(background: float = 0.0) -> Canvas:
    return Canvas(AXIS_MM, AXIS_MM, AXIS_MM, edge_mm=1.0, background=background)


def volume_mm3(shape: Shape) -> float:
    canvas = empty()
    canvas.paint(shape, 1.0)
    return float(canvas.values.sum())


@given(shift=SHIFTS, turn=SHIFTS)
@settings(max_examples=15, deadline=None)
def test_an_ellipsoid_has_its_volume_wherever_it_lies_and_however_it_is_turned(
    shift: tuple[float, float, float], turn: tuple[float, float, float]
) -> None:
    solid = Ellipsoid(shift, (16.0, 12.0, 10.0), rotation_matrix(np.asarray(turn)))
    assert volume_mm3(solid) == pytest.approx(4 / 3 * np.pi * 16 * 12 * 10, rel=0.01)


@given(shift=SHIFTS)
@settings(max_examples=15, deadline=None)
def test_a_capsule_has_its_volume_wherever_it_lies(shift: tuple[float, float, float]) -> None:
    reach = np.array([9.0, 5.0, 0.0])
    start, end = np.asarray(shift) - reach, np.asarray(shift) + reach
    length = np.linalg.norm(end - start)
    want = np.pi * 6**2 * length + 4 / 3 * np.pi * 6**3
    assert volume_mm3(Capsule(start, end, 6.0)) == pytest.approx(want, rel=0.01)


def test_a_round_column_has_its_volume_and_flat_ends() -> None:
    column = Column((0.0, 0.0), (15.0, 15.0), (-10.0, 10.0), (1.0, 1.0), power=2.0)
    assert volume_mm3(column) == pytest.approx(np.pi * 15**2 * 20, rel=0.01)
    canvas = empty()
    canvas.paint(column, 1.0)
    assert not canvas.values[np.abs(AXIS_MM) > 11].any()


@pytest.mark.parametrize(
    "shape",
    [
        Ellipsoid((1.0, -2.0, 3.0), (15.0, 9.0, 6.0), rotation_matrix(np.array([0.4, 0.2, -0.7]))),
        Capsule((-8.0, 3.0, 2.0), (9.0, -6.0, 4.0), 5.0),
        Column((2.0, 1.0), (9.0, 12.0), (-12.0, 0.0, 12.0), (1.0, 0.6, 0.9)),
    ],
)
def test_the_box_of_a_solid_holds_all_of_it(shape: Shape) -> None:
    grid = np.meshgrid(AXIS_MM, AXIS_MM, AXIS_MM, indexing="ij", sparse=True)
    inside = np.argwhere(shape.distance(*(g.astype(np.float32) for g in grid)) < 0) + AXIS_MM[0]
    low, high = shape.bounds()
    assert len(inside) > 500
    assert (inside >= low - 1e-4).all()
    assert (inside <= high + 1e-4).all()


def test_a_voxel_on_the_surface_takes_half_of_the_solid() -> None:
    canvas = empty(background=-100.0)
    canvas.paint(Capsule((0, 0, 0), (0, 0, 0), 10.0), 300.0)
    middle = len(AXIS_MM) // 2
    assert canvas.values[middle, middle, middle + 10] == pytest.approx(100.0)
    assert canvas.values[middle, middle, middle + 9] == pytest.approx(300.0)
    assert canvas.values[middle, middle, middle + 11] == pytest.approx(-100.0)


def test_what_is_painted_later_lies_over_what_stood_there() -> None:
    canvas = empty()
    centre = (0.1, 0.2, -0.1)
    canvas.paint(Ellipsoid(centre, (12, 12, 12)), 40.0)
    canvas.paint(Ellipsoid(centre, (5, 5, 5)), -850.0)
    middle = len(AXIS_MM) // 2
    assert canvas.values[middle, middle, middle] == -850.0
    assert canvas.values[middle, middle, middle + 8] == 40.0


def test_a_solid_off_the_grid_leaves_no_trace() -> None:
    canvas = empty(background=7.0)
    canvas.paint(Ellipsoid((90, 0, 0), (10, 10, 10)), 500.0)
    assert (canvas.values == 7.0).all()


def test_a_vessel_is_painted_along_its_centre_line_alone() -> None:
    canvas = empty()
    canvas.paint_path(np.array([[0.0, -15, 0], [0, 0, 0], [0, 0, 15]]), 3.0, 42.0)
    middle = len(AXIS_MM) // 2
    assert canvas.values[middle, middle - 15, middle] == 42.0
    assert canvas.values[middle, middle, middle + 15] == 42.0
    assert canvas.values[middle, middle + 8, middle - 8] == 0.0
