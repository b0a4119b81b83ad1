"""What each lesson's results are on given studies, beside their ranges; it changes no range.

python -m tests.notebooks.measure out/demo/study out/seed9000 [--lesson 06] [--ask EXPRESSION]
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.notebooks.lessons import NAMES, file_of
from tests.notebooks.ranges import RANGES
from tests.notebooks.running import run_notebook


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("studies", nargs="+", type=Path)
    parser.add_argument("--lesson", action="append", default=[], help="its number; repeat")
    parser.add_argument("--ask", action="append", default=[], help="one more expression; repeat")
    given = parser.parse_args()
    for name in (name for name in NAMES if not given.lesson or name[:2] in given.lesson):
        asked = [*RANGES[name], *given.ask]
        found = [_values(name, study, asked) for study in given.studies]
        sys.stdout.write(f"{name}\n")
        for expression, values in zip(asked, zip(*found, strict=True), strict=True):
            low, high = RANGES[name].get(expression, (float("-inf"), float("inf")))
            said = "  ".join(f"{value:.5g}" for value in values)
            outside = "" if all(low <= v <= high for v in values) else "  OUTSIDE"
            sys.stdout.write(f"  {expression}: {said}  ({low:.5g} to {high:.5g}){outside}\n")
        sys.stdout.flush()
    return 0


def _values(name: str, study: Path, asked: list[str]) -> list[float]:
    with (
        tempfile.TemporaryDirectory(prefix="notebook-") as workdir,
        run_notebook(file_of(name), study, Path(workdir)) as done,
    ):
        return [float(done.evaluate(expression)) for expression in asked]


if __name__ == "__main__":
    sys.exit(main())
