import hashlib
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from cacnb.simulation.coronaries import ARTERIES
from cacnb.simulation.lesions import Lesion
from cacnb.simulation.motion import EXCURSION_MM
from cacnb.simulation.scan import Person, SimulatedScan, simulate_scan

HASH = """
import hashlib
from cacnb.simulation.scan import Person, simulate_scan
scan = simulate_scan(Person.draw(3), breath_hold=True, field_of_view="heart")
print(hashlib.sha256(scan.image.array.tobytes()).hexdigest(), scan.visible.tolist())
"""

#: Of the `locator` population: a person scanned below the heart.
BELOW_THE_HEART = 0


def slice_differences(scan: SimulatedScan) -> tuple[np.ndarray, np.ndarray]:
    """Differences of neighbouring slices, and where they are muscle and blood in both: noise."""
    image = scan.image.array.astype(np.float32)
    inside = ndimage.binary_erosion(scan.heart.array, iterations=6)
    flat = inside & (np.abs(ndimage.uniform_filter(image, (0, 7, 7)) - 45) < 12)
    return image[1:] - image[:-1], flat[1:] & flat[:-1]


def test_another_process_simulates_the_same_scan_from_the_same_seed(
    carrier: SimulatedScan,
) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    there = subprocess.run(
        [sys.executable, "-c", HASH], env=environment, capture_output=True, text=True, check=True
    )
    here = hashlib.sha256(carrier.image.array.tobytes()).hexdigest()
    assert there.stdout.strip() == f"{here} {carrier.visible.tolist()}"


def test_a_repeat_of_a_scan_is_another_scan_of_the_same_person(carrier: SimulatedScan) -> None:
    again = simulate_scan(carrier.person, breath_hold=True, field_of_view="heart", repeat=1)
    assert again.settings != carrier.settings
    assert again.mass_mg == carrier.mass_mg


def test_breath_hold_and_free_breathing_share_lesions_but_not_pose_beat_and_noise(
    carrier: SimulatedScan, carrier_breathing: SimulatedScan
) -> None:
    assert carrier.person.lesions == carrier_breathing.person.lesions
    assert carrier.mass_mg == carrier_breathing.mass_mg > 0
    assert carrier.settings.beat != carrier_breathing.settings.beat
    for lesion, centre in carrier.centres_mm.items():
        assert np.linalg.norm(centre - carrier_breathing.centres_mm[lesion]) > 1
    (one, muscle), (other, too) = (slice_differences(s) for s in (carrier, carrier_breathing))
    common = tuple(slice(0, min(pair)) for pair in zip(one.shape, other.shape, strict=True))
    both = muscle[common] & too[common]
    assert both.sum() > 5000
    assert abs(np.corrcoef(one[common][both], other[common][both])[0, 1]) < 0.05


def test_everything_true_of_a_scan_stands_on_its_grid(many_sites: SimulatedScan) -> None:
    scan = many_sites
    volumes = [scan.heart, scan.regions, scan.picked, scan.coronary_calcium, *scan.calcium.values()]
    assert all(volume.same_grid(scan.image) for volume in volumes)
    assert scan.visible.shape == scan.image.shape[:1]
    assert tuple(scan.calcium) == ARTERIES
    assert (scan.image.array.dtype, scan.heart.array.dtype) == (np.int16, np.bool_)
    assert -1024 <= scan.image.array.min() < -700
    assert scan.image.array.max() <= 3071
    z, y, x = scan.image.spacing_mm
    assert (z, y, x) == (scan.settings.spacing_mm, scan.settings.pixel_mm, scan.settings.pixel_mm)


def test_the_noise_of_a_scan_is_its_settings(healthy: SimulatedScan) -> None:
    apart, muscle = slice_differences(healthy)
    spread = 1.4826 * float(np.median(np.abs(apart[muscle]))) / 2**0.5
    assert spread == pytest.approx(healthy.settings.noise_hu, rel=0.15)


def test_who_carries_no_calcium_shows_none(
    healthy: SimulatedScan, aorta_only: SimulatedScan
) -> None:
    for scan in (healthy, aorta_only):
        assert scan.mass_mg == 0
        assert not scan.coronary_calcium.array.any()
        assert not scan.visible.any()
        assert not scan.regions.array.any()
        assert not scan.picked.array.any()
    assert aorta_only.person.lesions


def test_calcium_of_aorta_and_valves_brightens_the_scan_and_is_not_in_the_coronary_truth(
    many_sites: SimulatedScan,
) -> None:
    person = many_sites.person
    coronary = tuple(lesion for lesion in person.lesions if lesion.is_coronary)
    other = tuple(lesion for lesion in person.lesions if not lesion.is_coronary)
    assert {lesion.place for lesion in other} == {"aorta"}
    without = simulate_scan(
        replace(person, lesions=coronary), breath_hold=True, field_of_view="heart"
    )
    np.testing.assert_array_equal(without.coronary_calcium.array, many_sites.coronary_calcium.array)
    added = many_sites.image.array.astype(int) - without.image.array
    assert added.max() > 100
    assert added.min() >= -1
    only = simulate_scan(replace(person, lesions=other), breath_hold=True, field_of_view="heart")
    assert only.mass_mg == 0
    assert not only.coronary_calcium.array.any()
    assert not only.picked.array.any()
    assert only.image.array.max() > 130


def test_a_lesion_is_seen_where_the_truth_says_that_it_lies() -> None:
    lesion = Lesion("LAD", 0.3, 30.0, 400.0, 2, (0.0, 0.0, 0.0))
    person = replace(Person.draw(0), lesions=(lesion,))
    scan = simulate_scan(person, breath_hold=True, field_of_view="heart")
    calcium = scan.calcium["LAD"]
    middle = calcium.to_mm(ndimage.center_of_mass(calcium.array))
    reach = scan.settings.beat.strength * np.hypot(*EXCURSION_MM["LAD"])
    assert np.linalg.norm(np.subtract(middle, scan.centres_mm[0])) < reach + 2
    assert scan.visible.any()
    seen = scan.heart.array[calcium.array > 30]
    assert seen.mean() > 0.5


def test_what_is_seen_and_painted_and_picked_is_on_slices_with_calcium(
    carrier: SimulatedScan, many_sites: SimulatedScan
) -> None:
    for scan in (carrier, many_sites):
        with_calcium = scan.coronary_calcium.array.max(axis=(1, 2)) > 1
        assert scan.visible.any()
        assert not scan.visible[~with_calcium].any()
        painted = scan.regions.array.any(axis=(1, 2))
        assert not painted[~scan.visible].any()
        assert not scan.picked.array[scan.coronary_calcium.array <= 1].any()


def test_a_whole_chest_holds_the_heart_and_both_lungs() -> None:
    scan = simulate_scan(Person.draw(2), breath_hold=True, field_of_view="chest")
    border = (scan.heart.array.take([0, -1], axis=axis) for axis in range(3))
    assert not any(edge.any() for edge in border)
    lungs, count = ndimage.label(scan.image.array[:, ::2, ::2] < -600)
    sizes_cm3 = np.bincount(lungs.ravel())[1:] * scan.image.voxel_volume_mm3 * 4 / 1000
    assert count >= 2
    assert (sizes_cm3 > 500).any()


def test_a_scan_below_the_heart_has_an_empty_mask_and_no_visible_calcium() -> None:
    scan = simulate_scan(Person.draw(BELOW_THE_HEART, "locator"), breath_hold=True)
    assert not scan.heart.array.any()
    assert not scan.visible.any()


def test_the_populations_are_different_people() -> None:
    one, other = Person.draw(1, "rtp"), Person.draw(1, "nlst")
    assert one.anatomy.seed != other.anatomy.seed
    assert one.anatomy.heart_radii != other.anatomy.heart_radii
