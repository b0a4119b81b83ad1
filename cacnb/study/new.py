"""An empty study folder and what it says of itself; it does not know what will be in it."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from cacnb.errors import InputError, UsageError
from cacnb.files import or_cannot_write, write_atomically
from cacnb.study.cohort import write_cohort
from cacnb.study.cohort_table import COLUMNS

#: What stands in a study folder before anything is added.
FOLDERS = ("scans", "masks")


def new_study(folder: Path, name: str, source: str) -> None:
    """Make a study folder: `study.toml`, an empty `cohort.csv`, and folders for what comes.

    Parameters
    ----------
    folder
        Made if missing; must hold nothing.
    name
        The study's name: it stands with every label and heads every report, so nothing a patient
        is named by.
    source
        Where the data came from, in words.

    Raises
    ------
    UsageError
        Without a name.
    InputError
        `not_empty`; `cannot_write`.
    """
    if not name.strip():
        raise UsageError("a study needs a name: give --name")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            "not_empty", f"{folder} holds something already: give a new or an empty folder"
        )
    with or_cannot_write(folder):
        for one in FOLDERS:
            (folder / one).mkdir(parents=True, exist_ok=True)
    write_cohort(folder, pd.DataFrame(columns=[column.name for column in COLUMNS]))
    # A JSON string is a TOML string.
    told = {"name": name.strip(), "source": source.strip()}
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in told.items()]
    write_atomically("\n".join([*lines, "simulated = false", ""]), folder / "study.toml")
