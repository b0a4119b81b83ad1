from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from cacnb.ct.reading import read_scan
from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.simulation import insertion
from cacnb.simulation.coronaries import ARTERIES
from cacnb.simulation.insertion import Host, carrier, insert_calcium
from cacnb.simulation.lesions import hu_mm3_per_mg
from cacnb.simulation.motion import HELD, STILL
from cacnb.simulation.scan import SimulatedScan

from .conftest import heart_scan

ACRIN = Path(__file__).parents[3] / "shared" / "data" / "acrin_flt_breast_013"


@pytest.fixture(scope="module")
def host() -> Host:
    scan = heart_scan(0)  # carries no calcium
    return Host(scan.image, scan.heart, 120.0, 3.0)


@pytest.fixture(scope="module")
def pair(host: Host) -> tuple[SimulatedScan, SimulatedScan]:
    person = carrier(3, "rtp")
    return insert_calcium(host, person, repeat=0), insert_calcium(host, person, repeat=1)


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """A heart that does not beat and a breath that is held."""
    monkeypatch.setattr(insertion.HeartBeat, "draw", classmethod(lambda cls, *_, **__: STILL))
    monkeypatch.setattr(insertion.Breath, "draw", classmethod(lambda cls, *_, **__: HELD))


def shown_mg(scan: SimulatedScan) -> float:
    total = scan.coronary_calcium
    return float(total.array.sum(dtype=float)) * total.voxel_volume_mm3 / hu_mm3_per_mg(120.0)


def test_outside_the_calcium_the_scan_is_untouched_where_no_noise_is_added(host: Host) -> None:
    scan = insert_calcium(host, carrier(3, "rtp"), repeat=0, added_noise=0.0)
    calcium = scan.coronary_calcium.array
    added = scan.image.array.astype(int) - host.volume.array
    assert calcium.max() > 50
    np.testing.assert_allclose(added, calcium, atol=0.51)
    assert not added[calcium < 0.4].any()


@pytest.mark.usefixtures("still")
@pytest.mark.parametrize("repeat", [0, 1])
def test_a_still_heart_shows_the_true_mass_within_one_percent(host: Host, repeat: int) -> None:
    scan = insert_calcium(host, carrier(3, "rtp"), repeat=repeat)
    assert shown_mg(scan) == pytest.approx(scan.mass_mg, rel=0.01)


def test_calcium_is_put_into_the_heart_where_fat_meets_muscle(host: Host) -> None:
    scan = insert_calcium(host, carrier(3, "varied"), repeat=0, added_noise=0.0)
    total = scan.coronary_calcium.array
    assert total[host.heart.array].sum() > 0.8 * total.sum()
    places = host.arteries(scan.person.anatomy.course).arteries
    index = [
        (places[name] - np.asarray(host.grooves.origin_mm)) / host.grooves.spacing_mm
        for name in ARTERIES
    ]
    found = ndimage.map_coordinates(host.grooves.array, np.concatenate(index).T, order=1)
    anywhere = host.grooves.array[host.grooves.array > 0]
    assert np.median(found) > 1.5 * np.median(anywhere)


def test_a_pair_shares_lesions_and_not_beat_breath_or_place_among_the_voxels(
    host: Host, pair: tuple[SimulatedScan, SimulatedScan]
) -> None:
    first, second = pair
    assert first.person is second.person
    assert first.mass_mg == second.mass_mg > 0
    assert first.settings.beat != second.settings.beat
    assert first.settings.breath == HELD != second.settings.breath
    for lesion, centre in first.centres_mm.items():
        _, dy, dx = np.abs(centre - second.centres_mm[lesion])
        assert 0 < dy < host.volume.spacing_mm[1]
        assert 0 < dx < host.volume.spacing_mm[2]


def test_the_noise_of_a_pair_is_equal_in_strength_and_not_the_same(
    host: Host, pair: tuple[SimulatedScan, SimulatedScan]
) -> None:
    deep = ndimage.binary_erosion(host.heart.array, iterations=8)

    def noise_of(array: np.ndarray) -> np.ndarray:
        return (array - ndimage.uniform_filter(array, (1, 5, 5)))[deep]

    one, two = (noise_of(s.image.array - s.coronary_calcium.array.astype(np.float32)) for s in pair)
    own = noise_of(host.volume.array.astype(np.float32))
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.1
    assert one.std() == pytest.approx(two.std(), rel=0.05)
    assert one.std() == pytest.approx(np.sqrt(2) * own.std(), rel=0.1)


def test_the_same_seed_inserts_the_same_and_another_another(
    host: Host, pair: tuple[SimulatedScan, SimulatedScan]
) -> None:
    again = insert_calcium(replace(host), carrier(3, "rtp"), repeat=0)
    np.testing.assert_array_equal(pair[0].image.array, again.image.array)
    other = insert_calcium(host, carrier(4, "rtp"), repeat=0)
    assert not np.array_equal(pair[0].image.array, other.image.array)


def test_everybody_inserted_carries_coronary_calcium_and_no_other() -> None:
    for seed in range(20):
        assert {lesion.place for lesion in carrier(seed, "rtp").lesions} <= set(ARTERIES)
        assert carrier(seed, "rtp").lesions


def test_a_mask_that_does_not_fit_is_refused(host: Host) -> None:
    nothing = np.zeros(host.heart.shape, bool)
    with pytest.raises(InputError, match="another grid"):
        replace(host, heart=Volume(np.ones((2, 2, 2), bool), (1.0, 1.0, 1.0)))
    with pytest.raises(InputError, match="0 cm³ of soft tissue"):
        replace(host, heart=host.heart.with_array(nothing))
    lung = host.volume.array < -700
    with pytest.raises(InputError, match="this scan's heart"):
        replace(host, heart=host.heart.with_array(lung))


@pytest.mark.skipif(not ACRIN.is_dir(), reason="the real scan is not on this machine")
@pytest.mark.usefixtures("still")
def test_calcium_of_known_mass_goes_into_a_real_scan_with_a_painted_heart() -> None:
    series, volume = read_scan(ACRIN)
    z, y, x = (volume.axis_mm(i) for i in range(3))
    away = [
        (z[:, None, None] + 617) / 58,
        (y[None, :, None] + 158) / 55,
        (x[None, None, :] - 16) / 62,
    ]
    heart = volume.with_array(np.asarray(sum(part**2 for part in away)) < 1)
    # As thick as they are apart: a slice that overlaps the next counts some calcium twice.
    host = Host(volume, heart, series.kvp or 120.0)
    scan = insert_calcium(host, carrier(3, "nlst"), repeat=0)
    assert shown_mg(scan) == pytest.approx(scan.mass_mg, rel=0.01)
    overlapping = replace(host, slice_thickness_mm=series.slice_thickness_mm)
    assert shown_mg(insert_calcium(overlapping, carrier(3, "nlst"), repeat=0)) == pytest.approx(
        scan.mass_mg, rel=0.1
    )
    assert scan.visible.any()
    assert 5 < np.median(host.scanner.level_hu) < 10
