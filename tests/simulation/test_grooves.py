import numpy as np
import pytest

from cacnb.ct.volume import Volume
from cacnb.simulation.grooves import SEARCH_MM, groove_map, into_grooves


@pytest.fixture(scope="module")
def heart() -> tuple[Volume, Volume]:
    """A block of muscle in lung with a thread of fat along z, and its mask."""
    hu = np.full((40, 40, 40), -850, np.float32)
    hu[2:-2, 6:-6, 6:-6] = 45
    hu[:, 18:21, 24:27] = np.where(hu[:, 18:21, 24:27] > 0, -90, -850)
    grid = Volume(hu, (2.0, 2.0, 2.0))
    return grid, grid.with_array(hu > -500)


def test_a_groove_is_where_fat_meets_muscle_and_not_the_rim_of_the_lung(
    heart: tuple[Volume, Volume],
) -> None:
    grooves = groove_map(*heart)
    best = np.unravel_index(int(grooves.array.argmax()), grooves.shape)
    _, y, x = grooves.to_mm(tuple(float(i) for i in best))
    assert abs(y - 38) < 6
    assert abs(x - 50) < 6
    away = np.hypot(*np.meshgrid(grooves.axis_mm(1) - 38, grooves.axis_mm(2) - 50, indexing="ij"))
    assert grooves.array[:, away > 14].max() < 0.05


def test_an_artery_bends_into_the_groove_beside_it(heart: tuple[Volume, Volume]) -> None:
    line = np.stack([np.linspace(16, 60, 20), np.full(20, 38.0), np.full(20, 42.0)], -1)
    bent = into_grooves(line, groove_map(*heart))
    assert np.abs(bent[3:-3, 2] - 50).mean() < 4
    assert np.linalg.norm(bent - line, axis=1).max() <= SEARCH_MM


def test_an_artery_ends_where_no_groove_is_shown_any_more(heart: tuple[Volume, Volume]) -> None:
    volume, mask = heart
    upper = volume.array.copy()
    upper[:20][upper[:20] == -90] = 45
    line = np.stack([np.linspace(70, 12, 30), np.full(30, 38.0), np.full(30, 46.0)], -1)
    bent = into_grooves(line, groove_map(volume.with_array(upper), mask))
    assert 10 <= len(bent) < 25
    assert 24 < bent[-1, 0] < 48


def test_beside_and_before_a_rib_is_chest_wall(heart: tuple[Volume, Volume]) -> None:
    volume, mask = heart
    with_rib = volume.array.copy()
    with_rib[4:-4, 12:15, 8:32] = 400  # before the fat, which stays 8 mm behind it
    shown = groove_map(volume, mask).array[15:-15]
    beside = groove_map(volume.with_array(with_rib), mask).array[15:-15]
    assert beside.sum() < 0.7 * shown.sum()


def test_an_artery_without_a_groove_in_reach_keeps_its_course(
    heart: tuple[Volume, Volume],
) -> None:
    volume, mask = heart
    muscle = volume.with_array(np.where(volume.array > -500, 45, volume.array))
    line = np.stack([np.linspace(20, 60, 20), np.full(20, 38.0), np.full(20, 42.0)], -1)
    np.testing.assert_allclose(into_grooves(line, groove_map(muscle, mask)), line, atol=1.0)
