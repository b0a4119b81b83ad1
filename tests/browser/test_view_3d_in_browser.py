"""The 3-D view as a reader's browser shows it, drawn without a graphics card, without a network."""

import io
import json
import socket
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.browser
pytest.importorskip("voila", reason="the extra `apps` is not installed")
pytest.importorskip("ipyniivue", reason="the extra `apps` is not installed")

TOKEN = "0123456789-of-this-test"  # noqa: S105
#: Chromium's own renderer in place of a graphics card.
SOFTWARE = ["--headless", "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]

SERVER = """
import json, sys
from pathlib import Path
from cacnb.serving import room
from cacnb.serving.server import serve

study, port, token = sys.argv[1:]
room.NOTEBOOKS_FOLDER = Path(study) / "apps"
served = room.Room("review", Path(study), port=int(port), token=token, pool=0)
serve(served, lambda: print("ready", flush=True))
"""

CELL = """
import numpy as np
from cacnb.ct.volume import Volume
from cacnb.ui.view_3d import view_3d

z, y, x = np.ogrid[:40, :60, :60]
far_mm = np.sqrt((3 * (z - 20.0)) ** 2 + (2 * (y - 30.0)) ** 2 + (2 * (x - 30.0)) ** 2)
near_mm = np.sqrt((3 * (z - 20.0)) ** 2 + (2 * (y - 12.0)) ** 2 + (2 * (x - 30.0)) ** 2)
scan = Volume(np.full(far_mm.shape, 60, np.float32), (3.0, 2.0, 2.0))
heart = scan.with_array(far_mm < 45)
cac_map = scan.with_array(np.where(near_mm < 8, 200.0, 0.0) * heart.array)
view_3d(scan, heart, cac_map if WITH_MAP else None, height_px=500)
"""


@pytest.fixture
def software_browser(browser):
    started = browser.browser_type.launch(executable_path="/usr/bin/chromium", args=SOFTWARE)
    yield started
    started.close()


def notebook(source):
    cell = {
        "cell_type": "code", "execution_count": None, "id": "one", "metadata": {}, "outputs": [],
        "source": source,
    }  # fmt: skip
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return json.dumps(
        {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    )


@pytest.fixture
def pixels(tmp_path, software_browser):
    """Shares of the page that look like tissue and like calcium, and what else it asked for."""

    def shown(*, with_map):
        study = tmp_path / str(with_map)
        (study / "apps").mkdir(parents=True)
        (study / "cohort.csv").write_text("scan,patient,path\n")
        source = CELL.replace("WITH_MAP", str(with_map))
        (study / "apps" / "review_maps.ipynb").write_text(notebook(source))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        call = [sys.executable, "-c", SERVER, str(study), str(port), TOKEN]
        server = subprocess.Popen(call, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout.readline() == "ready\n"
            page = software_browser.new_page(viewport={"width": 800, "height": 500})
            asked = []
            page.on("request", lambda request: asked.append(request.url))
            page.goto(f"http://127.0.0.1:{port}/?token={TOKEN}")
            page.wait_for_selector("canvas", timeout=120_000)
            tissue = calcium = 0.0
            for _ in range(240):  # a processor draws it here, not a graphics card
                page.wait_for_timeout(500)
                tissue, calcium = shares(page.screenshot())
                if tissue > 0.05 and (calcium > 0.001 or not with_map):
                    break
            page.wait_for_timeout(3000)  # whatever else is to come
            tissue, calcium = shares(page.screenshot())
            page.close()
            return tissue, calcium, [u for u in asked if not u.startswith(own(port))]
        finally:
            server.terminate()
            server.wait(30)
            server.stdout.close()

    return shown


def own(port):
    return (f"http://127.0.0.1:{port}/", f"ws://127.0.0.1:{port}/", "blob:", "data:")


def shares(screenshot):
    """The cube that tells the directions stands at the lower left: it is not looked at."""
    image = Image.open(io.BytesIO(screenshot)).convert("RGB")
    colours = np.asarray(image.crop((200, 0, 800, 500)), dtype=int)
    red, green, blue = np.moveaxis(colours, -1, 0)
    grey = (abs(red - green) < 8) & (abs(green - blue) < 8) & (red > 45)
    warm = (red > 150) & (red > green + 40) & (green > blue + 20)
    return float(grey.mean()), float(warm.mean())


def test_heart_and_calcium_are_seen_and_no_request_leaves_the_host(pixels) -> None:
    tissue, calcium, outside = pixels(with_map=True)
    assert tissue > 0.05
    assert calcium > 0.001
    assert outside == []


def test_a_heart_without_a_map_shows_no_calcium(pixels) -> None:
    tissue, calcium, _ = pixels(with_map=False)
    assert tissue > 0.05
    assert calcium == 0
