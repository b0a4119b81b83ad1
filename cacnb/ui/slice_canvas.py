"""A slice canvas: the scan lives in the browser, which scrolls, windows and zooms by itself."""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from cacnb import RESEARCH_ONLY
from cacnb.ui.javascript import module, style
from cacnb.ui.picture import Picture


class SliceCanvas(anywidget.AnyWidget):
    """Shows a `Picture`; nothing of it comes back to the kernel.

    The volume goes as a message's buffers, once a view, and is no state of the notebook: nothing of
    the scan is saved in it.

    Example
    -------
    >>> import numpy as np
    >>> from cacnb.ct.volume import Volume
    >>> from cacnb.ui.picture import Pane, Stack
    >>> scan = Volume(np.zeros((3, 8, 8), np.int16), (3.0, 0.7, 0.7))
    >>> canvas = SliceCanvas()
    >>> canvas.show(Picture((Stack({"scan": scan}),), (Pane(),)))
    """

    _esm = module("slice_canvas")
    _css = style()
    title = traitlets.Unicode("Slices").tag(sync=True)
    notice = traitlets.Unicode(RESEARCH_ONLY).tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.picture: Picture | None = None
        self.on_msg(lambda _widget, content, buffers: self.hear(content, buffers))

    def show(self, picture: Picture) -> None:
        """Show a picture in every view that is open, and in those that open later."""
        self.picture = picture
        self._send_picture()

    def hear(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        """Answer a message of the page; each new view says "ready"."""
        del buffers
        if content.get("type") == "ready":
            self._send_picture()

    def _send_picture(self) -> None:
        if self.picture is not None:
            message, buffers = self.picture.message()
            self.send({"type": "picture", **message}, buffers)
