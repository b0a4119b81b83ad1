import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.scoring.lesions import Indices
from cacnb.scoring.proposed import score_map
from cacnb.scoring.reviewed import MapReview, begin_review, reviewed_map

SPACING_MM = (1.5, 1.0, 1.0)


def two_lesion_map() -> tuple[Volume, Volume]:
    """A lesion of 2 × 3 × 3 voxels, a bar of 1 × 1 × 7, and two voxels too few to count."""
    hu = np.zeros((6, 20, 24), np.float32)
    hu[1:3, 4:7, 4:7] = 200
    hu[4, 15, 10:17] = 90
    hu[0, 18, 1:3] = 50
    scan = np.full(hu.shape, 45, np.float32) + hu
    return Volume(hu, SPACING_MM, (7.0, 1.0, 2.0)), Volume(scan, SPACING_MM, (7.0, 1.0, 2.0))


def side(voxels: Indices) -> str:
    return "LAD" if voxels[:, 2].mean() < 9 else "RCA"


@pytest.fixture
def review() -> MapReview:
    return begin_review(*two_lesion_map(), artery_of=side, calibration_mg_per_hu_mm3=0.001)


def test_a_map_that_nobody_reviewed_stays_as_the_method_found_it(review: MapReview) -> None:
    found = score_map(*two_lesion_map(), artery_of=side, calibration_mg_per_hu_mm3=0.001)
    reviewed = reviewed_map(review)
    for scores in (review.scores, reviewed.scores):
        pd.testing.assert_frame_equal(scores.lesions, found.lesions, check_exact=True)
        assert scores.pseudo_mass_hu_mm3 == found.pseudo_mass_hu_mm3
        assert scores.mass_mg == found.mass_mg
    assert np.array_equal(reviewed.cac_map.array, review.cac_map.array)
    assert reviewed.keys == review.keys
    assert [key.split(":")[1] for key in review.keys] == ["1,4,4", "4,15,10"]
    assert reviewed_map(review, dict.fromkeys(review.keys, "accept")).keys == review.keys


def test_a_rejected_lesion_leaves_map_and_scores(review: MapReview) -> None:
    reviewed = reviewed_map(review, {review.keys[0]: "reject"})
    assert reviewed.keys == review.keys[1:]
    assert reviewed.scores.volume_mm3 == 7 * 1.5
    assert reviewed.scores.pseudo_mass_hu_mm3 == 7 * 90 * 1.5
    assert not reviewed.cac_map.array[1:3].any()
    assert review.cac_map.array[1:3].any(), "the method's map is left alone"


def test_another_artery_moves_a_lesion_and_no_artery_drops_it(review: MapReview) -> None:
    moved = reviewed_map(review, places={review.keys[1]: "LCX"})
    assert moved.scores.lesions["artery"].tolist() == ["LAD", "LCX"]
    assert moved.scores.agatston_adjusted == review.scores.agatston_adjusted
    dropped = reviewed_map(review, places={review.keys[1]: "aorta"})
    assert dropped.scores.lesions["artery"].tolist() == ["LAD"]
    assert dropped.keys == review.keys[:1]


def test_a_lesion_that_is_drawn_apart_keeps_its_key_and_its_artery(review: MapReview) -> None:
    noise = np.zeros((20, 24), bool)
    noise[:, 13] = True
    reviewed = reviewed_map(review, places={review.keys[1]: "LM"}, noise={4: noise})
    assert reviewed.keys == (review.keys[0], review.keys[1], review.keys[1])
    assert reviewed.scores.lesions["artery"].tolist() == ["LAD", "LM", "LM"]
    assert reviewed.scores.lesions["voxels"].tolist() == [18, 3, 3]


def test_noise_that_takes_the_first_voxel_leaves_the_verdict_where_it_was(
    review: MapReview,
) -> None:
    noise = np.zeros((20, 24), bool)
    noise[4, 4] = True
    drawn = reviewed_map(review, noise={1: noise})
    assert drawn.keys == review.keys
    assert drawn.scores.lesions["voxels"].tolist() == [17, 7]
    rejected = reviewed_map(review, {review.keys[0]: "reject"}, noise={1: noise})
    assert rejected.keys == review.keys[1:]


def test_a_lesion_of_which_too_little_is_left_does_not_count(review: MapReview) -> None:
    noise = np.zeros((20, 24), bool)
    noise[15, 12:] = True
    assert reviewed_map(review, noise={4: noise}).keys == review.keys[:1]


def test_another_map_of_the_scan_has_other_keys(review: MapReview) -> None:
    cac_map, image = two_lesion_map()
    other = begin_review(cac_map.with_array(cac_map.array * 2), image)
    assert set(other.keys).isdisjoint(review.keys)
    assert all(key.startswith(f"{review.map_key}:") for key in review.keys)
    assert begin_review(*two_lesion_map()).keys == review.keys


@pytest.mark.parametrize(
    ("code", "given"),
    [
        ("other_map", lambda key: {"verdicts": {key.replace("map-", "map-0"): "reject"}}),
        ("other_map", lambda key: {"places": {key + "0": "LAD"}}),
        ("other_map", lambda _: {"noise": {6: np.zeros((20, 24), bool)}}),
        ("other_map", lambda _: {"noise": {0: np.zeros((24, 20), bool)}}),
        ("bad_verdict", lambda key: {"verdicts": {key: "maybe"}}),
        ("bad_place", lambda key: {"places": {key: "LIMA"}}),
    ],
)
def test_what_is_not_of_this_map_is_refused(
    review: MapReview, code: str, given: Callable[[str], dict]
) -> None:
    with pytest.raises(InputError) as refusal:
        reviewed_map(review, **given(review.keys[0]))
    assert refusal.value.code == code


def test_a_map_without_lesions_can_be_reviewed() -> None:
    cac_map, image = two_lesion_map()
    review = begin_review(cac_map.with_array(np.zeros_like(cac_map.array)), image)
    assert review.keys == reviewed_map(review).keys == ()


def test_scoring_again_after_a_verdict_is_quick() -> None:
    rng = np.random.default_rng(0)
    hu = np.zeros((80, 224, 224), np.float32)
    for z, y, x in rng.integers((5, 60, 60), (70, 160, 160), (15, 3)):
        hu[z : z + 3, y : y + 5, x : x + 5] = rng.integers(20, 600, (3, 5, 5))
    cac_map = Volume(hu, SPACING_MM)
    review = begin_review(cac_map, cac_map.with_array(hu + 40))
    seconds = []
    for _ in range(5):
        begin = time.process_time()
        reviewed_map(review, {review.keys[0]: "reject"}, {review.keys[1]: "LM"})
        seconds.append(time.process_time() - begin)
    assert min(seconds) < 0.05
