import numpy as np
import pytest

from cacnb.ct.volume import Volume
from cacnb.simulation.anatomy import Pose, pose_heart
from cacnb.simulation.heart_fit import fit_frame
from cacnb.simulation.scan import Person

from .conftest import heart_scan


@pytest.mark.parametrize("seed", [0, 3, 5])
def test_the_frame_of_a_mask_lies_as_the_heart_does(seed: int) -> None:
    scan = heart_scan(seed)
    person = Person.draw(seed)
    rng = np.random.default_rng([person.anatomy.seed, 4, 1, 0])
    pose = Pose.draw(rng, breath_hold=True)
    true = pose_heart(person.anatomy, pose).frame
    found = fit_frame(scan.heart)
    centre = found.centre - pose.table_mm
    assert np.linalg.norm(centre - true.centre) < 12
    assert np.degrees(np.arccos(found.long_axis @ true.long_axis)) < 20
    np.testing.assert_allclose(np.mean(found.radii), np.mean(true.radii), rtol=0.1)


def test_a_heart_moved_is_found_moved() -> None:
    heart = heart_scan(0).heart
    z, y, x = heart.origin_mm
    moved = Volume(heart.array, heart.spacing_mm, (z + 40.0, y - 40.0, x + 10.0))
    away = fit_frame(moved).centre - fit_frame(heart).centre
    np.testing.assert_allclose(away, (40, -40, 10), atol=0.2)
