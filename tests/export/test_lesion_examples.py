import io

import numpy as np
import pytest
from PIL import Image

from cacnb.ct.volume import Volume
from cacnb.errors import UsageError
from cacnb.export.lesion_examples import (
    HEAD_PX,
    KINDS,
    LINE_PX,
    PANEL_PX,
    PANELS,
    lesion_examples,
    lesion_examples_caption,
    lesion_examples_png,
)


def calcium(scan, *, without=(), extra=()):
    """What a reader painted: the map's lesions less those in some slices, and boxes of it besides.

    Boxes are (slice, y, x).
    """
    mask = np.asarray(scan.cac_map.array > 0).copy()
    for k in without:
        mask[k : k + 2] = False
    for k, y, x in extra:
        mask[k : k + 2, y : y + 4, x : x + 4] = True
    return scan.image.with_array(mask)


@pytest.fixture
def study(draw):
    """Two scans: a bright lesion that both methods find, one in the aorta, a faint one, a miss."""
    bright = draw("p01-a", lesions=((6, 40), (14, 60)))
    faint = draw("p02-a", lesions=((6, 50),), hu=60.0, seed=2)
    reference = {
        "p01-a": calcium(bright, without=(14,), extra=((18, 40, 70),)),
        "p02-a": calcium(faint),
    }
    return [bright, faint], reference


def by_kind(examples):
    return {example.kind: example for example in examples}


def test_each_kind_is_chosen_by_its_rule(study):
    scans, reference = study
    found = by_kind(lesion_examples(scans, reference.get))
    assert list(found) == list(KINDS)
    places = {kind: (example.scan, example.slice_number) for kind, example in found.items()}
    assert places == {
        "both": ("p01-a", 7),
        "map_alone": ("p02-a", 7),
        "missed": ("p01-a", 19),
        "false": ("p01-a", 15),
    }


def test_a_lesion_below_130_hu_is_found_by_the_map_alone(study):
    scans, reference = study
    example = by_kind(lesion_examples(scans, reference.get))["map_alone"]
    assert not example.layers.counted.any()
    assert example.layers.map_hu.max() > 0
    voxels, voxel_mm3 = 2 * 3 * 3, 1.5 * 1.2 * 1.2
    assert example.volume_mm3 == pytest.approx(voxels * voxel_mm3)
    assert example.map_hu_mm3 == pytest.approx(voxels * voxel_mm3 * 0.9 * 60)


def test_the_largest_lesion_of_all_scans_is_the_example(draw):
    small, large = draw("small", hu=150.0), draw("large", hu=400.0)
    reference = {scan.name: calcium(scan) for scan in (small, large)}
    for order in ((small, large), (large, small)):
        assert [e.scan for e in lesion_examples(order, reference.get)] == ["large"]
    two = lesion_examples((small, large), reference.get, of_each=2)
    assert [e.scan for e in two] == ["large", "small"]


def test_without_a_reference_a_lesion_of_the_map_alone_is_no_example(draw):
    faint = draw("faint", lesions=((6, 50),), hu=60.0)
    assert lesion_examples([faint]) == []
    assert [e.kind for e in lesion_examples([draw("bright")])] == ["both"]


def test_scans_without_pictures_are_passed_over(scan, refused):
    assert lesion_examples([refused, scan.without_images()]) == []


def test_a_reference_on_another_grid_is_refused(scan):
    wrong = Volume(np.zeros((2, 2, 2), bool), scan.image.spacing_mm)
    with pytest.raises(UsageError, match="resample it to the scan's grid"):
        lesion_examples([scan], lambda name: wrong)


def test_the_picture_has_a_row_an_example_and_a_panel_a_view(study):
    scans, reference = study
    examples = lesion_examples(scans, reference.get)
    picture = np.asarray(
        Image.open(io.BytesIO(lesion_examples_png(examples, simulated=True))).convert("RGB")
    ).astype(int)
    step = picture.shape[1] // len(PANELS)
    top = HEAD_PX + LINE_PX
    scan, clinical, healthy, cac_map = (
        picture[top : top + PANEL_PX, i * (step + 1) : i * (step + 1) + PANEL_PX] for i in range(4)
    )
    grey = [np.ptp(panel, axis=2).max() == 0 for panel in (scan, clinical, healthy, cac_map)]
    assert grey == [True, False, True, False]
    middle = slice(PANEL_PX // 2 - 6, PANEL_PX // 2 + 6)
    assert scan[middle, middle].mean() > healthy[middle, middle].mean() + 60
    assert picture.shape[0] > len(examples) * PANEL_PX


def test_a_picture_needs_an_example():
    with pytest.raises(UsageError, match="no example came"):
        lesion_examples_png([], simulated=False)


def test_the_caption_names_scans_and_no_paths(study):
    scans, reference = study
    caption = lesion_examples_caption(lesion_examples(scans, reference.get))
    assert "found by both methods (scan p01-a, slice 7)" in caption
    assert "home" not in caption
