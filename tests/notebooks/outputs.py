"""What a reader gets from a lesson's outputs, as text; it judges nothing."""

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser

from nbformat import NotebookNode

STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
PICTURES = ("image/png", "image/svg+xml", "image/jpeg")

#: What a page fetches: a source, a style's address, an import.
FETCHED = re.compile(
    r"""(?:src|href|xlink:href|action|poster)\s*=\s*["']?(?:https?:)?//|url\(\s*["']?https?:|@import""",
    re.IGNORECASE,
)


def outputs(lesson: NotebookNode) -> list[NotebookNode]:
    return [output for cell in lesson.cells for output in cell.get("outputs", [])]


def texts(lesson: NotebookNode) -> Iterator[str]:
    """All that outputs say, and the states of widgets but for their scripts and styles."""
    for output in outputs(lesson):
        if output.output_type == "stream":
            yield output.text
            continue
        for kind, data in output.get("data", {}).items():
            if kind != "image/png":
                yield data if isinstance(data, str) else json.dumps(data)
    models = lesson.metadata.get("widgets", {}).get(STATE, {}).get("state", {})
    for model in models.values():
        yield json.dumps({k: v for k, v in model["state"].items() if k not in ("_esm", "_css")})


def pictures_without_text(lesson: NotebookNode) -> list[str]:
    """Pictures that say nothing to those who do not see them."""
    mute = []
    for output in outputs(lesson):
        data, metadata = output.get("data", {}), output.get("metadata", {})
        pictures = [kind for kind in PICTURES if kind in data]
        mute += [kind for kind in pictures if not metadata.get(kind, {}).get("alt", "").strip()]
        mute += [str(i.get("src"))[:80] for i in images(data.get("text/html", "")) if not _text(i)]
    return mute


def images(html: str) -> list[dict[str, str | None]]:
    """The attributes of a page's pictures."""
    return [attributes for tag, attributes in tags(html) if tag == "img"]


def _text(image: dict[str, str | None]) -> str:
    return (image.get("alt") or "").strip()


def tags(html: str) -> list[tuple[str, dict[str, str | None]]]:
    """What stands between < and > in a page, in its order."""
    parser = _Tags()
    parser.feed(html)
    return parser.found


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
