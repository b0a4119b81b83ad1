"""One Chromium for the pages of all tests here, and what is asked of every page."""

from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-quic",
]  # fmt: skip


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"Chromium is not at {CHROMIUM}: apt-get install chromium")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser):
    """Opens a file; the page lists what it asked for (`asked`) and complained of (`said`)."""
    pages = []

    def open_file(path):
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        pages.append(page)
        page.set_default_timeout(120_000)
        page.asked, page.said = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.goto(path.as_uri(), wait_until="load")
        return page

    yield open_file
    for page in pages:
        page.close()


@pytest.fixture
def faint_text():
    """WCAG AA: the elements with text of their own that stand out by less than 4.5 to 1."""

    def find(page, selector="*"):
        return page.evaluate(
            """selector => {
              const part = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
              const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
              const numbers = css => css.match(/[\\d.]+/g).map(Number);
              const ground = e => {
                for (; e; e = e.parentElement) {
                  const rgba = numbers(getComputedStyle(e).backgroundColor);
                  if (rgba.length === 3 || rgba[3] > 0) return rgba;
                }
                return [255, 255, 255];
              };
              const own = e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
              return [...document.body.querySelectorAll(selector)].filter(own).filter(e => {
                const pair = [light(numbers(getComputedStyle(e).color)), light(ground(e))];
                return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05) < 4.5;
              }).map(e => e.outerHTML.slice(0, 80));
            }""",
            selector,
        )

    return find
