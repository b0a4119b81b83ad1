"""Overlap and surface distances of masks whose answer is known."""

import numpy as np
import pytest

from cacnb.ct.volume import Volume
from cacnb.evaluation.surfaces import compare_masks


def box(low: int, high: int, spacing: tuple[float, float, float] = (2.0, 2.0, 2.0)) -> Volume:
    array = np.zeros((20, 20, 20), bool)
    array[low:high, 5:15, 5:15] = True
    return Volume(array, spacing)


def test_a_mask_moved_by_two_slices_is_two_slices_away() -> None:
    found = compare_masks(box(7, 17), box(5, 15))
    assert found is not None
    assert found["dice"] == pytest.approx(0.8)
    assert found["hausdorff_mm"] == pytest.approx(4.0)
    assert 0 < found["surface_mm"] < 4.0


def test_distances_do_not_depend_on_which_mask_is_the_reference() -> None:
    one, other = compare_masks(box(6, 12), box(5, 15)), compare_masks(box(5, 15), box(6, 12))
    assert one == pytest.approx(other)


def test_a_mask_on_another_grid_is_the_same_mask() -> None:
    fine = Volume(np.repeat(box(5, 15).array, 2, axis=0), (1.0, 2.0, 2.0), (-0.5, 0.0, 0.0))
    found = compare_masks(fine, box(5, 15))
    assert found is not None
    assert found["dice"] > 0.99


def test_an_empty_mask_has_no_distance() -> None:
    assert compare_masks(box(5, 5), box(5, 15)) is None
