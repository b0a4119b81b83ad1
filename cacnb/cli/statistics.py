"""Commands on numbers: agree."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cacnb.cli.terminal import Json, output, print_json, print_rows


def agree(
    table: Annotated[Path, typer.Argument(help="CSV file, one row a patient.")],
    first: Annotated[str, typer.Option("--first", help="Column of the first score.")],
    second: Annotated[str, typer.Option("--second", help="Column of the second score.")],
    as_json: Json = False,
) -> None:
    """How far two scores of the same patients agree: any CSV, any program's scores.

    Example: cacnb agree pairs.csv --first scan --second rescan
    """
    from cacnb.agree import agree as agreement

    found = agreement(table, first, second)
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        if isinstance(value, dict):
            regression = value.pop("regression", {})
            print_rows(name.replace("_", " "), [{**value, **regression}])
        else:
            output.print(f"{name.replace('_', ' ')}: {value}")
