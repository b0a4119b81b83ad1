"""When a patient's scans were made, as orders and minutes; the dates stay in the user's own file.

A study says that one scan came 12 minutes after another, and that a third is of a later day; it
holds no date. The dates stand beside the study's key, or a scan that is added later could not be
put in its place.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pandas as pd

from cacnb.errors import InputError
from cacnb.files import or_cannot_write


def read_days(file: Path) -> dict[str, datetime]:
    """When each scan was made, by the scan's name; empty where there is no file.

    Raises
    ------
    InputError
        `bad_days` where the file is damaged.
    """
    if not file.is_file():
        return {}
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        return {str(scan): datetime.fromisoformat(when) for scan, when in told.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise InputError(
            "bad_days", f"{file} is damaged: move it away; orders of days begin anew without it"
        ) from error


def write_days(days: Mapping[str, datetime], file: Path) -> None:
    """Write the file for the user alone (mode 0600), whole or not at all."""
    text = json.dumps({scan: when.isoformat() for scan, when in sorted(days.items())}, indent=0)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    with or_cannot_write(file):
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
                out.write(text)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)


def orders_and_minutes(
    patients: Mapping[str, str], days: Mapping[str, datetime]
) -> dict[str, tuple[int, float]]:
    """`study_order` and `minutes` of each scan whose time is known.

    Parameters
    ----------
    patients
        Patient of each scan.
    days
        When each scan was made.

    Example
    -------
    >>> days = {"b": datetime(2020, 1, 2, 9, 0), "a": datetime(2020, 1, 2, 9, 12, 30),
    ...         "c": datetime(2021, 5, 1)}
    >>> orders_and_minutes({"a": "p", "b": "p", "c": "p"}, days)
    {'a': (1, 12.5), 'b': (1, 0.0), 'c': (2, 0.0)}
    """
    table = pd.DataFrame(
        [(scan, patient, days[scan]) for scan, patient in patients.items() if scan in days],
        columns=["scan", "patient", "when"],
    )
    if table.empty:
        return {}
    table["day"] = table["when"].dt.normalize()
    order = table.groupby("patient")["day"].rank(method="dense").astype(int)
    first = table.groupby(["patient", "day"])["when"].transform("min")
    minutes = ((table["when"] - first).dt.total_seconds() / 60).round(1)
    return {
        scan: (int(at), float(after))
        for scan, at, after in zip(table["scan"], order, minutes, strict=True)
    }
