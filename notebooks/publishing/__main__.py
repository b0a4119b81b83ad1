"""Run every lesson and write its page: `python -m notebooks.publishing --out out/notebooks`."""

import argparse
import sys
import tempfile
from pathlib import Path

from nbclient.exceptions import CellExecutionError

from notebooks.publishing.pages import COURSE, write_pages
from tests.notebooks.running import linked_to_demo, run_notebook


def main() -> int:
    """Run, write, and say where; 1 where a cell fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, help="a study folder in the place of the demo study")
    parser.add_argument("--out", type=Path, default=Path("out/notebooks"))
    given = parser.parse_args()
    executed, simulated = {}, True
    for path in sorted(COURSE.glob("*.ipynb")):
        with tempfile.TemporaryDirectory(prefix="notebook-") as temporary:
            workdir = linked_to_demo(Path(temporary))
            try:
                with run_notebook(path, given.study, workdir) as done:
                    executed[path.stem] = done.notebook
                    simulated &= bool(done.evaluate("study.simulated"))
            except CellExecutionError as error:
                sys.stderr.write(f"{path.name}: {error}\n")
                return 1
        sys.stdout.write(f"{done.seconds:6.1f} s  {path.name}\n")
    pages = write_pages(executed, given.out, simulated=simulated)
    sys.stdout.write(f"{len(pages)} pages: {given.out / 'index.html'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
