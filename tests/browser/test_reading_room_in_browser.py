"""Readers at work: real server, real kernels, real store, real browser; kernels are killed."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from cacnb.labels.store import LabelStore

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TOKEN = "reading-room-test"  # noqa: S105


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def labels(request, tmp_path_factory) -> str:
    """Where labels go: one store for all tests here, each with readers of its own."""
    if request.param == "sqlite":
        return str(tmp_path_factory.mktemp("labels") / "labels.sqlite")
    server = request.getfixturevalue("postgres_server")
    server.execute("CREATE DATABASE reading_room")
    return server.url("reading_room")


class Room:
    """A running `cacnb serve`."""

    def __init__(self, study: Path, labels: str, app: str, folder: Path, *more: str) -> None:
        import socket

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.labels = labels
        self.log = (folder / "serve.log").open("w+")
        command = [
            str(Path(sys.executable).with_name("cacnb")), "serve", app, "--study", str(study),
            "--port", str(self.port), *more,
        ]  # fmt: skip
        environment = os.environ | {"CACNB_LABELS": labels, "CACNB_TOKEN": TOKEN}
        self.process = subprocess.Popen(command, env=environment, stderr=self.log)
        self.address = f"http://127.0.0.1:{self.port}/?token={TOKEN}"
        self.wait()

    def wait(self) -> None:
        for _ in range(600):
            if "open http" in Path(self.log.name).read_text(encoding="utf-8"):
                return
            assert self.process.poll() is None, Path(self.log.name).read_text(encoding="utf-8")
            psutil.time.sleep(0.1)
        raise AssertionError("the server did not answer within a minute")

    def kernel_of(self, page) -> psutil.Process:
        """The process that stands behind a page."""
        told = json.loads(page.locator("#jupyter-config-data").text_content())
        for child in psutil.Process(self.process.pid).children(recursive=True):
            if any(told["kernelId"] in part for part in child.cmdline()):
                return child
        raise AssertionError("the page has no kernel")

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self.log.close()


@pytest.fixture(scope="module")
def serve(reading_study, labels, tmp_path_factory):
    """One server an app, for as long as the tests here run."""
    rooms: dict[str, Room] = {}

    def start(app: str, study: Path = reading_study) -> Room:
        if app not in rooms:
            folder = tmp_path_factory.mktemp(app)
            rooms[app] = Room(study, labels, app, folder, "--pool", "2")
        return rooms[app]

    yield start
    for room in rooms.values():
        room.close()


@pytest.fixture
def reader_page(browser):
    """A reader's own browser at the app, who tells a name where the page asks for one."""
    contexts, pages = [], []

    def sit_down(room: Room, name: str):
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        contexts.append(context)
        context.route(lambda url: leaves(url, room.port), lambda route: route.abort())
        page = context.new_page()
        pages.append(page)
        page.left, page.errors = [], []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on(
            "request",
            lambda request: leaves(request.url, room.port) and page.left.append(request.url),
        )
        page.goto(room.address, timeout=120_000)
        page.get_by_label("Your name").fill(name, timeout=120_000)
        page.keyboard.press("Enter")
        page.wait_for_selector("[data-shown]", timeout=60_000)
        return page

    yield sit_down
    for context in contexts:
        context.close()
    assert [url for page in pages for url in page.left] == []
    assert [error for page in pages for error in page.errors] == []


def leaves(url: str, port: int) -> bool:
    """Whether a request goes anywhere but to the server."""
    return url.startswith(("http", "ws")) and f"//127.0.0.1:{port}/" not in url


def come_back(page) -> None:
    """Reload a page, tell the name that the browser proposes, go on."""
    page.reload(timeout=120_000)
    page.get_by_label("Your name").wait_for(timeout=120_000)
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-shown]", timeout=60_000)


def wait_saved(page) -> None:
    page.wait_for_selector(".cacnb-saved[data-waiting='0']", timeout=60_000)


def given_labels(store_at: str, reader: str) -> pd.DataFrame:
    with LabelStore.open(store_at) as store:
        current = store.current(reader=reader, subject="slice")
    return current[current["value"].notna()]


KEYS = ("1", "2", "3")
VALUES = ("cac", "no_cac", "unsure")


def label(page, index: int) -> tuple[str, int, str]:
    """Press a key; which scan (as the page knows it), slice and value it stands for."""
    place = page.evaluate("[widget().context.scan, widget().currentSlice]")
    page.keyboard.press(KEYS[index % 3])
    return place[0], place[1], VALUES[index % 3]


WIDGET = "() => { window.widget = () => document.querySelector('.cacnb').parentElement.cacnb; }"


def next_scan_when_done(page) -> None:
    if page.evaluate("widget().slices.every(s => widget().labelOf(s))"):
        shown = page.evaluate("document.querySelector('.cacnb').dataset.shown")
        page.keyboard.press("]")
        page.wait_for_selector(f".cacnb:not([data-shown='{shown}'])", timeout=30_000)


def test_of_500_labels_none_is_lost_while_the_kernel_is_killed_twenty_times(
    serve, reader_page
) -> None:
    room = serve("label")
    page = reader_page(room, "Reader of 500")
    page.evaluate(WIDGET)
    given: dict[tuple[str, int], str] = {}
    for i in range(500):
        if i % 25 == 12:  # in the middle of the work, with labels on their way
            room.kernel_of(page).kill()
        scan, z, value = label(page, i)
        given[scan, z] = value
        if i % 25 == 14:
            come_back(page)
            page.evaluate(WIDGET)
        if i < 499:
            next_scan_when_done(page)
    wait_saved(page)
    kept = given_labels(room.labels, "Reader of 500")
    assert len(given) == len(kept) == 500
    from cacnb.labels.session import scan_key

    told = {(scan_key("room", row.scan), int(row.slice)): row.value for row in kept.itertuples()}
    assert told == given


def test_two_readers_at_once_label_200_slices_each_and_nothing_is_crossed(
    serve, reader_page
) -> None:
    room = serve("label")
    pages = {name: reader_page(room, name) for name in ("Reader 1", "Reader 2")}
    given: dict[str, dict[tuple[str, int], str]] = {name: {} for name in pages}
    for page in pages.values():
        page.evaluate(WIDGET)
    for i in range(200):
        for offset, (name, page) in enumerate(pages.items()):
            scan, z, value = label(page, i + offset)
            given[name][scan, z] = value
            next_scan_when_done(page)
    from cacnb.labels.session import scan_key

    for name, page in pages.items():
        wait_saved(page)
        kept = given_labels(room.labels, name)
        told = {
            (scan_key("room", row.scan), int(row.slice)): row.value for row in kept.itertuples()
        }
        assert len(told) == 200
        assert told == given[name]
    with LabelStore.open(room.labels) as store:
        events = store.events()
    assert not events.duplicated(["session", "sequence"]).any()


def test_a_reader_undoes_reloads_and_goes_on_at_the_first_unlabelled_slice(
    serve, reader_page
) -> None:
    room = serve("label")
    page = reader_page(room, "Reader who undoes")
    page.evaluate(WIDGET)
    page.keyboard.press("1")
    page.keyboard.press("2")
    page.keyboard.press("z")
    wait_saved(page)
    at = page.evaluate("widget().slices[1]")
    come_back(page)
    page.evaluate(WIDGET)
    assert page.evaluate("widget().currentSlice") == at
    page.keyboard.press("y")
    wait_saved(page)
    assert sorted(given_labels(room.labels, "Reader who undoes")["value"]) == ["cac", "no_cac"]
    with LabelStore.open(room.labels) as store:
        told = store.events(subject="slice", reader="Reader who undoes")
    kinds = told["kind"].tolist()
    assert kinds == ["give", "give", "undo", "redo"]


def test_no_scan_name_and_no_path_reaches_a_blind_readers_page(
    serve, reader_page, reading_study
) -> None:
    room = serve("label")
    page = reader_page(room, "Blind reader")
    text = page.content()
    assert str(reading_study) not in text
    assert not re.search(r"\bs[0-9]\b", page.locator(".cacnb").inner_text())


def test_regions_painted_with_the_mouse_are_in_the_store_as_runs_on_the_whole_slice(
    serve, reader_page, reading_study, labels
) -> None:
    from cacnb.labelled_images import write_labelled_images

    room = serve("paint")
    page = reader_page(room, "Painter")
    page.evaluate(WIDGET)
    slice_at = page.evaluate("widget().currentSlice")
    box = page.locator("canvas.cacnb-slice").bounding_box()
    x, y = page.evaluate("widget().views[0].pointOf(12 - 0.5, 12 - 0.5)")
    page.mouse.click(box["x"] + x, box["y"] + y)
    page.keyboard.press("2")
    page.keyboard.press("ArrowDown")
    page.mouse.click(box["x"] + x, box["y"] + y)
    page.keyboard.press("d")
    wait_saved(page)
    with LabelStore.open(labels) as store:
        regions = store.current(subject="region")
    assert sorted(regions["item"]) == ["LAD", "LCX"]
    assert sorted(regions["slice"]) == [slice_at - 1, slice_at]
    scan = regions["scan"].iloc[0]
    # A circle of 10 mm on pixels of 1 mm.
    from cacnb.labels.runs import decode_runs

    mask = decode_runs(regions["value"].iloc[0], (48, 48))
    assert mask.sum() == pytest.approx(np.pi * 25, abs=4)
    first = page.evaluate("widget().stack.first")
    rows, columns = np.nonzero(mask)
    assert rows.mean() + 0.5 == pytest.approx(first[1] + 12, abs=0.6)
    assert columns.mean() + 0.5 == pytest.approx(first[2] + 12, abs=0.6)
    page.keyboard.press("z")
    page.keyboard.press("z")
    wait_saved(page)
    with LabelStore.open(labels) as store:
        left = store.current(study="room", scan=scan)
    assert left[left["subject"] == "region"]["value"].notna().sum() == 1
    (written,) = write_labelled_images(reading_study, left)
    written.unlink()


def test_a_click_gives_a_lesion_to_an_artery_and_the_scores_follow(
    serve, reader_page, reading_study, labels
) -> None:
    from cacnb.ct.reading import read_scan
    from cacnb.scoring.clinical import score_clinically
    from cacnb.scoring.conventions import convention

    room = serve("clinical")
    page = reader_page(room, "Picker")
    page.evaluate(WIDGET)
    page.wait_for_selector("[data-agatston='0']")
    page.keyboard.press("3")
    page.keyboard.press(" ")
    page.keyboard.press("Enter")
    page.wait_for_selector(".cacnb:not([data-agatston='0'])")
    shown = float(page.locator(".cacnb").get_attribute("data-agatston"))
    wait_saved(page)
    with LabelStore.open(labels) as store:
        pick = store.current(subject="lesion").iloc[0]
    assert pick["value"] == "RCA"
    _, scan = read_scan(reading_study / "scans" / f"{pick['scan']}.nii.gz")
    bright = scan.with_array(scan.array >= 130)
    expected = score_clinically(scan, bright, convention("literature")).agatston
    assert shown == pytest.approx(expected)
    assert "Convention literature" in page.locator(".cacnb-scores").inner_text()
    page.keyboard.press("z")
    page.wait_for_selector("[data-agatston='0']")


def test_a_lesion_is_rejected_and_the_score_follows_through_kernel_and_store(
    serve, reader_page, scored_study, labels
) -> None:
    room = serve("review", study=scored_study)
    page = reader_page(room, "Reviewer")
    before = float(page.locator(".cacnb").get_attribute("data-agatston"))
    assert before > 0
    page.keyboard.press("n")
    page.keyboard.press("r")
    page.wait_for_selector(f".cacnb:not([data-agatston='{before:g}'])")
    after = float(page.locator(".cacnb").get_attribute("data-agatston"))
    assert 0 < after < before
    wait_saved(page)
    with LabelStore.open(labels) as store:
        verdict = store.current(subject="verdict").iloc[0]
    assert verdict["value"] == "reject"
    found = json.loads((scored_study / "scores" / f"{verdict['scan']}.json").read_text())
    kept = [lesion["agatston_adjusted"] for lesion in found["lesions"]]
    assert any(after == pytest.approx(one) for one in kept)
    page.keyboard.press("c")
    page.locator("h3", has_text="Scan and rescan").wait_for(timeout=60_000)
    page.keyboard.press("z")
    page.wait_for_selector(f".cacnb[data-agatston='{before:g}']")
