"""The benchmark of `cacnb inspect`, which stands in inspect_headers.py.

    .venv/bin/python benchmarks/inspect.py [--files 20000] [--runs 3] [--json]

The name is also the standard library's: a script of this folder that imports `inspect`, as most do
through `dataclasses`, finds this file first. It then gets the standard library's module.
"""

import importlib.util
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120  pathlib may need inspect

if __name__ == "inspect":
    place = os.path.join(os.path.dirname(os.__file__), "inspect.py")  # noqa: PTH118, PTH120
    spec = importlib.util.spec_from_file_location("inspect", place)
    if spec is None or spec.loader is None:
        raise ImportError(f"no standard library at {place}")
    sys.modules["inspect"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["inspect"])
elif __name__ == "__main__":
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != HERE]  # noqa: PTH100
    import runpy

    runpy.run_path(os.path.join(HERE, "inspect_headers.py"), run_name="__main__")  # noqa: PTH118
