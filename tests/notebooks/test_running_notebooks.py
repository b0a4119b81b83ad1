"""How lessons are run and read: what is wrong with one is found, and nothing is left running."""

import signal
import subprocess
import sys

import nbformat
import psutil
import pytest
from nbclient.exceptions import CellExecutionError

from notebooks.publishing.outputs import shown, stands_alone
from tests.notebooks.course import end_all_in
from tests.notebooks.outputs import FETCHED, pictures_without_text, texts
from tests.notebooks.running import DEMO_LINE, on_study, run_notebook

v4 = nbformat.v4


def written(folder, *sources):
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [v4.new_code_cell(source) for source in sources]
    path = folder / "lesson.ipynb"
    nbformat.write(v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def showing(data, metadata=None):
    output = v4.new_output("display_data", data=data, metadata=metadata or {})
    return v4.new_notebook(cells=[v4.new_code_cell("x", outputs=[output])])


def test_a_lesson_is_run_where_it_is_told_and_asked_in_its_own_kernel(tmp_path):
    path = written(tmp_path, "from pathlib import Path", "mass_mg = 2.5\nmass_mg")
    workdir = tmp_path / "elsewhere"
    workdir.mkdir()
    with run_notebook(path, workdir=workdir) as done:
        kernel = done.evaluate("__import__('os').getpid()")
        assert done.evaluate("Path.cwd().name") == "elsewhere"
        assert done.evaluate("[mass_mg, mass_mg > 2]") == [2.5, True]
        assert [output.data["text/plain"] for output in done.outputs] == ["2.5"]
        assert sorted(done.cell_seconds) == [0, 1]
    assert not psutil.pid_exists(kernel)
    assert not nbformat.read(path, as_version=4).cells[1].outputs


@pytest.mark.parametrize(
    "source",
    ["1 / 0", "import warnings\nwarnings.warn('old', DeprecationWarning)"],
    ids=["raises", "warns"],
)
def test_a_lesson_fails_at_a_cell_that(source, tmp_path):
    with pytest.raises(CellExecutionError), run_notebook(written(tmp_path, source)):
        pass


def test_one_line_opens_another_study(tmp_path):
    lesson = nbformat.read(written(tmp_path, DEMO_LINE, "study"), as_version=4)
    on_study(lesson, tmp_path)
    assert lesson.cells[0].source == f"study = open_study({str(tmp_path)!r})"
    with pytest.raises(ValueError, match="does not say"):
        on_study(lesson, tmp_path)


def test_what_goes_on_after_a_lesson_is_ended(tmp_path):
    command = [sys.executable, "-c", "import time; time.sleep(300)"]
    with subprocess.Popen(command, cwd=tmp_path, start_new_session=True) as process:
        assert end_all_in(tmp_path) == [" ".join(command)]
    assert process.returncode == -signal.SIGKILL


def test_a_picture_without_a_text_is_found():
    png = {"image/png": "aGVhcnQ="}
    assert pictures_without_text(showing(png)) == ["image/png"]
    assert pictures_without_text(showing(png, {"image/png": {"alt": "A heart."}})) == []
    assert pictures_without_text(showing({"text/html": '<img src="a.png" alt="">'})) == ["a.png"]


@pytest.mark.parametrize(
    "html",
    [
        '<img alt="a" src="https://example.org/a.png">',
        "<link href='//example.org/a.css'>",
        "<style>body { background: url(https://example.org/a.png) }</style>",
        "<style>@import 'a.css'</style>",
    ],
)
def test_what_would_be_fetched_is_found(html):
    assert [f for text in texts(showing({"text/html": html})) for f in FETCHED.findall(text)] != []


def test_a_drawing_names_its_language_and_fetches_nothing():
    svg = '<svg xmlns="http://www.w3.org/2000/svg"><path style="fill:url(#a)"/></svg>'
    assert [f for t in texts(showing({"image/svg+xml": svg})) for f in FETCHED.findall(t)] == []


def test_text_of_an_output_cannot_become_part_of_the_page():
    output = v4.new_output("execute_result", data={"text/plain": "<script>alert(1)</script>"})
    assert shown(output, {}) == "<pre>&lt;script&gt;alert(1)&lt;/script&gt;</pre>"


def test_a_widget_stands_alone_whose_script_asks_no_kernel():
    model = {"model_module": "anywidget", "state": {"_esm": "export default { render() {} }"}}
    assert stands_alone(model)
    asking = {"model_module": "anywidget", "state": {"_esm": "model.send({type: 'slice'})"}}
    assert not stands_alone(asking)
    assert not stands_alone({"model_module": "@jupyter-widgets/controls", "state": {}})
    assert not stands_alone(None)
