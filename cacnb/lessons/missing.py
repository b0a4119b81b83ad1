"""What a lesson shows where a study lacks what a cell needs: a sentence, not a traceback."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Missing:
    """What is missing and what to do, as the result of a cell.

    Example
    -------
    >>> Missing("no scan of this study has a heart mask: add masks")
    no scan of this study has a heart mask: add masks
    """

    sentence: str

    def __repr__(self) -> str:
        return self.sentence
