"""What a scan is good for, in stable words; it does not know how the words were found out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["usable", "warned", "refused"]
Severity = Literal["warn", "refuse"]


@dataclass(frozen=True)
class Reason:
    """Why a series is not simply usable: a stable snake_case code and a sentence for people.

    `severity` says whether the reason refuses the series or only warns.
    """

    code: str
    message: str
    severity: Severity = "refuse"


def verdict_of(reasons: tuple[Reason, ...]) -> Verdict:
    """The verdict that a list of reasons adds up to.

    Example
    -------
    >>> verdict_of((Reason("sharp_kernel", "…", "warn"),))
    'warned'
    """
    if any(reason.severity == "refuse" for reason in reasons):
        return "refused"
    return "warned" if reasons else "usable"
