"""Each lesson run once for all tests of a session, whichever process asks first; it judges none."""

import fcntl
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
from nbclient.exceptions import CellExecutionError

from tests.notebooks.lessons import file_of
from tests.notebooks.ranges import RANGES
from tests.notebooks.running import run_notebook


@dataclass(frozen=True, eq=False)
class Taught:
    """What came of a lesson.

    `values` are those of `RANGES`; `left` are the processes that went on after its kernel, which
    were ended; `workdir` is where it ran.
    """

    notebook: nbformat.NotebookNode
    values: Mapping[str, float]
    seconds: float
    left: list[str]
    workdir: Path


def taught(name: str, folder: Path, demo: Path) -> Taught:
    """Run a lesson on the demo study, or read what came of it if that was done.

    Raises
    ------
    RuntimeError
        Where a cell failed, each time it is asked for.
    """
    workdir = folder / name
    with locked(folder / f"{name}.lock"):
        if not (workdir / "told.json").is_file():
            workdir.mkdir(parents=True)
            _run(name, workdir, demo)
    told = json.loads((workdir / "told.json").read_text(encoding="utf-8"))
    if told["error"]:
        raise RuntimeError(told["error"])
    notebook = nbformat.read(workdir / "done.ipynb", as_version=4)
    return Taught(notebook, told["values"], told["seconds"], told["left"], workdir)


def _run(name: str, workdir: Path, demo: Path) -> None:
    told = {"error": "", "values": {}, "seconds": 0.0, "left": []}
    try:
        own_copy(demo, workdir / "out" / "demo" / "study")
        with run_notebook(file_of(name), workdir=workdir) as done:
            told["values"] = {asked: done.evaluate(asked) for asked in RANGES[name]}
            told["seconds"] = done.seconds
        nbformat.write(done.notebook, workdir / "done.ipynb")
    except CellExecutionError as error:
        told["error"] = str(error)
    told["left"] = end_all_in(workdir)
    (workdir / "told.json").write_text(json.dumps(told), encoding="utf-8")


def own_copy(study: Path, to: Path) -> Path:
    """A study of a lesson's own: what is prepared in it for a training meets no other's."""
    to.mkdir(parents=True)
    for part in study.iterdir():
        if part.name == "scans":
            (to / part.name).symlink_to(part.resolve(), target_is_directory=True)
        elif part.is_dir() and part.name != "prepared":
            shutil.copytree(part, to / part.name)
        elif part.is_file():
            shutil.copy2(part, to / part.name)
    return to


def end_all_in(folder: Path) -> list[str]:
    """End the processes whose current folder is in a folder; their commands."""
    ended = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder) and process.status() != "zombie":
                ended.append(" ".join(process.cmdline()))
                process.kill()
        except psutil.Error:
            continue  # it is another's, or over by now
    return ended


def demo_study(made: Path, own: Path) -> Path:
    """A scored demo study: one's own from `make demo` where it is whole, else a new one."""
    for study in (own, made / "study"):
        if _is_scored(study):
            return study
    with locked(made.with_suffix(".lock")):
        if not _is_scored(made / "study"):
            command = [sys.executable, "-m", "cacnb.cli", "demo", "--out", str(made)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=900)
    return made / "study"


def _is_scored(study: Path) -> bool:
    scans = {path.name.split(".")[0] for path in study.glob("scans/*.nii.gz")}
    scored = {path.name.split(".")[0] for path in study.glob("scores/*.lesions.csv")}
    return (study / "cohort.csv").is_file() and bool(scans) and scans <= scored


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Wait until no other process holds a file, then hold it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
