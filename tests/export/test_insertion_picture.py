from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from cacnb.export.insertion_picture import PANEL_PX, PANELS, TITLE_PX, insertion_picture
from cacnb.simulation.insertion import Host, carrier, insert_calcium
from cacnb.simulation.scan import Person, SimulatedScan, simulate_scan


@pytest.fixture(scope="module")
def inserted() -> tuple[SimulatedScan, SimulatedScan]:
    """A scan without calcium, and the same with some of the LAD."""
    host = simulate_scan(Person.draw(0), breath_hold=True, field_of_view="heart")
    after = insert_calcium(Host(host.image, host.heart), carrier(3, "nlst"), repeat=0)
    return host, after


def panels(png: bytes) -> np.ndarray:
    """Rows, columns, y and x of the panels without their titles."""
    grey = np.asarray(Image.open(BytesIO(png)))
    rows = grey.reshape(-1, PANEL_PX + TITLE_PX, len(PANELS), PANEL_PX)
    return rows[:, TITLE_PX:].swapaxes(1, 2)


def test_before_and_after_differ_where_calcium_was_put(
    inserted: tuple[SimulatedScan, SimulatedScan],
) -> None:
    host, after = inserted
    shown = panels(insertion_picture(host.image, after)).astype(int)
    assert 1 <= len(shown) <= 3
    before, with_calcium, difference = shown[:, 0], shown[:, 1], shown[:, 3]
    calcium = with_calcium - before > 60
    assert 0 < calcium.mean() < 0.01
    assert difference[calcium].mean() > difference.mean() + 30


def test_a_scan_without_calcium_still_gets_one_row(
    inserted: tuple[SimulatedScan, SimulatedScan],
) -> None:
    host, after = inserted
    none = {name: volume.with_array(0 * volume.array) for name, volume in after.calcium.items()}
    shown = panels(insertion_picture(host.image, replace(after, image=host.image, calcium=none)))
    assert len(shown) == 1
    np.testing.assert_array_equal(shown[0, 0], shown[0, 1])
