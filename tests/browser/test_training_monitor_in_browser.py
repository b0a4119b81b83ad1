"""The training monitor in Chromium: on messages alone, and served over a training's folder."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from cacnb.ui.training_monitor import TrainingMonitor

pytestmark = pytest.mark.browser


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write_run(folder: Path, *, steps: int = 100, failing: bool = False) -> Path:
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    recipe = {"stage": "decomposition", "name": "demo", "iterations": 1000}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    rows = [
        {
            "iteration": i, "cycle": 1 / i, "<img src=x onerror=alert(1)>": 0.1,
            "seconds": i / 10, "samples": 4 * i,
        }
        for i in range(1, steps + 1)
    ]  # fmt: skip
    looks = [{"iteration": i, "map_share": 0.01, "f1": i / 200} for i in (50, 100)]
    (folder / "steps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "validation.jsonl").write_text("".join(json.dumps(row) + "\n" for row in looks))
    for i in (50, 100):
        Image.new("L", (64, 32), i).save(folder / "pictures" / f"{i:08d}.png")
    if failing:
        (folder / "failures.jsonl").write_text('{"iteration": 100, "failure": "empty_map"}\n')
    return folder


def news(*folders: Path) -> dict:
    monitor = TrainingMonitor(*folders)
    for log in monitor.logs:
        log.read()
    return monitor.news()


@pytest.fixture
def page(widget_page):
    return widget_page("training_monitor")


def text(page) -> str:
    return page.page.inner_text("#el")


def test_a_new_page_asks_at_once_and_again_after_each_answer(page, tmp_path) -> None:
    assert page.heard("ask") == [{"type": "ask", "anew": True}]
    page.speak(news(write_run(tmp_path / "run")))
    page.page.wait_for_function("heard.filter(m => m.type === 'ask').length === 2", timeout=10_000)
    assert page.heard("ask")[1] == {"type": "ask", "anew": False}


def test_every_curve_is_drawn_with_its_latest_value(page, tmp_path) -> None:
    page.speak(news(write_run(tmp_path / "run")))
    charts = page.page.locator(".cacnb-chart")
    captions = charts.locator("figcaption").all_inner_texts()
    assert [re.sub(r"\s+", " ", caption) for caption in captions] == [
        "cycle 0.01", "<img src=x onerror=alert(1)> 0.1", "F1 0.5", "map share 0.01",
    ]  # fmt: skip
    points = charts.nth(0).locator("polyline").get_attribute("points").split()
    heights = [float(point.split(",")[1]) for point in points]
    assert len(points) == 100
    assert heights == sorted(heights)
    assert "100 of 1,000" in text(page)
    assert "▶ running" in text(page)


@pytest.mark.parametrize(
    ("simulated", "said"),
    [(156, "156 simulated slices"), (40, "156 slices, 40 of them simulated"), (0, "156 slices")],
)
def test_what_was_validated_on_is_called_simulated_where_it_is(
    page, tmp_path, simulated, said
) -> None:
    run = write_run(tmp_path / "run")
    look = {"iteration": 150, "f1": 0.5, "slices": 156, "simulated_slices": simulated}
    with (run / "validation.jsonl").open("a") as file:
        file.write(json.dumps(look) + "\n")
    page.speak(news(run))
    facts = page.page.locator(".cacnb-fact").all_inner_texts()
    assert f"validated on{said}" in [fact.replace("\n", "") for fact in facts]


def test_a_failure_stands_on_top_with_what_to_try(page, tmp_path) -> None:
    page.speak(news(write_run(tmp_path / "run", failing=True)))
    alert = page.page.locator(".cacnb-failures .cacnb-alert")
    said = alert.inner_text()
    assert "empty map since iteration 100" in said
    assert "sparsity_weight" in said
    assert alert.bounding_box()["y"] < 120
    assert page.page.locator(".cacnb-failed-at").count() == 4
    (tmp_path / "run" / "failures.jsonl").unlink()
    page.speak(news(tmp_path / "run"))
    assert alert.count() == 0


def test_a_run_that_has_not_begun_is_waited_for(page, tmp_path) -> None:
    page.speak(news(tmp_path / "later"))
    assert "waiting for" in text(page)
    assert "later/steps.jsonl" in text(page)
    page.speak(news(write_run(tmp_path / "later")))
    assert "▶ running" in text(page)
    assert page.page.locator(".cacnb-chart").count() == 4


def test_runs_are_drawn_over_each_other_in_their_own_colours(page, tmp_path) -> None:
    one, two = write_run(tmp_path / "one"), write_run(tmp_path / "two", steps=40)
    page.speak(news(one, two))
    lines = page.page.locator(".cacnb-chart").nth(0).locator("polyline")
    assert lines.count() == 2
    strokes = {line.get_attribute("stroke") for line in lines.all()}
    assert len(strokes) == 2
    assert {"one", "two"} <= set(re.findall(r"\w+", text(page)))


@pytest.mark.parametrize(("method", "columns"), [("cyclegan", 8), ("inserted", 5)])
def test_each_column_of_a_picture_is_named_as_its_method_draws_it(
    page, tmp_path, method, columns
) -> None:
    run = write_run(tmp_path / "run")
    recipe = json.loads((run / "recipe.json").read_text())
    (run / "recipe.json").write_text(json.dumps(recipe | {"method": method}))
    page.speak(news(run))
    names = page.page.locator(".cacnb-columns span")
    assert names.count() == columns
    tops = {round(name.bounding_box()["y"]) for name in names.all()}
    assert len(tops) == 1


def test_the_latest_picture_is_asked_for_and_an_older_one_when_it_is_chosen(page, tmp_path) -> None:
    run = write_run(tmp_path / "run")
    page.speak(news(run))
    assert page.heard("picture") == [{"type": "picture", "run": 0, "iteration": 100}]
    png = (run / "pictures" / "00000100.png").read_bytes()
    page.speak({"type": "picture", "run": 0, "iteration": 100}, [png])
    page.page.wait_for_function("document.querySelector('.cacnb-samples img').naturalWidth === 64")
    page.page.locator("input[type=range]").focus()
    page.press("ArrowLeft")
    assert page.heard("picture")[-1] == {"type": "picture", "run": 0, "iteration": 50}
    assert "iteration 50" in page.page.locator(".cacnb-samples h2").inner_text()


def test_a_logarithmic_scale_is_one_button_away(page, tmp_path) -> None:
    page.speak(news(write_run(tmp_path / "run")))
    path = "document.querySelector('.cacnb-chart polyline').getAttribute('points')"
    before = page.get(path)
    page.page.get_by_role("button", name="Log scale").click()
    assert page.get(path) != before
    assert page.page.get_by_role("button", name="Log scale").get_attribute("aria-pressed") == "true"


def test_a_kernel_that_is_gone_is_said_and_asked_again(page) -> None:
    page.get("() => { kernel = false; widget.ask(); }")
    assert "No answer from the kernel" in text(page)
    page.get("() => { kernel = true; widget.ask(true); }")
    page.speak({"type": "news", "runs": []})
    assert "No answer from the kernel" not in text(page)


def test_all_words_stand_out_from_their_ground(page, tmp_path, faint_text) -> None:
    page.speak(news(write_run(tmp_path / "run", failing=True)))
    assert faint_text(page.page, "#el *:not(svg *)") == []


def test_the_served_monitor_follows_a_run_and_nothing_of_it_is_touched(browser, tmp_path) -> None:
    run, port = tmp_path / "run", free_port()
    call = [sys.executable, "-m", "cacnb.cli", "serve", "monitor", "--run", str(run),
            "--port", str(port), "--pool", "0"]  # fmt: skip
    server = subprocess.Popen(call, stderr=subprocess.PIPE, text=True, env=os.environ)
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    try:
        address = re.search(r"http://\S+token=[0-9a-f]{48}", server.stderr.readline())[0]
        assert page.goto(address.split("?")[0]).url.endswith("login?next=%2F")
        page.goto(address)
        page.get_by_text("waiting for").wait_for(timeout=90_000)
        write_run(run)
        before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
        page.get_by_text("100 of 1,000").wait_for(timeout=30_000)
        page.wait_for_function("document.querySelector('.cacnb-samples img').naturalWidth === 64")
        assert all(url.startswith(("http://127.0.0.1", "data:", "blob:")) for url in asked)
    finally:
        page.close()
        server.terminate()
        assert server.wait(30) == 0
        server.stderr.close()
    assert {p: p.read_bytes() for p in run.rglob("*") if p.is_file()} == before
