"""One thing that a reader said of a scan, and what may be said; it does not know the store."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from cacnb.errors import InputError

KINDS = ("give", "undo", "redo")
APPS = ("label", "paint", "clinical", "review")
SUBJECTS = ("slice", "region", "lesion", "noise", "verdict", "flag", "comment", "done")
ROLES = ("first", "second", "adjudication")

#: What may be said, by subject; of the others any text.
VALUES: Mapping[str, tuple[str, ...]] = {
    "slice": ("cac", "no_cac", "unsure"),
    "lesion": ("LAD", "LCX", "RCA", "LM", "aorta", "valve", "bone", "metal", "not_coronary"),
    "verdict": ("accept", "reject"),
}

#: Fields of a fixed vocabulary.
_WORDS = {"kind": KINDS, "app": APPS, "subject": SUBJECTS, "role": ROLES}

#: Fields that may not be empty.
_NEEDED = ("reader", "app_version", "study", "scan")

_SESSION = re.compile(r"[0-9A-Za-z_-]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")

#: UTC with microseconds, always as long: such times sort as text, in every database.
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")

LONGEST_TEXT = 1_000
LONGEST_COMMENT = 10_000
LONGEST_REGION = 1_000_000
_LARGEST = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class LabelEvent:
    """A row of the label store: who said what of which scan, when, and how it came about.

    Parameters
    ----------
    session, sequence
        One page in one browser, and 1, 2, 3 … within it: together unique.
    action
        Sequence of the first event of the action that this belongs to: a fill of 30 slices is 30
        events and one action.
    kind
        give, undo or redo; the last two restate the value that holds afterwards.
    undoes, undoes_session
        The action that an undo takes back, or a redo gives again; None for give.
    given_at
        UTC, as `2026-01-31T08:15:00.000000+00:00`.
    reader, app, app_version
        Who said it, in which app (label, paint, clinical or review), of which version.
    study, scan, scan_sha256
        The study's key, the scan's in `cohort.csv`, the hash of its voxels and grid.
    subject
        slice, region, lesion, noise, verdict, flag, comment or done.
    slice
        z index on the scan's own grid (in `review` the map's); None where all of it is meant.
    item
        What within it: the artery of a region, the key of a lesion; else empty.
    value
        What is said, see `VALUES`; None takes back what was said.
    seconds
        Since the reader's last action, pauses left out.
    role, reading
        first, second or adjudication; 1, or more where the same reader meets the scan again.
    queue, position
        How the queue was ordered, and the scan's place in it.
    assistant
        Whether the classifier chose the order.

    Raises
    ------
    InputError
        `bad_label` for anything else, with what was wanted.

    Example
    -------
    >>> event = LabelEvent(
    ...     session="5f0c", sequence=1, action=1, kind="give", undoes=None, undoes_session=None,
    ...     given_at="2026-01-31T08:15:00.000000+00:00", reader="reader 1", app="label",
    ...     app_version="0.1.0", study="demo", scan="scan01", scan_sha256="0" * 64,
    ...     subject="slice", slice=12, item="", value="cac", seconds=1.5, role="first", reading=1,
    ...     queue="random, seed 7", position=0, assistant=False,
    ... )
    >>> event.key
    ('5f0c', 1)
    """

    session: str
    sequence: int
    action: int
    kind: str
    undoes: int | None
    undoes_session: str | None
    given_at: str
    reader: str
    app: str
    app_version: str
    study: str
    scan: str
    scan_sha256: str
    subject: str
    slice: int | None
    item: str
    value: str | None
    seconds: float
    role: str
    reading: int
    queue: str
    position: int
    assistant: bool

    def __post_init__(self) -> None:
        for name, kind in FIELD_TYPES.items():
            self._require_type(name, kind)
        for name, words in _WORDS.items():
            if getattr(self, name) not in words:
                raise _bad(name, getattr(self, name), f"one of {', '.join(words)}")
        for name in _NEEDED:
            if not getattr(self, name).strip():
                raise _bad(name, "nothing", "a name")
        self._require_identity()
        self._require_value()

    @property
    def key(self) -> tuple[str, int]:
        """Session and sequence: what makes the event the one it is."""
        return self.session, self.sequence

    def _require_type(self, name: str, kind: str) -> None:
        value = getattr(self, name)
        if value is None and kind.endswith(" | None"):
            return
        kind = kind.removesuffix(" | None")
        if kind == "float" and type(value) in (int, float):
            value = float(value) + 0.0  # JSON writes 2.0 as 2; SQLite keeps no -0.0
            object.__setattr__(self, name, value)
        if type(value).__name__ != kind:
            raise _bad(name, value, {"str": "text", "bool": "true or false"}.get(kind, "a number"))
        if kind == "str" and not _can_be_kept(value, _longest(name, self.subject)):
            raise _bad(
                name,
                f"text of {len(value)} characters",
                f"at most {_longest(name, self.subject)} characters of Unicode without NUL",
            )

    def _require_identity(self) -> None:
        for name in ("session", "undoes_session"):
            value = getattr(self, name)
            if value is not None and not _SESSION.fullmatch(value):
                raise _bad(name, value, "1 to 64 letters and digits")
        if not _SHA256.fullmatch(self.scan_sha256):
            raise _bad("scan_sha256", self.scan_sha256, "64 hexadecimal digits")
        if not _is_time(self.given_at):
            raise _bad("given_at", self.given_at, "UTC as 2026-01-31T08:15:00.000000+00:00")
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= _LARGEST:
                raise _bad(name, value, f"{least} or more")
        if self.action > self.sequence:
            raise _bad("action", self.action, f"at most the event's sequence {self.sequence}")
        if not (math.isfinite(self.seconds) and self.seconds >= 0):
            raise _bad("seconds", self.seconds, "0 or more")
        given = self.undoes is None and self.undoes_session is None
        whole = self.undoes is not None and self.undoes_session is not None
        if not (given if self.kind == "give" else whole):
            wanted = "none" if self.kind == "give" else "an action and its session"
            raise _bad("undoes", self.undoes, f"{wanted} for {self.kind}")

    def _require_value(self) -> None:
        if self.subject in ("slice", "region") and self.slice is None:
            raise _bad("slice", self.slice, f"a slice's index for a {self.subject}")
        words = VALUES.get(self.subject)
        if words is not None and self.value is not None and self.value not in words:
            raise _bad("value", self.value, f"one of {', '.join(words)}, or nothing")


#: Each field's type as it is written above: the store's columns are made of it.
FIELD_TYPES: Mapping[str, str] = {each.name: str(each.type) for each in fields(LabelEvent)}

_LEAST = {"sequence": 1, "action": 1, "reading": 1, "undoes": 1, "slice": 0, "position": 0}


def _longest(name: str, subject: object) -> int:
    if name != "value":
        return LONGEST_TEXT
    return LONGEST_REGION if subject in ("region", "noise") else LONGEST_COMMENT


def _can_be_kept(text: str, longest: int) -> bool:
    """Whether every database takes it: PostgreSQL has no NUL, UTF-8 no half characters."""
    return (
        len(text) <= longest
        and "\0" not in text
        and not any("\ud800" <= character <= "\udfff" for character in text)
    )


def _is_time(text: str) -> bool:
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _bad(name: str, value: Any, wanted: str) -> InputError:
    told = str(value)
    told = told if len(told) <= 80 else f"{told[:77]}…"
    return InputError("bad_label", f"a label's {name} is {told!r}, {wanted} was wanted")
