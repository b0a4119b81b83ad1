"""Table 1 of a study as one HTML page; it counts nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cacnb.export.page import rendered
from cacnb.files import write_atomically


def write_table1_page(
    sections: Sequence[Any], path: Path, *, study: str, facts: str, simulated: bool
) -> None:
    """Write the lettered parts of Table 1 as one page that opens anywhere and runs no script.

    Parameters
    ----------
    sections
        As `cacnb.studies.table1_words.sections` gives them.
    study
        The study's name.
    facts
        What the study holds, in a sentence.

    Raises
    ------
    InputError
        `cannot_write`.
    """
    content = {"sections": sections, "facts": facts}
    write_atomically(
        rendered("table1_page.html.j2", f"Table 1 of {study}", simulated, content), path
    )
