"""A widget's script: one module from the files beside its class; not what they do."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent
_IMPORT = re.compile(r'^import .* from "\./(\w+)\.js";\n', re.MULTILINE)
_DEFAULT = re.compile(r"^export default .*\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


@cache
def module(name: str, folder: Path = _FOLDER) -> str:
    """The text of `name`.js with the files that it imports before it, as one module.

    A browser gets a widget's script as text, from which no relative import is found. A file is
    looked for in `folder`, then beside the apps' widgets. The files share one scope then: no two
    of them may use one name for different things at their top.

    Example
    -------
    >>> "class SliceView" in module("slice_canvas")
    True
    """
    files: dict[str, str] = {}
    _collect(name, files, folder)
    *before, last = files.values()
    parts = [_EXPORT.sub("", _DEFAULT.sub("", text)) for text in before]
    return "\n".join([*parts, _EXPORT.sub("", last)])


@cache
def style() -> str:
    """The style sheet of all widgets."""
    return (_FOLDER / "workstation.css").read_text(encoding="utf-8")


def _collect(name: str, files: dict[str, str], folder: Path) -> None:
    """Put a file and all it imports into `files`, what is imported first."""
    if name in files:
        return
    own = folder / f"{name}.js"
    text = (own if own.is_file() else _FOLDER / own.name).read_text(encoding="utf-8")
    for imported in _IMPORT.findall(text):
        _collect(imported, files, folder)
    files[name] = _IMPORT.sub("", text)
