import numpy as np
import pytest

from cacnb.errors import InputError, UsageError
from cacnb.scoring.conventions import (
    CONVENTIONS,
    DEFAULT_CONVENTION,
    SmallestSize,
    convention,
    threshold_by,
    threshold_for_kvp,
)


def test_the_default_convention_is_the_one_of_the_literature():
    assert DEFAULT_CONVENTION == "literature"
    assert convention() is CONVENTIONS["literature"]
    assert "10.1002/mp.14912" in convention().citation


def test_there_is_a_row_for_every_peer():
    peers = {"literature", "qurai", "ai-cac", "deepcac", "slicer", "calciumscoring.jl", "orcascore"}
    assert set(CONVENTIONS) == peers
    assert all(row.citation and row.name == name for name, row in CONVENTIONS.items())


def test_an_unknown_convention_is_refused_with_the_names_there_are():
    with pytest.raises(UsageError, match=r"'siemens'.*literature.*orcascore"):
        convention("siemens")


def test_weights_change_at_200_300_and_400_hu():
    weights = convention("literature").weight(np.array([129, 130, 199, 200, 299, 300, 399, 400.0]))
    assert weights.tolist() == [0, 1, 1, 2, 2, 3, 3, 4]


def test_the_slicer_weight_is_the_floor_of_a_hundredth_of_the_maximum_and_at_most_4():
    peaks = np.array([131.0, 199.9, 200.0, 385.0, 400.0, 1275.0])
    assert convention("slicer").weight(peaks).tolist() == [min(int(p // 100), 4) for p in peaks]


def test_julia_weights_change_one_hu_earlier():
    weights = convention("calciumscoring.jl").weight(np.array([129, 130, 199, 299, 399.0]))
    assert weights.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("size", "fewest"),
    [
        (SmallestSize(), 1),
        (SmallestSize("area_mm2", 1.0, strictly_above=True), 5),
        (SmallestSize("area_mm2", 1.0), 4),
        (SmallestSize("volume_mm3", 1.5), 2),
        (SmallestSize("voxels", 3, strictly_above=True), 4),
        (SmallestSize("rounded_pixels", 1.2), 5),
    ],
)
def test_a_component_counts_from_its_smallest_size_on(size, fewest):
    voxels = np.arange(1, 10)
    counts = size.admits(voxels, pixel_area_mm2=0.25, voxel_volume_mm3=0.75)
    assert voxels[counts][0] == fewest


def test_a_thickness_rule_uses_the_slice_thickness_where_it_says_so():
    assert convention("literature").thickness_factor(1.5, 3.0) == 1.0
    assert convention("literature").thickness_factor(1.5, None) == 0.5
    assert convention("qurai").thickness_factor(1.5, 3.0) == 0.5
    assert convention("slicer").thickness_factor(1.5, 3.0) == 1.0


def test_the_threshold_at_100_kvp_is_147_hu():
    assert threshold_for_kvp(100.0) == 147.0
    assert threshold_for_kvp(120) == 130.0
    with pytest.raises(UsageError, match="70 kVp"):
        threshold_for_kvp(70)


def test_a_slice_component_has_no_meaning_for_3_d_lesions():
    from dataclasses import replace

    with pytest.raises(ValueError, match="in-plane connectivity"):
        replace(convention("literature"), connectivity="3d-26")


def test_the_kvp_rule_takes_147_hu_at_100_kvp_and_else_the_conventions_own():
    literature, julia = convention("literature"), convention("calciumscoring.jl")
    assert threshold_by("fixed", literature, 100.0) == 130.0
    assert threshold_by("kvp", literature, 100.0) == 147.0
    assert threshold_by("kvp", literature, 120.0) == 130.0
    assert threshold_by("kvp", julia, 140.0) == julia.threshold_hu == 128.0
    assert threshold_by("kvp", julia, 100.0) == 147.0


@pytest.mark.parametrize("kvp", [None, 80.0])
def test_the_kvp_rule_refuses_a_voltage_without_a_threshold(kvp: float | None):
    with pytest.raises(InputError) as caught:
        threshold_by("kvp", convention("literature"), kvp)
    assert caught.value.code == "no_threshold"


def test_a_threshold_rule_of_another_name_is_a_wrong_call():
    with pytest.raises(UsageError, match="fixed or kvp"):
        threshold_by("voltage", convention("literature"), 120.0)
