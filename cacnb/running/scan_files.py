"""What is on disk of one scan of a study: its result, or why there is none; it scores nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cacnb.files import or_cannot_write, write_atomically
from cacnb.results import RESULT_ENDINGS

#: A scan's verdict, or that scoring it failed.
Ending = Literal["usable", "warned", "refused", "failed"]

#: Whether a result can be used as it is, and if not why.
State = Literal["none", "damaged", "other_weights", "whole"]

#: Folder beside the results: one small file for each scan whose scoring failed.
FAILURES = "failed"

#: What the tables ask of every result, also of a refused scan's.
KEYS = {"path", "series_uid", "verdict", "reasons", "seconds", "weights"}


@dataclass(frozen=True)
class Outcome:
    """How one scan ended; small enough to send between machines by the thousand.

    `code` and `message` say why a scan was refused or failed, and are empty for the others.
    """

    scan: str
    ending: Ending
    code: str = ""
    message: str = ""

    @property
    def is_scored(self) -> bool:
        """Whether there are scores."""
        return self.ending in ("usable", "warned")

    def as_json(self) -> dict[str, str]:
        """One element of `refused` or `failed` of `cacnb run --json`."""
        return {"scan": self.scan, "code": self.code, "message": self.message}


@dataclass(frozen=True)
class Found:
    """A scan's result file as it is on disk; `result` is empty unless it is whole."""

    state: State
    result: dict[str, Any]

    def outcome(self, scan: str) -> Outcome:
        """How the scan ended, of a whole result."""
        verdict: Ending = self.result["verdict"]
        if verdict != "refused":
            return Outcome(scan, verdict)
        # A result file does not tell a refusing reason from a warning beside it: a warning comes
        # from a scan that went on, so the reason that ended it is the last.
        worst = self.result["reasons"][-1]
        return Outcome(scan, verdict, str(worst["code"]), str(worst["message"]))


def find_result(folder: Path, scan: str, weights_sha256: str) -> Found:
    """A scan's result file, and whether these weights made it and it is whole."""
    try:
        result = json.loads((folder / f"{scan}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Found("none", {})
    except (OSError, ValueError):
        return Found("damaged", {})
    if not _is_whole(result, scan):
        return Found("damaged", {})
    if result["weights"]["sha256"] != weights_sha256:
        return Found("other_weights", {})
    return Found("whole", result)


def _is_whole(result: Any, scan: str) -> bool:
    if not isinstance(result, dict) or result.get("scan") != scan or not result.keys() >= KEYS:
        return False
    if not isinstance(result["weights"], dict) or not result["weights"].keys() >= {
        "name",
        "sha256",
    }:
        return False
    if result.get("verdict") == "refused":
        return bool(result.get("reasons"))
    scores = all(isinstance(result.get(method), dict) for method in ("proposed", "clinical"))
    return scores and result.get("verdict") in ("usable", "warned") and "lesions" in result


def find_failure(folder: Path, scan: str, weights_sha256: str) -> Outcome | None:
    """How scoring a scan with these weights failed in an earlier call, or None."""
    try:
        told = json.loads(_failure_file(folder, scan).read_text(encoding="utf-8"))
        if told["scan"] != scan or told["weights_sha256"] != weights_sha256:
            return None
        return Outcome(scan, "failed", str(told["code"]), str(told["message"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_failure(folder: Path, outcome: Outcome, weights_sha256: str) -> None:
    """Keep that scoring a scan failed, until it is scored or asked to be forgotten."""
    told = {**outcome.as_json(), "weights_sha256": weights_sha256}
    write_atomically(json.dumps(told, indent=1), _failure_file(folder, outcome.scan))


def forget(folder: Path, scan: str) -> None:
    """Remove what is written of a scan; the result goes first, so that it never vouches alone."""
    for file in (*(folder / f"{scan}{end}" for end in RESULT_ENDINGS), _failure_file(folder, scan)):
        with or_cannot_write(file):
            file.unlink(missing_ok=True)


def sweep(folder: Path, scans: Iterable[str]) -> None:
    """Remove the parts of files that killed workers left; only where nobody writes these scans."""
    known = set(scans)
    endings = "|".join(re.escape(end) for end in RESULT_ENDINGS)
    part = re.compile(rf"\.(?P<scan>.+)(?:{endings})\.\d+\.part(?:\.nii\.gz)?")
    for file in folder.glob(".*.part*"):
        of = part.fullmatch(file.name)
        if of is not None and of["scan"] in known:
            file.unlink(missing_ok=True)


def _failure_file(folder: Path, scan: str) -> Path:
    return folder / FAILURES / f"{scan}.json"
