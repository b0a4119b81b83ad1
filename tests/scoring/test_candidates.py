import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacnb.ct.volume import Volume
from cacnb.errors import InputError, UsageError
from cacnb.scoring.candidates import CandidateKey, candidate_lesions, lesion_at, limited_key

SPACING_MM = (3.0, 0.5, 0.5)
voxel = st.tuples(st.integers(0, 999), st.integers(0, 999), st.integers(0, 999))


def two_lesions() -> Volume:
    hu = np.zeros((4, 20, 20), np.float32)
    hu[0, 2:4, 2:4] = 300
    hu[1, 4, 4] = 130  # touches the first by a corner
    hu[2:4, 15, 10:18] = 200
    return Volume(hu, SPACING_MM)


@given(st.floats(0.001, 2000).map(lambda v: round(v, 3)), st.booleans(), voxel, voxel,
       st.floats(0.1, 50).map(lambda v: round(v, 3)))  # fmt: skip
def test_a_key_says_all_of_itself_in_its_text(
    threshold: float, above: bool, first: tuple, centre: tuple, radius: float
) -> None:
    for key in (
        CandidateKey(threshold, above, first),
        CandidateKey(threshold, above, first, centre, radius),
    ):
        assert CandidateKey.of_text(str(key)) == key


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "130:1,2,3", ">=130:1,2", ">=130:1,2,-3", ">=130:1,2,3@4,5,6", "map-1:2"]
)
def test_a_malformed_key_is_refused(text: str) -> None:
    with pytest.raises(InputError) as refusal:
        CandidateKey.of_text(text)
    assert refusal.value.code == "bad_key"


def test_voxels_that_touch_by_a_corner_in_the_next_slice_are_one_lesion() -> None:
    found = candidate_lesions(two_lesions(), 130)
    assert [found.key(1), found.key(2)] == [">=130:0,2,2", ">=130:2,15,10"]
    assert len(found.first) == 2
    labels = found.labels().array
    assert labels[1, 4, 4] == labels[0, 2, 2] == 1
    assert np.array_equal(labels > 0, two_lesions().array >= 130)


def test_a_voxel_at_the_threshold_is_none_where_the_convention_wants_more() -> None:
    found = candidate_lesions(two_lesions(), 130, strictly_above=True)
    assert found.key(1) == ">130:0,2,2"
    assert found.labels().array[1, 4, 4] == 0


def test_a_key_means_the_same_voxels_on_another_machine() -> None:
    rng = np.random.default_rng(3)
    scan = Volume(rng.normal(60, 60, (12, 40, 40)).astype(np.float32), SPACING_MM)
    here, there = candidate_lesions(scan, 130), candidate_lesions(scan, 130)
    for number in range(1, len(here.first) + 1):
        same = there.number_of(CandidateKey.of_text(here.key(number)))
        assert np.array_equal(
            here.voxels[here.number == number], there.voxels[there.number == same]
        )


@pytest.mark.parametrize(
    "text", [">=131:0,2,2", ">130:0,2,2", ">=130:0,2,3", ">=130:9,2,2", ">=130:3,19,19"]
)
def test_a_key_of_another_threshold_or_place_is_refused(text: str) -> None:
    with pytest.raises(InputError) as refusal:
        candidate_lesions(two_lesions(), 130).number_of(CandidateKey.of_text(text))
    assert refusal.value.code == "other_candidates"


def test_a_click_beside_a_lesion_finds_the_nearest_in_millimetres() -> None:
    found = candidate_lesions(two_lesions(), 130)
    assert lesion_at(found, (0, 2, 2), 0) == found.key(1)
    # A slice away is 3 mm, four pixels away 2 mm.
    assert lesion_at(found, (1, 8, 4), 2.0) == found.key(1)
    assert lesion_at(found, (1, 8, 4), 1.9) is None
    assert lesion_at(found, (1, 15, 12), 2.9) is None
    assert lesion_at(found, (1, 15, 12), 3.0) == found.key(2)
    assert lesion_at(found, (-50, 0, 0), 2.0) is None


def test_growing_stays_in_the_sphere_and_off_what_only_lies_in_it() -> None:
    hu = np.zeros((1, 9, 21), np.float32)
    hu[0, 2, :] = 300  # a vessel wall along x …
    hu[0, 2:7, 20] = 300
    hu[0, 6, :] = 300  # … that comes back 2 mm below
    found = candidate_lesions(Volume(hu, SPACING_MM), 130)
    assert len(found.first) == 1
    key = limited_key(found, found.key(1), (0, 2, 8), 2.5)
    positions, away = found.reached(CandidateKey.of_text(key))
    index = found.index(positions)
    assert set(index[:, 1]) == {2}, "the other branch is in the sphere but not reached within it"
    assert sorted(index[:, 2]) == list(range(3, 14))
    assert away.max() == 2.5


def test_a_sphere_that_holds_nothing_of_the_lesion_is_refused() -> None:
    found = candidate_lesions(two_lesions(), 130)
    with pytest.raises(InputError) as refusal:
        limited_key(found, found.key(1), (3, 15, 12), 2.0)
    assert refusal.value.code == "nothing_near"


@pytest.mark.parametrize(("at", "radius"), [((0, 2, 2), 0.0), ((0, 2, 20), 1.0), ((-1, 2, 2), 1.0)])
def test_a_sphere_outside_the_scan_or_without_a_radius_is_refused(at: tuple, radius: float) -> None:
    found = candidate_lesions(two_lesions(), 130)
    with pytest.raises(UsageError):
        limited_key(found, found.key(1), at, radius)


@pytest.mark.parametrize("threshold", [0.0, -1.0, float("nan")])
def test_a_threshold_that_makes_calcium_of_air_is_refused(threshold: float) -> None:
    with pytest.raises(UsageError):
        candidate_lesions(two_lesions(), threshold)


def test_a_scan_without_a_bright_voxel_has_no_candidates() -> None:
    found = candidate_lesions(Volume(np.zeros((2, 3, 4)), SPACING_MM), 130)
    assert len(found.first) == len(found.voxels) == 0
    assert lesion_at(found, (0, 0, 0), 10.0) is None


def test_candidates_of_a_whole_noisy_scan_take_less_than_a_second() -> None:
    rng = np.random.default_rng(0)
    hu = rng.normal(40, 40, (100, 512, 512)).astype(np.float32)
    hu[:, 350:420, 200:300] = 400  # a spine
    scan = Volume(hu, (3.0, 0.4, 0.4))
    begin = time.process_time()
    found = candidate_lesions(scan, 130)
    assert time.process_time() - begin < 1.0
    assert len(found.first) > 10_000
