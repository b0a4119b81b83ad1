"""`cacnb serve` as a person types it: one line when it answers, one line when it refuses."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import nbformat
import pytest

from cacnb.errors import InputError, UsageError
from cacnb.serving.room import NOTEBOOKS, NOTEBOOKS_FOLDER, Room

pytestmark = pytest.mark.slow

CALL = [sys.executable, "-m", "cacnb.cli", "serve"]


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "cohort.csv").write_text("scan,patient,path\n")
    return folder


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def refused(*arguments):
    said = subprocess.run([*CALL, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in said.stderr
    return said


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"token": " "}, "token is empty"),
        ({"pool": -1}, "--pool is -1"),
        ({"port": 0}, "port 0"),
        ({"repeats": 1.5}, "--repeats is 1.5"),
        ({"base_url": "cacnb"}, "--base-url cacnb"),
        ({"proxy_header": "X User"}, "no header's name"),
        ({"proxy_header": "X-Remote-User", "token": "t"}, "both given"),
        ({"proxy_header": "X-Remote-User", "reader": "anna"}, "both given"),
        ({"proxy_header": "X-Remote-User", "host": "0.0.0.0"}, "trusts whoever reaches"),  # noqa: S104
    ],
)
def test_options_that_contradict_each_other_are_refused(study, options, why):
    with pytest.raises(UsageError, match=why):
        Room("label", study, **options)


def test_a_folder_without_a_study_is_refused(tmp_path):
    with pytest.raises(InputError, match="not a folder"):
        Room("label", tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"no cohort\.csv"):
        Room("label", tmp_path)


def test_the_kernel_is_told_its_study_and_options_and_never_the_token(study):
    room = Room("label", study, token="the-token", seed=7, repeats=0.1, role="second")  # noqa: S106
    told = room.environment()
    assert json.loads(told["CACNB_OPTIONS"]) == {
        "seed": 7, "repeats": 0.1, "assistant": False, "role": "second",
    }  # fmt: skip
    assert told["CACNB_STUDY"] == str(study)
    assert told["OMP_NUM_THREADS"] == "1"
    assert "the-token" not in str(told)


@pytest.mark.parametrize("app", NOTEBOOKS)
def test_an_app_is_a_notebook_of_two_cells_without_outputs(app):
    name = NOTEBOOKS[app]
    notebook = nbformat.read(NOTEBOOKS_FOLDER / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    sources = [cell.source for cell in notebook.cells]
    assert sources == [f"from cacnb.ui.apps import {name}", f"{name}()"]
    assert all(cell.outputs == [] for cell in notebook.cells)


def test_the_apps_folder_of_the_project_is_the_one_that_is_served():
    assert (Path(__file__).parents[2] / "apps").samefile(NOTEBOOKS_FOLDER)


def test_a_wrong_call_is_refused_in_one_sentence(study, tmp_path):
    assert refused("label", "--study", tmp_path / "nowhere").returncode == 1
    assert refused("label", "--study", study, "--no-token").returncode == 2
    assert refused("paintings", "--study", study).returncode == 2


def test_a_port_in_use_is_refused(study):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused("label", "--study", study, "--port", port)
    assert said.returncode == 1
    assert f"port {port} is in use" in said.stderr


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_the_app_is_once_it_answers_and_stops_cleanly(study, stop):
    port = free_port()
    call = [*CALL, "label", "--study", str(study), "--port", str(port), "--pool", "0"]
    server = subprocess.Popen(call, stderr=subprocess.PIPE, text=True, env=os.environ)
    try:
        line = server.stderr.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+/\?token=[0-9a-f]{48}", line)[0]
        assert str(port) in address
        assert str(study) in line
        assert "labels.sqlite" in line
        assert "Research software: not a medical device" in line
        token = address.partition("token=")[2]
        command = Path(f"/proc/{server.pid}/cmdline").read_bytes()
        assert token.encode() not in command
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/login") as page:
            assert page.status == 200
    finally:
        server.send_signal(stop)
        rest = server.stderr.read()
        server.stderr.close()
    assert server.wait(30) == 0
    assert token not in rest
    assert "Traceback" not in rest
