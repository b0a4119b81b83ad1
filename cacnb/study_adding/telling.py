"""How each series and file of an import ended, in words that name no patient."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cacnb.ct.heart_sources import is_mask_series
from cacnb.ct.series import Series
from cacnb.ct.verdict import Reason
from cacnb.study_adding.plan import Adding

Outcome = Literal["added", "already", "refused"]


@dataclass(frozen=True)
class Told:
    """How one series ended; nothing in it names a patient.

    `scan` is empty where it was refused; `heart` is the kind of its mask's source, or empty.
    """

    series: int
    given: str
    files: int
    outcome: Outcome
    reasons: tuple[Reason, ...] = ()
    scan: str = ""
    heart: str = ""

    def as_json(self) -> dict[str, object]:
        """One series of `cacnb study add --json`."""
        return {
            "series": self.series, "given": self.given, "files": self.files, "scan": self.scan,
            "heart": self.heart or None,
            "reasons": [
                {"code": r.code, "message": r.message, "severity": r.severity} for r in self.reasons
            ],
        }  # fmt: skip


def account(plan: Adding, told: Sequence[Told]) -> dict[str, int]:
    """Every file once: in how many series it ended how, as a mask, or unread."""
    files = Counter({"added": 0, "already": 0, "refused": 0, "masks": 0, "unread": 0})
    for one in told:
        files[one.outcome] += one.files
    files["masks"] = sum(len(s.files) for s in plan.found.series if is_mask_series(s))
    files["unread"] = len(plan.found.unread)
    return dict(files)


def plain(reasons: Sequence[Reason], series: Series, given: str) -> tuple[Reason, ...]:
    """Reasons whose sentences name the path that was typed, and nothing below it."""
    deeper = sorted(
        {str(p) for p in (series.path, *series.files, *series.path.parents) if str(p) != given},
        key=len,
        reverse=True,
    )
    plain = []
    for reason in reasons:
        message = reason.message
        for path in deeper:
            if len(path) > len(given):
                message = message.replace(path, given)
        plain.append(Reason(reason.code, message, reason.severity))
    return tuple(plain)
