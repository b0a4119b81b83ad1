import numpy as np
import pytest

from cacnb.simulation.host_scanner import USUAL_BLUR_MM, HostScanner, edge_blur_mm
from cacnb.simulation.scan import Person, SimulatedScan, simulate_scan

from .conftest import heart_scan


@pytest.fixture(scope="module")
def chest() -> SimulatedScan:
    return simulate_scan(Person.draw(0), breath_hold=True)


def test_the_point_spread_of_a_scan_is_found_from_its_skin(chest: SimulatedScan) -> None:
    found = edge_blur_mm(chest.image, chest.heart)
    assert found == pytest.approx(chest.settings.blur_mm, rel=0.1)


def test_a_scan_without_skin_gets_the_usual_point_spread() -> None:
    scan = heart_scan(0)
    z, y, x = scan.image.shape
    inside = scan.image.with_array(np.full((z, y, x), 40, np.int16))
    assert edge_blur_mm(inside, scan.heart) == pytest.approx(USUAL_BLUR_MM / 2.355)


def test_new_noise_measures_as_the_scans_own_does(chest: SimulatedScan) -> None:
    scanner = HostScanner.measure(chest.image, chest.heart)
    field = scanner.noise(chest.image, np.random.default_rng(0))
    again = HostScanner.measure(chest.image.with_array(field), chest.heart)
    np.testing.assert_allclose(np.median(again.level_hu), np.median(scanner.level_hu), rtol=0.05)
    own, new = (s.power / s.power.sum() for s in (scanner, again))
    assert np.corrcoef(own, new)[0, 1] > 0.97
    assert abs(again.neighbours - scanner.neighbours) < 0.1


def test_the_noise_level_is_that_of_the_scanner_and_not_of_edges(chest: SimulatedScan) -> None:
    scanner = HostScanner.measure(chest.image, chest.heart)
    assert np.median(scanner.level_hu) == pytest.approx(chest.settings.noise_hu, rel=0.12)


def test_noise_of_neighbouring_slices_correlates_as_measured(chest: SimulatedScan) -> None:
    scanner = HostScanner.measure(chest.image, chest.heart)
    overlapping = HostScanner(
        scanner.level_hu, scanner.cycles_mm, scanner.power, 0.4, scanner.blur_mm
    )
    field = overlapping.noise(chest.image, np.random.default_rng(0))
    found = np.corrcoef(field[20:30].ravel(), field[21:31].ravel())[0, 1]
    assert found == pytest.approx(0.4, abs=0.03)
