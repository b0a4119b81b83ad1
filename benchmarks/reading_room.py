"""From key to changed pixels: the slice canvas beside an `ipywidgets.Image` that the kernel feeds.

Then, from key to the first slice of the next scan in the labeller: sent ahead, and read from disk.

Both are served by Voila and driven in headless Chromium, in turn, in one run. A press is a trusted
key event; it ends with the first frame on which the shown pixels differ. Prints a table, or one
object with --json: `{"canvas": {"median_ms", "p95_ms"}, "plain": {…}, …}`; the figures at the top
are those of the heart crop.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import numpy as np
from playwright.sync_api import Page, Playwright, sync_playwright

from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_image

SIZES = {"heart crop 224 × 224 × 60": (60, 224, 224), "whole scan 512 × 512 × 100": (100, 512, 512)}
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip

VOLUME = """
import numpy as np
shape = {shape}
rng = np.random.default_rng(0)
volume = rng.integers(-50, 950, shape, dtype=np.int16)
"""
CANVAS = """
from cacnb.ct.volume import Volume
from cacnb.ui.picture import Pane, Picture, Stack
from cacnb.ui.slice_canvas import SliceCanvas
scan = Volume(volume, (3.0, 0.7, 0.7))
canvas = SliceCanvas()
canvas.show(Picture((Stack({"scan": scan}),), (Pane(),)))
canvas
"""
PLAIN = """
import io
import anywidget, ipywidgets
from PIL import Image
class Keys(anywidget.AnyWidget):
    _esm = '''export default {render({model, el}) {
      document.addEventListener("keydown", (event) => model.send({key: event.key}));
      el.dataset.ready = "yes";
    }}'''
def png(z):
    grey = np.clip((volume[z].astype(np.float32) + 50) * 0.255, 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(grey).save(out, "png", compress_level=1)
    return out.getvalue()
image, keys, place = ipywidgets.Image(value=png(0)), Keys(), [0]
def step(_, message, __):
    place[0] = (place[0] + (1 if message["key"] == "ArrowDown" else -1)) % len(volume)
    image.value = png(place[0])
keys.on_msg(step)
ipywidgets.VBox([image, keys])
"""
LABELLER = """
from cacnb.ui.labeller import Labeller
Labeller({study!r}, "bench")
"""
#: Runs in the page: every frame, whether the shown element's middle differs from the last press's.
WATCH = """(selector) => {
  const probe = document.createElement("canvas");
  probe.width = probe.height = 24;
  const context = probe.getContext("2d", {willReadFrequently: true});
  const look = () => {
    const shown = document.querySelector(selector);
    const width = shown.naturalWidth || shown.width, height = shown.naturalHeight || shown.height;
    if (!width) return "";
    context.drawImage(shown, width / 2 - 12, height / 2 - 12, 24, 24, 0, 0, 24, 24);
    return context.getImageData(0, 0, 24, 24).data.join();
  };
  window.took = null;
  document.addEventListener("keydown", () => {
    const pressed = performance.now(), before = window.seen ?? look();
    const frame = () => {
      const now = look();
      if (now && now !== before) {
        window.seen = now;
        window.took = performance.now() - pressed;
      } else requestAnimationFrame(frame);
    };
    window.took = null;
    requestAnimationFrame(frame);
  }, true);
  window.seen = look();
}"""


@contextmanager
def voila(cells: list[str]) -> Iterator[str]:
    """The address at which Voila serves a notebook of these cells."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        path = Path(folder, "page.ipynb")
        nbformat.write(book, path)
        server = subprocess.Popen(
            [sys.executable, "-m", "voila", str(path), "--no-browser", f"--port={port}",
             "--show_tracebacks=True", "--template=lab"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder,
            env=os.environ | {"PYTHONWARNINGS": "ignore"},
        )  # fmt: skip
        try:
            for _ in range(300):
                with socket.socket() as ask:
                    if ask.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.terminate()
            server.wait()


def offline(page: Page) -> None:
    """Let no request leave this machine."""
    page.route(
        lambda url: "127.0.0.1" not in url and url.startswith("http"), lambda route: route.abort()
    )


def press(page: Page, selector: str, presses: int) -> list[float]:
    """Milliseconds from key to changed pixels, one a press."""
    page.evaluate(WATCH, selector)
    rng = random.Random(0)
    took = []
    for i in range(presses + 10):
        page.keyboard.press("ArrowDown" if (i // 40) % 2 == 0 else "ArrowUp")
        page.wait_for_function("window.took !== null", timeout=10_000, polling=2)
        if i >= 10:  # the first ones warm up
            took.append(float(page.evaluate("window.took")))
        time.sleep(rng.uniform(0.01, 0.04))
    return took


def write_study(folder: Path, scans: int) -> None:
    """Whole scans of noise, 512 × 512 × 100, with a heart of 224 × 224 × 60 with its margin."""
    rng = np.random.default_rng(0)
    rows = ["scan,patient,pair,path"]
    for i in range(scans):
        hu = rng.integers(-50, 950, (100, 512, 512), dtype=np.int16)
        hu[:, :8] = -1000
        scan = Volume(hu, (3.0, 0.7, 0.7))
        heart = np.zeros(scan.shape, bool)
        heart[20:80, 165:347, 165:347] = True
        write_image(scan, folder / "scans" / f"s{i}.nii")
        write_image(scan.with_array(heart), folder / "masks" / f"s{i}.nii.gz")
        rows.append(f"s{i},p{i},p{i},scans/s{i}.nii")
    (folder / "cohort.csv").write_text("\n".join(rows), encoding="utf-8")


def opening(play: Playwright) -> dict[str, float]:
    """Seconds from key to the first slice of a scan that was sent ahead, and of one on disk."""
    browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    widget = "document.querySelector('.cacnb').parentElement.cacnb"
    timed = f"""(act) => new Promise((done) => {{
      const w = {widget}, shown = w.root.dataset.shown, from = performance.now();
      act === "ahead" ? w.openScan(w.position + 1) : w.openScan((w.position + 3) % w.of);
      const look = () => w.root.dataset.shown !== shown
        ? done((performance.now() - from) / 1000) : requestAnimationFrame(look);
      look();
    }})"""
    took: dict[str, list[float]] = {"ahead": [], "disk": []}
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder, "study")
        write_study(study, 7)
        with voila([LABELLER.format(study=str(study))]) as address:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            offline(page)
            page.goto(address, timeout=120_000)
            page.wait_for_selector("[data-shown]", timeout=120_000)
            for _ in range(3):
                for how in took:
                    page.wait_for_timeout(4000)  # what is sent ahead has come
                    took[how].append(float(page.evaluate(timed, how)))
    browser.close()
    return {
        "sent_ahead_s": round(statistics.median(took["ahead"]), 2),
        "from_disk_s": round(statistics.median(took["disk"]), 2),
    }


def summary(took: list[float]) -> dict[str, float]:
    """Median and 95th percentile in ms."""
    cuts = statistics.quantiles(took, n=20)
    return {"median_ms": round(statistics.median(took), 1), "p95_ms": round(cuts[-1], 1)}


def measure(presses: int) -> dict[str, object]:
    """Both sides for both sizes, in turn."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for size, shape in SIZES.items():
            for side, cell, selector in (
                ("canvas", CANVAS, "canvas.cacnb-slice"),
                ("plain", PLAIN, ".jp-OutputArea-output img, img"),
            ):
                with voila([VOLUME.format(shape=shape), cell]) as address:
                    page = browser.new_page(viewport={"width": 1280, "height": 800})
                    offline(page)
                    page.goto(address, timeout=120_000)
                    page.wait_for_selector(selector, timeout=120_000)
                    ready = "[data-shown]" if side == "canvas" else "[data-ready]"
                    page.wait_for_selector(ready, state="attached", timeout=120_000)
                    page.wait_for_timeout(1500)
                    if side == "canvas":
                        page.keyboard.press("End")
                        page.keyboard.press("Home")
                    found.setdefault(size, {})[side] = summary(press(page, selector, presses))
                    page.close()
        browser.close()
        opened = opening(play)
    crop = found[next(iter(SIZES))]
    return {**crop, "sizes": found, "open": opened, "presses": presses}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--presses", type=int, default=200)
    given = parser.parse_args()
    found = measure(given.presses)
    if given.json:
        print(json.dumps(found))
        return
    print(f"key to changed pixels, {given.presses} presses, headless Chromium")
    for size, sides in found["sizes"].items():  # type: ignore[attr-defined]
        ours, plain = sides["canvas"], sides["plain"]
        print(f"\n{size}")
        print(f"  {'':24}{'median ms':>10}{'p95 ms':>10}")
        print(f"  {'slice canvas':24}{ours['median_ms']:>10}{ours['p95_ms']:>10}")
        print(f"  {'Image from the kernel':24}{plain['median_ms']:>10}{plain['p95_ms']:>10}")
        ratio = plain["median_ms"] / ours["median_ms"]
        print(f"  the canvas is {ratio:.1f} times as fast by the median")
    opened = found["open"]
    print("\nkey to the first slice of the next scan, heart crop of a 512 × 512 × 100 scan")
    print(f"  sent ahead {opened['sent_ahead_s']} s, read from disk {opened['from_disk_s']} s")  # type: ignore[index]


if __name__ == "__main__":
    main()
