import io

import numpy as np
import pytest
from PIL import Image

from cacnb.ct.volume import Volume
from cacnb.errors import UsageError
from cacnb.lessons.slice_view import MARGIN_MM, slice_view


@pytest.fixture
def scan() -> Volume:
    hu = np.full((10, 60, 60), 40, np.float32)
    hu[:, :4] = -1000
    return Volume(hu, (3.0, 1.0, 1.0), (-12.0, 5.0, 5.0))


def heart_of(scan: Volume) -> Volume:
    array = np.zeros(scan.shape, bool)
    array[2:9, 20:40, 22:38] = True
    return scan.with_array(array)


def map_of(scan: Volume) -> Volume:
    array = np.zeros(scan.shape, np.float32)
    array[4, 30, 30], array[6, 28:32, 28:32] = 900, 300
    return scan.with_array(array)


def test_images_of_one_grid_are_one_stack_and_one_shown_twice_is_sent_once(scan):
    healthy = scan.with_array(scan.array - 1)
    view = slice_view({"Scan": scan, "Again": scan, "Healthy": healthy})
    message, buffers = view.picture.message()
    assert len(message["stacks"]) == 1
    assert len(buffers) == 2
    assert [pane["title"] for pane in message["panes"]] == ["Scan", "Again", "Healthy"]


def test_the_view_is_cut_to_the_heart_with_a_margin_and_opens_where_the_map_is_fullest(scan):
    view = slice_view({"Scan": scan}, heart=heart_of(scan), cac_map=map_of(scan))
    (box,) = view.picture.box
    margin = round(MARGIN_MM)
    assert box == (slice(2, 9), slice(20 - margin, 40 + margin), slice(22 - margin, 38 + margin))
    assert view.at == (4,)  # slice 6 of the scan, 4 of the box


def test_it_opens_at_a_place_in_mm_and_never_beyond_what_is_shown(scan):
    assert slice_view({"Scan": scan}, start_mm=-12.0 + 3 * 7).at == (7,)
    assert slice_view({"Scan": scan}, start_mm=500.0).at == (9,)
    assert slice_view({"Scan": scan}, heart=heart_of(scan), start_mm=-500.0).at == (0,)
    assert slice_view({"Scan": scan}).at == (5,)


def test_labels_are_counted_by_voxels_and_not_by_their_numbers(scan):
    labels = np.zeros(scan.shape, np.int32)
    labels[3, 10:20, 10:20], labels[8, 5, 5] = 1, 200
    assert slice_view({"Scan": scan}, labels=scan.with_array(labels)).at == (3,)


def test_an_image_of_another_grid_opens_as_far_up(scan):
    fine = Volume(np.zeros((20, 30, 30), np.float32), (1.5, 2.0, 2.0), (-12.0, 5.0, 5.0))
    view = slice_view({"Scan": scan, "Fine": fine}, start_mm=0.0)
    assert view.at == (4, 8)


def test_a_map_lies_over_the_panes_that_are_named_for_it(scan):
    captions = ("Scan", "Map over scan")
    view = slice_view(dict.fromkeys(captions, scan), cac_map={captions[1]: map_of(scan)})
    first, second = view.picture.panes
    assert first.layers == ()
    assert len(second.layers) == 1


def test_a_map_on_another_grid_is_refused(scan):
    other = Volume(np.zeros((5, 60, 60), np.float32), (6.0, 1.0, 1.0))
    with pytest.raises(UsageError, match="resample"):
        slice_view({"Scan": scan}, cac_map=other)
    with pytest.raises(UsageError, match="no image"):
        slice_view({})


def test_a_page_is_told_slice_and_window(scan):
    view = slice_view({"Scan": scan}, start_mm=-12.0 + 6, window_hu=(-100.0, 300.0))
    sent = []
    view.send = lambda content, buffers=None: sent.append((content, buffers))
    view.hear({"type": "ready"}, [])
    (content, buffers), *others = sent
    assert not others
    assert (content["type"], content["slice"]) == ("picture", 2)
    assert content["window"] == [-100.0, 300.0]
    assert len(buffers) == 1


def test_the_still_shows_all_panes_at_the_slice_with_the_map_in_colour(scan):
    captions = ("Scan", "Map")
    view = slice_view(
        dict.fromkeys(captions, scan), cac_map={"Map": map_of(scan)}, alt="Scan and map."
    )
    bundle, metadata = view._repr_mimebundle_()
    assert metadata["image/png"] == {"alt": "Scan and map."}
    assert "application/vnd.jupyter.widget-view+json" in bundle
    png, _ = view.still()
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    half = pixels.shape[1] // 2
    red = pixels[..., 0] - pixels[..., 2] > 60
    assert not red[:, : half - 4].any()
    assert red[:, half:].sum() > 100
