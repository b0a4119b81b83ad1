"""The atlas that says where in a heart mask the arteries run."""

import numpy as np
import pytest

from cacnb.ct.volume import Volume
from cacnb.demo_weights import learn_atlas
from cacnb.scoring.artery_atlas import ArteryAtlas, HeartExtent
from cacnb.simulation.scan import Person, simulate_scan


@pytest.fixture(scope="module")
def atlas() -> ArteryAtlas:
    return learn_atlas(people=40)


def test_the_extent_of_a_heart_does_not_depend_on_its_grid() -> None:
    z, y, x = np.mgrid[-60:61:2, -60:61:2, -60:61:2]
    ball = (z**2 + y**2 + x**2) <= 50**2
    fine = HeartExtent.of(Volume(ball, (2.0, 2.0, 2.0), (-60.0, -60.0, -60.0)))
    coarse = HeartExtent.of(Volume(ball[::2, ::2, ::2], (4.0, 4.0, 4.0), (-60.0, -60.0, -60.0)))
    np.testing.assert_allclose(fine.centre_mm, 0, atol=1e-9)
    np.testing.assert_allclose(fine.spread_mm, 50 / 5**0.5, rtol=0.02)
    np.testing.assert_allclose(coarse.spread_mm, fine.spread_mm, rtol=0.03)


def test_an_empty_heart_has_no_extent() -> None:
    with pytest.raises(ValueError, match="empty"):
        HeartExtent.of(Volume(np.zeros((4, 4, 4), bool), (1.0, 1.0, 1.0)))


def test_lesions_of_people_that_the_atlas_has_not_seen_get_their_artery(atlas: ArteryAtlas) -> None:
    right = near = asked = 0
    for seed in range(700, 712):
        person = Person.draw(seed)
        if not any(lesion.is_coronary for lesion in person.lesions):
            continue
        scan = simulate_scan(person, breath_hold=False, field_of_view="heart")
        extent, region = HeartExtent.of(scan.heart), atlas.region(scan.heart)
        for number, lesion in enumerate(person.lesions):
            if not lesion.is_coronary:
                continue
            centre = scan.centres_mm[number]
            index = np.rint((centre - np.asarray(region.origin_mm)) / region.spacing_mm)
            asked += 1
            right += atlas.artery_of(extent, centre[None]) == lesion.place
            near += bool(region.array[tuple(index.astype(int))])
    assert asked >= 5
    assert right / asked >= 0.7
    assert near / asked >= 0.8


def test_the_region_near_the_arteries_is_part_of_the_heart_and_not_its_middle(
    atlas: ArteryAtlas,
) -> None:
    scan = simulate_scan(Person.draw(700), breath_hold=False, field_of_view="heart")
    region = atlas.region(scan.heart).array
    assert not region[~scan.heart.array].any()
    assert 0.05 < region.sum() / scan.heart.array.sum() < 0.7


def test_far_from_any_artery_no_artery_is_named(atlas: ArteryAtlas) -> None:
    extent = HeartExtent(np.zeros(3), np.full(3, 25.0))
    assert atlas.artery_of(extent, np.array([[0.0, 0.0, 0.0]])) is None
