"""Where a study's labels are kept, and under which name of the study; it reads no label."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from cacnb.errors import InputError
from cacnb.labels.store import LabelStore

#: The environment variable that names the store: a file or a database's address.
LABELS_VARIABLE = "CACNB_LABELS"
DEFAULT_FILE = "labels.sqlite"


def labels_place(study: Path) -> str:
    """A file or a database's address: `CACNB_LABELS`, else `labels` of `study.toml`, else a file.

    A file named in `study.toml` is meant from the study's folder.

    Raises
    ------
    InputError
        `bad_study_toml` where that file cannot be read.

    Example
    -------
    >>> labels_place(Path("study")).endswith("labels.sqlite")
    True
    """
    named = os.environ.get(LABELS_VARIABLE)
    if named:
        return named
    told = study_toml(study).get("labels")
    if isinstance(told, str) and told:
        return told if "://" in told else str(study / told)
    return str(study / DEFAULT_FILE)


def study_key(study: Path) -> str:
    """The study's name with each label: `name` of `study.toml`, else the folder's."""
    name = study_toml(study).get("name")
    return name if isinstance(name, str) and name else study.resolve().name


def open_labels(study: Path) -> LabelStore:
    """Open a study's label store, made where there is none; raises as `LabelStore.open`."""
    return LabelStore.open(labels_place(study))


def study_toml(study: Path) -> dict[str, Any]:
    """What `study.toml` says, nothing where there is none; raises InputError `bad_study_toml`."""
    file = study / "study.toml"
    if not file.is_file():
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            "bad_study_toml", f"{file} is not TOML ({error}): correct it by hand"
        ) from error
