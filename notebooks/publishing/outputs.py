"""What a cell showed, as HTML that needs no kernel and no network; it runs nothing."""

import html
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from nbformat import NotebookNode

VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"

#: How a widget's script speaks with a kernel.
SPEAKS_WITH_KERNEL = ("msg:custom", ".send(", ".save_changes(")

#: Said where only a running notebook shows more.
STILL = "A picture of a view that moves in the notebook."
NO_PICTURE = "This view is seen in the notebook only."


def shown(output: NotebookNode, models: Mapping[str, Any]) -> str:
    """One output as HTML: a live widget, else a drawing, a picture, a table or text.

    Parameters
    ----------
    output
        Of a code cell.
    models
        The states of the notebook's widgets, by name.
    """
    if output.output_type == "stream":
        return _text(output.text)
    if output.output_type == "error":
        return _text(f"{output.ename}: {output.evalue}")
    data, view = output.data, output.data.get(VIEW)
    picture = _picture(output)
    if view is not None:
        model = view["model_id"]
        if stands_alone(models.get(model)):
            return f'<div data-model="{html.escape(model)}">{picture}</div>'
        return picture + _kernel(STILL) if picture else _kernel(NO_PICTURE)
    if picture:
        return picture
    return str(data["text/html"]) if "text/html" in data else _text(data.get("text/plain", ""))


def stands_alone(model: Mapping[str, Any] | None) -> bool:
    """Whether a widget shows all without a kernel: its script neither asks one nor hears one."""
    if model is None or model["model_module"] != "anywidget":
        return False
    script = model["state"].get("_esm", "")
    return bool(script) and not any(word in script for word in SPEAKS_WITH_KERNEL)


def _picture(output: NotebookNode) -> str:
    for kind in ("image/svg+xml", "image/png"):
        if kind not in output.data:
            continue
        data = output.data[kind]
        base64 = b64encode(data.encode()).decode() if kind == "image/svg+xml" else data.strip()
        alt = html.escape(output.metadata.get(kind, {}).get("alt", ""))
        return f'<img alt="{alt}" src="data:{kind};base64,{base64}">'
    return ""


def _text(text: str) -> str:
    return f"<pre>{html.escape(text)}</pre>"


def _kernel(sentence: str) -> str:
    return f'<p class="kernel">{sentence}</p>'
