"""A widget with a picture of itself, for pages without a kernel; it does not know the widget."""

from __future__ import annotations

from abc import abstractmethod
from base64 import b64encode
from typing import Any


class Still:
    """Put before a widget's class: beside the live view it shows a picture where no kernel runs.

    What the live view asks the kernel for is no state of the notebook, so that a saved page would
    be empty without it.
    """

    @abstractmethod
    def still(self) -> tuple[bytes, str]:
        """A PNG of what the view opens with, and what it shows in one or two sentences."""

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widget's own bundle, with the picture beside it."""
        bundle: Any = super()._repr_mimebundle_(include=include, exclude=exclude)  # type: ignore[misc]
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        png, alt = self.still()
        return (
            {**data, "image/png": b64encode(png).decode(), "text/plain": alt},
            {**metadata, "image/png": {"alt": alt}},
        )
