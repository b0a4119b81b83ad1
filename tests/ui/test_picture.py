import numpy as np
import pytest

from cacnb.ct.volume import Volume
from cacnb.ui.picture import ORANGE, Layer, Pane, Picture, Stack, heart_box, whole_hu


def test_a_picture_is_sent_as_its_box_and_says_where_that_lies() -> None:
    array = np.arange(4 * 6 * 8, dtype=np.int16).reshape(4, 6, 8)
    scan = Volume(array, (3.0, 0.8, 0.7))
    box = (slice(1, 3), slice(2, 5), slice(4, 8))
    labels = Layer(scan.with_array((array % 3).astype(np.uint8)), "labels", {1: ORANGE})
    picture = Picture((Stack({"scan": scan}, {"regions": labels}),), (Pane(),), (box,))
    message, buffers = picture.message()
    (stack,) = message["stacks"]
    assert (stack["first"], stack["shape"]) == ([1, 2, 4], [2, 3, 4])
    assert (stack["whole_shape"], stack["spacing_mm"]) == ([4, 6, 8], [3.0, 0.8, 0.7])
    assert message["arrays"] == ["int16", "uint8"]
    assert np.frombuffer(buffers[0], "<i2").tolist() == array[box].ravel().tolist()
    assert np.frombuffer(buffers[1], "u1").tolist() == (array[box] % 3).ravel().tolist()


def test_hu_are_rounded_and_never_wrap() -> None:
    hu = np.array([-1024.4, 129.5, 40000.0], np.float32)
    assert whole_hu(hu).tolist() == [-1024, 130, 32767]


def test_the_box_of_a_heart_has_its_slices_and_a_margin_in_plane() -> None:
    heart = np.zeros((10, 50, 60), bool)
    heart[3:7, 20:30, 2:40] = True
    assert heart_box(heart, (3.0, 2.0, 1.0), 10.0) == (slice(3, 7), slice(15, 35), slice(0, 50))
    assert heart_box(np.zeros((2, 2, 2), bool), (1.0, 1.0, 1.0), 5.0) is None


@pytest.mark.parametrize("name", ["slice_canvas", "labeller", "region_painter", "lesion_picker"])
def test_a_widgets_script_is_one_module_without_imports(name: str) -> None:
    from cacnb.ui.javascript import module

    text = module(name)
    assert text.count("export default") == 1
    assert "\nimport " not in text
    assert "http://" not in text
    assert "https://" not in text


def test_no_script_reads_text_as_html() -> None:
    from pathlib import Path

    import cacnb.ui

    scripts = sorted(Path(cacnb.ui.__file__).parent.glob("*.js"))
    assert len(scripts) > 10
    for script in scripts:
        text = script.read_text(encoding="utf-8")
        for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert way not in text, f"{script.name} uses {way}"
