"""The moving lesion in Chromium: it picks and tells what was computed, without a kernel."""

import pytest

from cacnb.lessons.moving_lesion import MovingLesion

pytestmark = pytest.mark.browser

#: Bright, orange pixels of the canvas: the line around what counts.
ORANGE = """() => {
  const canvas = document.querySelector("canvas");
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let found = 0;
  for (let i = 0; i < data.length; i += 4)
    if (data[i] > 200 && data[i + 1] > 120 && data[i + 1] < 200 && data[i + 2] < 80) found += 1;
  return found;
}"""


def traits(lesson: MovingLesion) -> dict:
    return {
        name: getattr(lesson, name) for name in ("title", "notice", "choices", "images", "told")
    }


@pytest.fixture
def page(widget_page):
    from pathlib import Path

    from cacnb import lessons

    lesson = MovingLesion()
    opened = widget_page("moving_lesion", traits(lesson), Path(lessons.__file__).parent)
    opened.lesson = lesson
    return opened


def said(page) -> str:
    return page.page.locator(".cacnb-live").text_content()


def wait_for(page, words: str) -> None:
    """The browser moves a slider some time after its key."""
    page.page.wait_for_function(
        "words => document.querySelector('.cacnb-live').textContent.startsWith(words)", arg=words
    )


def test_the_sliders_tell_what_was_computed_and_the_outline_goes_with_it(page, faint_text) -> None:
    live = page.page.locator(".cacnb-live")
    assert live.get_attribute("aria-live") == "polite"
    rest = page.lesson.scores.query("speed_mm_s == 0 and thickness_mm == 3 and noise_hu == 15")
    assert f"Agatston score {rest['agatston'].iloc[0]:.0f}" in said(page)
    assert page.get(ORANGE) > 20

    page.get("window.reached = 0, document.addEventListener('keydown', () => window.reached++)")
    speed = page.page.get_by_label("Speed of the lesion")
    speed.focus()
    page.press("ArrowRight", "ArrowRight")
    wait_for(page, "10 mm/s, slices of 3 mm, noise 15 HU")
    ten = page.lesson.scores.query("speed_mm_s == 10 and thickness_mm == 3 and noise_hu == 15")
    assert f"Agatston score {ten['agatston'].iloc[0]:.0f}" in said(page)
    assert speed.get_attribute("aria-valuetext") == "10 mm/s"
    assert page.get("window.reached") == 0  # JupyterLab would move to another cell

    page.page.get_by_role("button", name="RCA").click()
    assert "Agatston score 0" in said(page)
    assert "of 20.0 mg" in said(page)
    assert page.get(ORANGE) == 0
    assert page.page.locator("canvas").get_attribute("aria-label").endswith(said(page))
    cells = page.page.locator("tr", has_text="Agatston score").locator("td").all_inner_texts()
    assert cells == ["0", f"{rest['agatston'].iloc[0]:.0f}"]
    assert faint_text(page.page) == []
