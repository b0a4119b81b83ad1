"""The course as pages: they load nothing, lead nowhere that is not there, and speak to all."""

import re
from pathlib import Path

import pytest

from notebooks.publishing.outputs import NO_PICTURE
from notebooks.publishing.pages import write_pages
from tests.notebooks.lessons import NAMES
from tests.notebooks.outputs import images, tags

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(taught_lesson, tmp_path_factory) -> Path:
    """All pages, from the lessons that other tests ran or run from the other end on."""
    done = {name: taught_lesson(name).notebook for name in reversed(NAMES)}
    folder = tmp_path_factory.mktemp("site")
    write_pages({name: done[name] for name in NAMES}, folder)
    return folder


@pytest.fixture(scope="module")
def pages(site) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in site.glob("*.html")}


def test_each_lesson_the_course_and_the_glossary_is_a_page(pages):
    assert sorted(pages) == sorted([*(f"{n}.html" for n in NAMES), "glossary.html", "index.html"])


def test_links_between_pages_lead_to_pages_and_places_that_are_there(pages):
    places = {file: {a.get("id") for _, a in tags(page)} for file, page in pages.items()}
    broken = []
    for file, page in pages.items():
        for link in (a["href"] or "" for tag, a in tags(page) if tag == "a" and "href" in a):
            if re.match(r"[a-z]+:", link):
                if not re.fullmatch(r"https://[\w.-]+\.[a-z]+(/\S*)?", link):
                    broken.append((file, link))
                continue
            to, _, anchor = link.partition("#")
            if (to or file) not in places or (anchor and anchor not in places[to or file]):
                broken.append((file, link))
    assert broken == []


def test_every_page_leads_to_every_lesson(pages):
    for page in pages.values():
        links = {a.get("href") for tag, a in tags(page) if tag == "a"}
        assert {f"{name}.html" for name in NAMES} <= links


def test_every_picture_of_a_page_has_a_text(pages):
    found = [image for page in pages.values() for image in images(page)]
    assert len(found) >= len(NAMES)
    assert [image for image in found if not (image.get("alt") or "").strip()] == []


def test_no_view_is_missing_from_a_page(pages):
    assert [file for file, page in pages.items() if NO_PICTURE in page] == []


def test_every_page_says_that_it_is_simulated_and_for_research_only(pages):
    for page in pages.values():
        assert "Simulated data" in page
        assert "not a medical device" in page


@pytest.mark.browser
def test_pages_ask_nothing_of_a_network_and_complain_of_nothing(site, open_page):
    for path in sorted(site.glob("*.html")):
        page = open_page(path)
        page.wait_for_load_state("networkidle")
        inside = (f"file://{site}/", "blob:", "data:")
        assert [url for url in page.asked if not url.startswith(inside)] == []
        assert page.said == []
        page.close()


@pytest.mark.browser
def test_a_view_that_needs_no_kernel_moves_in_a_page(site, pages, open_page):
    live = [file for file, page in pages.items() if "data-model=" in page]
    assert live != []
    page = open_page(site / live[0])
    place = page.locator("[data-model]").first
    slider = place.locator("input[type=range]").first
    slider.wait_for()
    before = place.inner_text()
    slider.focus()
    slider.press("End")
    assert place.inner_text() != before
