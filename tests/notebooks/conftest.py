import os
from pathlib import Path

import pytest

from tests.notebooks.course import demo_study, taught
from tests.notebooks.lessons import FOLDER


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory) -> Path:
    """One folder for all processes of this run of the tests."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return shared / "course"


@pytest.fixture(scope="session")
def scored_demo(session_folder) -> Path:
    return demo_study(session_folder / "demo", FOLDER.parent / "out" / "demo" / "study")


@pytest.fixture(scope="session")
def taught_lesson(session_folder, scored_demo):
    """What came of a lesson on the demo study, run once a session."""
    return lambda name: taught(name, session_folder, scored_demo)
