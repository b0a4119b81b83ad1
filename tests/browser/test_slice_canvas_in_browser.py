import numpy as np
import pytest

from cacnb.ct.volume import Volume
from cacnb.ui.picture import ORANGE, Layer, Pane, Picture, Stack

pytestmark = pytest.mark.browser

DEPTH, HEIGHT, WIDTH = 10, 40, 40


def scan(spacing_mm=(3.0, 1.0, 1.0), depth=DEPTH) -> Volume:
    """Every slice one HU value: slice z has 100 z − 50, but for one bright voxel."""
    array = np.zeros((depth, HEIGHT, WIDTH), np.int16)
    array += (100 * np.arange(depth, dtype=np.int16) - 50)[:, None, None]
    array[:, 10, 30] = 900
    return Volume(array, spacing_mm)


def picture(**layers: Layer) -> Picture:
    stack = Stack({"scan": scan()}, layers)
    return Picture((stack,), (Pane(layers=tuple(layers)),))


@pytest.fixture
def canvas(widget_page):
    canvas = widget_page("slice_canvas")
    canvas.show(picture(), slice=5)
    return canvas


def grey_in_the_middle(canvas) -> list[int]:
    return canvas.get(
        """() => { const c = widget.views[0].canvas;
        return [...c.getContext("2d").getImageData(c.width / 2, c.height / 2, 1, 1).data]; }"""
    )


def test_a_new_page_says_that_it_is_ready(canvas) -> None:
    assert canvas.heard("ready") == [{"type": "ready"}]


def test_a_slice_is_grey_by_the_window_that_the_networks_see(canvas) -> None:
    # 450 HU is half way from −50 to 950.
    assert grey_in_the_middle(canvas) == [128, 128, 128, 255]


def test_a_picture_opens_in_its_own_window_and_the_next_keeps_the_readers(widget_page) -> None:
    canvas = widget_page("slice_canvas")
    canvas.show(picture(), slice=5, window=[250, 650])
    assert grey_in_the_middle(canvas) == [128, 128, 128, 255]
    canvas.get("widget.setWindow(-50, 450)")
    canvas.show(picture(), slice=5, window=[250, 650])
    assert grey_in_the_middle(canvas) == [255, 255, 255, 255]


@pytest.mark.parametrize(
    ("keys", "z"),
    [(["ArrowDown"], 4), (["ArrowUp"], 6), (["PageDown"], 0), (["PageUp"], 9), (["Home"], 9),
     (["End"], 0), (["j", "j"], 3)],
)  # fmt: skip
def test_keys_scroll_from_the_head_down_and_stop_at_the_ends(canvas, keys, z) -> None:
    canvas.press(*keys)
    assert canvas.get("widget.look.slice") == z


def test_nothing_is_asked_of_the_kernel_while_scrolling(canvas) -> None:
    before = canvas.get("heard.length")
    canvas.press("ArrowDown", "5", "6", "+", "o")
    canvas.page.mouse.move(300, 300)
    canvas.page.mouse.wheel(0, 200)
    assert canvas.get("heard.length") == before


def test_the_soft_tissue_window_is_400_wide_at_40(canvas) -> None:
    canvas.press("6")
    assert canvas.get("[widget.look.lower, widget.look.upper]") == [-160, 240]
    assert grey_in_the_middle(canvas) == [255, 255, 255, 255]


def test_a_drag_changes_window_and_level(canvas) -> None:
    canvas.page.mouse.move(300, 300)
    canvas.page.mouse.down()
    canvas.page.mouse.move(320, 310)
    canvas.page.mouse.up()
    lower, upper = canvas.get("[widget.look.lower, widget.look.upper]")
    assert upper - lower == 1000 + 3 * 20
    assert (upper + lower) / 2 == 450 + 2 * 10


def test_hover_tells_the_hu_under_the_pointer(canvas) -> None:
    x, y = canvas.get("widget.views[0].pointOf(30, 10)")
    box = canvas.page.locator("canvas.cacnb-slice").bounding_box()
    canvas.page.mouse.move(box["x"] + x, box["y"] + y)
    assert "900 HU at 30, 10" in canvas.page.locator(".cacnb-status").inner_text()


def test_zoom_keeps_the_voxel_under_the_pointer(canvas) -> None:
    box = canvas.page.locator("canvas.cacnb-slice").bounding_box()
    canvas.page.mouse.move(600, 200)
    under = f"widget.views[0].voxelAt({600 - box['x']}, {200 - box['y']})"
    before = canvas.get(under)
    canvas.page.keyboard.down("Control")
    canvas.page.mouse.wheel(0, -100)
    canvas.page.keyboard.up("Control")
    canvas.page.wait_for_function("widget.look.zoom > 1")
    assert canvas.get(under) == pytest.approx(before, abs=1e-6)


def test_an_overlay_colours_its_voxels_and_one_key_takes_it_away(widget_page) -> None:
    canvas = widget_page("slice_canvas")
    array = np.zeros((DEPTH, HEIGHT, WIDTH), np.uint8)
    array[:, 12:28, 12:28] = 1
    canvas.show(picture(regions=Layer(scan().with_array(array), "labels", {1: ORANGE})), slice=5)
    red, _, blue, _ = grey_in_the_middle(canvas)
    assert red > blue + 40
    canvas.press("o")
    assert grey_in_the_middle(canvas) == [128, 128, 128, 255]


def test_two_scans_side_by_side_move_by_the_same_millimetres(widget_page) -> None:
    canvas = widget_page("slice_canvas")
    stacks = (Stack({"scan": scan()}), Stack({"scan": scan((1.5, 1.0, 1.0), depth=20)}))
    canvas.show(Picture(stacks, (Pane(0), Pane(1)), (None, None)), slice=0)
    canvas.press("PageUp")
    assert canvas.get("widget.looks.map(look => look.slice)") == [9, 18]


def test_the_keys_are_listed_on_a_question_mark_and_can_be_chosen(canvas) -> None:
    canvas.press("?")
    assert canvas.page.locator(".cacnb-help").is_visible()
    canvas.page.locator("tr", has_text="Whole slice").locator("button").click()
    canvas.press("w")
    canvas.press("Escape")
    canvas.press("+", "w")
    assert canvas.get("widget.look.zoom") == 1
    canvas.open()
    canvas.show(picture(), slice=5)
    canvas.press("+", "w")
    assert canvas.get("widget.look.zoom") == 1


def test_every_button_can_be_reached_and_read_without_a_mouse(canvas, faint_text) -> None:
    names = canvas.get("[...document.querySelectorAll('button')].map(b => b.textContent.trim())")
    assert names
    assert all(names)
    assert faint_text(canvas.page) == []
    canvas.press("Tab")
    assert canvas.get("document.activeElement.tagName") == "BUTTON"


@pytest.mark.parametrize(
    "name", ["slice_canvas", "labeller", "region_painter", "lesion_picker", "map_review"]
)
def test_no_key_of_an_app_stands_for_two_things(widget_page, name) -> None:
    app = widget_page(name)
    keys = app.get("widget.commandList.flatMap(command => command.keys)")
    assert sorted(keys) == sorted(set(keys))
    names = app.get("widget.commandList.map(command => command.name)")
    assert sorted(names) == sorted(set(names))
