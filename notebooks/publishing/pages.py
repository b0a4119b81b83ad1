"""Notebooks with outputs, the course and its glossary as pages of one folder; it runs nothing."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from nbconvert.filters import Highlight2HTML, markdown2html
from nbformat import NotebookNode

from cacnb import RESEARCH_ONLY, __version__
from notebooks.publishing.outputs import STATE, shown

HERE = Path(__file__).parent
COURSE = HERE.parent

#: What the pages of the course's own texts are called.
TEXTS = {"README.md": "index.html", "glossary.md": "glossary.html"}


@dataclass(frozen=True)
class Entry:
    """A lesson in the bar on top of each page."""

    number: str
    title: str
    file: str


def write_pages(
    executed: Mapping[str, NotebookNode], out: Path, *, simulated: bool = True
) -> list[Path]:
    """Write the course as a static site that loads nothing from anywhere.

    Parameters
    ----------
    executed
        Notebooks with outputs by the name of their file without its ending, in the course's order.
    out
        Folder to write; other files in it stay.
    simulated
        Whether the study that they ran on is; said on top of each page.
    """
    out.mkdir(parents=True, exist_ok=True)
    lessons = [Entry(name[:2], _title(lesson), f"{name}.html") for name, lesson in executed.items()]
    pages = []
    for entry, lesson in zip(lessons, executed.values(), strict=True):
        pages.append(_page(lesson, entry.title, entry.file, lessons, out, simulated))
    for text, file in TEXTS.items():
        source = (COURSE / text).read_text(encoding="utf-8")
        only = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(source)])
        pages.append(_page(only, _title(only), file, lessons, out, simulated))
    return pages


def _page(
    lesson: NotebookNode, title: str, file: str, lessons: list[Entry], out: Path, simulated: bool
) -> Path:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    widgets = lesson.metadata.get("widgets", {}).get(STATE, {})
    content = environment.get_template("page.html.j2").render(
        title=title, file=file, lessons=lessons, simulated=simulated, version=__version__,
        research_only=RESEARCH_ONLY, cells=list(_cells(lesson, widgets.get("state", {}))),
        style=_raw((HERE / "page.css").read_text(encoding="utf-8")),
        script=_raw((HERE / "live_widgets.js").read_text(encoding="utf-8")),
        # no text in it may end the script that holds it
        widgets=_raw(json.dumps(widgets).replace("<", "\\u003c")) if widgets else "",
    )  # fmt: skip
    path = out / file
    path.write_text(content, encoding="utf-8")
    return path


def _cells(lesson: NotebookNode, models: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    highlight = Highlight2HTML(pygments_lexer="python")
    for cell in lesson.cells:
        if cell.cell_type == "markdown":
            yield {"prose": _raw(_within_site(markdown2html(cell.source)))}
        else:
            outputs = [_raw(shown(output, models)) for output in cell.outputs]
            yield {"prose": None, "code": _raw(highlight(cell.source)), "shown": outputs}


def _raw(text: str) -> Any:
    """Text that is HTML already."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704  # from our own notebooks, which run in the reader's kernel


def _title(lesson: NotebookNode) -> str:
    return str(lesson.cells[0].source).split("\n")[0].lstrip("# ")


def _within_site(prose: str) -> str:
    """Links between lessons lead to pages; those to other files of the project become text."""
    prose = re.sub(r'<a class="anchor-link".*?</a>', "", prose)
    prose = re.sub(r'(<h\d id=")([^"]+)', lambda found: found[1] + found[2].lower(), prose)
    return re.sub(r'<a href="([^"]+)">(.*?)</a>', _link, prose, flags=re.DOTALL)


def _link(found: re.Match[str]) -> str:
    address, text = found.groups()
    if re.match(r"[a-z]+:|#", address):
        return found[0]
    file, mark, anchor = address.partition("#")
    if file.endswith(".ipynb") and "/" not in file:
        page = file.removesuffix(".ipynb") + ".html"
    elif file in TEXTS:
        page = TEXTS[file]
    else:
        return text
    return f'<a href="{page}{mark}{anchor}">{text}</a>'
