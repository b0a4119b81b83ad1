import numpy as np
import pytest

from cacnb.simulation.anatomy import (
    REST,
    Anatomy,
    Pose,
    PosedHeart,
    pose_heart,
)
from cacnb.simulation.chest import paint_chest, paint_heart_mask
from cacnb.simulation.coronaries import ARTERIES
from cacnb.simulation.scan import Person
from cacnb.simulation.shapes import Canvas

STEP_MM = 3.0


def around(heart: PosedHeart, background: float) -> Canvas:
    axes = [np.arange(-105.0, 106.0, STEP_MM) + c for c in heart.frame.centre]
    return Canvas(*axes, edge_mm=STEP_MM, background=background)


def heart_mask(heart: PosedHeart) -> Canvas:
    mask = around(heart, 0.0)
    paint_heart_mask(mask, heart)
    return mask


@pytest.mark.parametrize("breath_hold", [True, False])
def test_a_heart_mask_is_as_large_as_a_heart(breath_hold: bool) -> None:
    volumes_cm3 = []
    for seed in range(20):
        pose = Pose.draw(np.random.default_rng(seed), breath_hold=breath_hold)
        mask = heart_mask(pose_heart(Person.draw(seed).anatomy, pose))
        volumes_cm3.append(float((mask.values > 0.5).sum()) * STEP_MM**3 / 1000)
        edges = (mask.values.take([0, -1], axis=axis) for axis in range(3))
        assert not any(edge.any() for edge in edges), "the mask ends inside the grid"
    assert min(volumes_cm3) > 350
    assert max(volumes_cm3) < 1200
    assert 550 < np.median(volumes_cm3) < 850


def test_a_person_is_the_same_from_the_same_seed_and_another_from_another() -> None:
    one, again, other = Anatomy.draw(4), Anatomy.draw(4), Anatomy.draw(5)
    assert one.heart_radii == again.heart_radii
    assert one.tissues == again.tissues
    np.testing.assert_array_equal(one.course.wiggle_mm, again.course.wiggle_mm)
    assert one.heart_radii != other.heart_radii


def test_wider_spread_makes_people_differ_more() -> None:
    def sizes(spread: float) -> np.ndarray:
        return np.array([Anatomy.draw(s, spread=spread).heart_radii[0] for s in range(60)])

    assert sizes(1.8).std() > 1.3 * sizes(1.0).std()


def test_the_arteries_run_inside_the_pericardial_sac() -> None:
    for seed in range(8):
        heart = pose_heart(Anatomy.draw(seed), REST)
        mask = heart_mask(heart)
        first = np.array([axis[0] for axis in mask.axes])
        for name in ARTERIES:
            index = tuple(np.rint((heart.arteries[name] - first) / STEP_MM).astype(int).T)
            assert (mask.values[index] > 0).mean() > 0.9


def test_a_deep_breath_lowers_heart_and_diaphragm() -> None:
    for seed in range(20):
        held = Pose.draw(np.random.default_rng(seed), breath_hold=True)
        free = Pose.draw(np.random.default_rng(seed), breath_hold=False)
        assert held.dome_mm >= 9.0
        assert abs(free.dome_mm) < 20.0
        assert held.chest_scale > 1.0 == free.chest_scale
    held_z = [
        Pose.draw(np.random.default_rng(s), breath_hold=True).heart_shift_mm[0] for s in range(20)
    ]
    assert np.mean(held_z) == pytest.approx(-13.0, abs=3.0)


def test_a_chest_without_calcium_has_lungs_muscle_and_no_bright_heart() -> None:
    anatomy = Person.draw(0).anatomy
    heart = pose_heart(anatomy, REST)
    canvas = around(heart, -1000.0)
    paint_chest(canvas, anatomy, REST)
    inside = canvas.values[heart_mask(heart).values > 0.99]
    assert anatomy.tissues.fat - 1 <= inside.min()
    assert inside.max() < 130
    assert 20 < np.median(inside) < 70
    lung = canvas.values < -700
    assert lung.mean() > 0.1
