"""The page of a patient's change as a browser shows it."""

import numpy as np
import pytest

from cacnb.export.change_page import write_change_page
from cacnb.study.change import judge_change
from cacnb.study.mesa import judge_by_mesa
from cacnb.study.repeat import learn_repeat

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    rng = np.random.default_rng(0)
    mean = rng.uniform(20, 600, 80)
    size = rng.normal(0, 1, 80) * (3 + 0.15 * mean)
    first = np.append(mean + size / 2, np.zeros(40))
    second = np.append(mean - size / 2, np.where(np.arange(40) < 6, 4.0, 0.0))
    study = learn_repeat(first, second, name="RTP pairs", simulated=True)
    path = tmp_path_factory.mktemp("change") / "change.html"
    changes = {
        "proposed": judge_change(0.0, 60.0, study, score="Pseudo-mass (HU·mm³)", years=2.0),
        "clinical": judge_change(100.0, 160.0, study, score="Clinical Agatston score", years=2.0),
    }
    write_change_page(changes, path, mesa=judge_by_mesa(100.0, 160.0, 27.0), notes=["A note."])
    return path


@pytest.fixture
def opened(open_page, page_file):
    return open_page(page_file)


def test_the_page_opens_without_the_network_and_without_complaint(opened, page_file):
    assert opened.asked == [page_file.as_uri()]
    assert opened.said == []


def test_every_picture_is_drawn_and_described(opened):
    pictures = opened.eval_on_selector_all(
        "svg[role=img]",
        "all => all.map(s => [s.getBoundingClientRect().width, s.getAttribute('aria-label')])",
    )
    assert len(pictures) == 4
    assert all(width > 100 and label for width, label in pictures)


@pytest.mark.parametrize("width", [1280, 1024, 400])
def test_the_page_needs_no_sideways_scrolling(opened, width):
    opened.set_viewport_size({"width": width, "height": 800})
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
