from functools import cache

import pytest

from cacnb.simulation.scan import Person, SimulatedScan, simulate_scan

#: Seeds of the radiotherapy population: coronary calcium; none at all; aortic calcium alone;
#: coronary and aortic calcium.
CARRIER, HEALTHY, AORTA_ONLY, MANY_SITES = 3, 0, 5, 32


@cache
def heart_scan(seed: int, *, breath_hold: bool = True) -> SimulatedScan:
    return simulate_scan(Person.draw(seed), breath_hold=breath_hold, field_of_view="heart")


@pytest.fixture(scope="session")
def carrier() -> SimulatedScan:
    return heart_scan(CARRIER)


@pytest.fixture(scope="session")
def carrier_breathing() -> SimulatedScan:
    return heart_scan(CARRIER, breath_hold=False)


@pytest.fixture(scope="session")
def healthy() -> SimulatedScan:
    return heart_scan(HEALTHY)


@pytest.fixture(scope="session")
def aorta_only() -> SimulatedScan:
    return heart_scan(AORTA_ONLY)


@pytest.fixture(scope="session")
def many_sites() -> SimulatedScan:
    return heart_scan(MANY_SITES)
