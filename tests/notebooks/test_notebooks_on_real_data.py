"""The same lessons, one line changed, on a real chest CT with simulated calcium put in."""

import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

from tests.notebooks.course import end_all_in, locked
from tests.notebooks.lessons import NAMES, file_of
from tests.notebooks.outputs import outputs, texts
from tests.notebooks.running import run_notebook

pytestmark = pytest.mark.slow

#: Whom a header names, and by what.
NAMED_BY = ("PatientName", "PatientID", "AccessionNumber", "StudyInstanceUID")

PAIRS, SEED = 2, 3


@pytest.fixture(scope="module")
def host(shared_data) -> Path:
    return shared_data / "acrin_flt_breast_013"


@pytest.fixture(scope="module")
def inserted_study(host, session_folder) -> Path:
    """Two people's calcium in one real scan, twice each, scored."""
    study = session_folder / "inserted"
    with locked(session_folder / "inserted.lock"):
        if not (study / "scores" / "scores.parquet").is_file():
            _cacnb("insert", str(host), "--pairs", PAIRS, "--seed", SEED, "--out", study)
            _cacnb("run", "--study", study, "--workers", 1)
    return study


def _cacnb(*arguments: object) -> None:
    command = [sys.executable, "-m", "cacnb.cli", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=900)


@pytest.mark.parametrize("name", NAMES)
def test_a_lesson_runs_on_real_scans_by_its_one_line_and_names_nobody(
    name, inserted_study, host, tmp_path, monkeypatch
):
    monkeypatch.setenv("CACNB_DATA", str(host.parent))  # an appendix shows the phantom there
    with run_notebook(file_of(name), inserted_study, tmp_path, timeout_s=600) as done:
        assert Path(done.evaluate("str(study.folder)")) == inserted_study
        assert outputs(done.notebook) != []
        header = pydicom.dcmread(next(host.glob("*.dcm")), stop_before_pixels=True)
        shown = "\n".join(texts(done.notebook))
        named = {tag: str(header.get(tag, "")) for tag in NAMED_BY}
        assert [tag for tag, value in named.items() if len(value) > 2 and value in shown] == []
        assert f"{Path.home()}/" not in shown
    end_all_in(tmp_path)
