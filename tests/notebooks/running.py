"""A notebook run top to bottom in a clean kernel, warnings as errors; it judges no result.

From a shell, with the seconds of each cell:

    python -m tests.notebooks.running notebooks/06_inspecting_cac_maps.ipynb --study out/pairs
"""

import argparse
import ast
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

#: The one line to change.
DEMO_LINE = 'study = open_study("demo")'

#: Said after the kernel's own start, which puts filters before those of PYTHONWARNINGS. What the
#: kernel says of itself when it ends is not the notebook's.
WARNINGS_ARE_ERRORS = (
    "import warnings",
    "warnings.simplefilter('error')",
    "warnings.filterwarnings('ignore', module='ipykernel')",
    "del warnings",
)

#: A cell that takes longer hangs.
CELL_TIMEOUT_S = 170


@dataclass(eq=False)
class Executed:
    """A notebook with its outputs and the state of its widgets, its kernel still alive.

    `cell_seconds` are by the cell's place in the notebook.
    """

    notebook: nbformat.NotebookNode
    client: NotebookClient
    cell_seconds: dict[int, float]

    @property
    def seconds(self) -> float:
        """Of all cells together; the kernel's start is not in it."""
        return sum(self.cell_seconds.values())

    @property
    def outputs(self) -> list[nbformat.NotebookNode]:
        """Of all cells, in their order."""
        return [output for cell in code_cells(self.notebook) for output in cell.outputs]

    def evaluate(self, expression: str) -> object:
        """What an expression gives in the kernel, by way of JSON (numpy's numbers as floats)."""
        asked = nbformat.v4.new_code_cell(
            f"__import__('json').dumps({expression}, default=float, allow_nan=True)"
        )
        cells = [*self.notebook.cells, asked]
        self.client.nb = nbformat.v4.new_notebook(cells=cells, metadata=self.notebook.metadata)
        answer = self.client.execute_cell(asked, len(cells) - 1, store_history=False)
        return json.loads(ast.literal_eval(answer.outputs[-1].data["text/plain"]))


def code_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def on_study(notebook: nbformat.NotebookNode, study: Path) -> None:
    """Change the one line, here, so that it opens another study."""
    first = code_cells(notebook)[0]
    if DEMO_LINE not in first.source:
        raise ValueError(f"the first code cell does not say {DEMO_LINE}")
    first.source = first.source.replace(DEMO_LINE, f"study = open_study({str(study)!r})")


@contextmanager
def run_notebook(
    path: Path, study: Path | None = None, workdir: Path | None = None,
    timeout_s: int = CELL_TIMEOUT_S,
) -> Iterator[Executed]:  # fmt: skip
    """Run a notebook in a kernel of its own, which ends with the block.

    Parameters
    ----------
    path
        The notebook; it is not changed.
    study
        In the place of the demo study.
    workdir
        The kernel's current folder; the notebook's own if None.

    Raises
    ------
    CellExecutionError
        For the first cell that raises or warns.
    """
    notebook = nbformat.read(path, as_version=4)
    if study is not None:
        on_study(notebook, study.resolve())
    resources = {"metadata": {"path": str(workdir or path.parent)}}
    client = NotebookClient(
        notebook, resources=resources, timeout=timeout_s, kernel_name="python3",
        extra_arguments=[
            f"--IPKernelApp.exec_lines={json.dumps(WARNINGS_ARE_ERRORS)}",
            "--IPKernelApp.log_level=ERROR",
        ],
    )  # fmt: skip
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    client.reset_execution_trackers()
    with client.setup_kernel(env=environment):
        seconds = {}
        for at, cell in enumerate(notebook.cells):
            started = time.perf_counter()
            client.execute_cell(cell, at)
            if cell.cell_type == "code":
                seconds[at] = time.perf_counter() - started
                # when it ran is no part of what it showed
                cell.metadata.pop("execution", None)
        client.set_widgets_metadata()
        yield Executed(notebook, client, seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="+", type=Path)
    parser.add_argument("--study", type=Path, help="in the place of the demo study")
    parser.add_argument("--workdir", type=Path, help="the kernel's folder; a temporary one")
    parser.add_argument("--save", type=Path, help="folder for the notebooks with outputs")
    parser.add_argument("--ask", action="append", default=[], help="an expression; repeat")
    given = parser.parse_args()
    for path in given.notebooks:
        with tempfile.TemporaryDirectory(prefix="notebook-") as temporary:
            workdir = given.workdir or linked_to_demo(Path(temporary))
            try:
                with run_notebook(path, given.study, workdir) as done:
                    _tell(path, done, given.ask)
                    if given.save:
                        given.save.mkdir(parents=True, exist_ok=True)
                        nbformat.write(done.notebook, given.save / path.name)
            except CellExecutionError as error:
                sys.stderr.write(f"{path.name}: {error}\n")
                return 1
    return 0


def linked_to_demo(workdir: Path, demo: Path = Path("out/demo/study")) -> Path:
    """Let the demo study be found from a folder, and return the folder."""
    link = workdir / "out" / "demo" / "study"
    if demo.is_dir():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(demo.resolve(), target_is_directory=True)
    return workdir


def _tell(path: Path, done: Executed, asked: list[str]) -> None:
    for at, seconds in done.cell_seconds.items():
        first = done.notebook.cells[at].source.strip().splitlines()[-1]
        sys.stdout.write(f"{seconds:7.2f} s  {at:2d}  {first[:80]}\n")
    for output in done.outputs:
        if output.output_type == "stream":
            sys.stdout.write(f"said on {output.name}: {output.text.strip()[:300]}\n")
    for expression in asked:
        sys.stdout.write(f"{expression} = {done.evaluate(expression)}\n")
    sys.stdout.write(f"{done.seconds:7.2f} s  {path.name}\n")


if __name__ == "__main__":
    sys.exit(main())
