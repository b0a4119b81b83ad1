"""Every lesson runs top to bottom in a clean kernel, and its results stay within their ranges."""

from pathlib import Path

import pytest

from tests.notebooks.lessons import NAMES
from tests.notebooks.outputs import (
    FETCHED,
    VIEW,
    outputs,
    pictures_without_text,
    texts,
)
from tests.notebooks.ranges import RANGES

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("name", NAMES)]


@pytest.fixture
def lesson(taught_lesson, name):
    return taught_lesson(name)


def test_a_lesson_shows_something_and_says_nothing_on_the_side(lesson):
    shown = outputs(lesson.notebook)
    assert shown != []
    assert [output.text for output in shown if output.output_type == "stream"] == []


def test_every_result_of_a_lesson_is_within_its_range(lesson, name):
    assert RANGES[name] != {}
    outside = {
        asked: (value, RANGES[name][asked])
        for asked, value in lesson.values.items()
        if not RANGES[name][asked][0] <= value <= RANGES[name][asked][1]
    }
    assert outside == {}


def test_every_picture_of_a_lesson_has_a_text(lesson):
    assert pictures_without_text(lesson.notebook) == []


def test_every_widget_of_a_lesson_has_a_picture_for_pages_without_a_kernel(lesson):
    views = [output.data for output in outputs(lesson.notebook) if VIEW in output.get("data", {})]
    assert [data["text/plain"] for data in views if "image/png" not in data] == []


def test_a_lesson_fetches_nothing(lesson):
    assert [found for text in texts(lesson.notebook) for found in FETCHED.findall(text)] == []
    assert not any("<script" in text for text in texts(lesson.notebook))


def test_a_lesson_shows_no_folder_of_this_machine(lesson):
    folders = (f"{Path.home()}/", str(lesson.workdir), str(Path.cwd()))
    shown = "\n".join(texts(lesson.notebook))
    assert [folder for folder in folders if folder in shown] == []


def test_a_lesson_leaves_no_process_behind(lesson):
    assert lesson.left == []
