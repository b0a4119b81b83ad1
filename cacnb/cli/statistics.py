"""Commands on numbers: agree."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cacnb.cli.terminal import Json, messages, output, print_json

Page = Annotated[
    Path | None,
    typer.Option("--html", help="Also write one HTML page with the plots to this file."),
]


def agree(
    table: Annotated[Path, typer.Argument(help="CSV file, one row a patient.")],
    first: Annotated[str, typer.Option("--first", help="Column of the first score.")],
    second: Annotated[str, typer.Option("--second", help="Column of the second score.")],
    html: Page = None,
    as_json: Json = False,
) -> None:
    """How far two scores of the same patients agree: any CSV, any program's scores.

    Example: cacnb agree pairs.csv --first scan --second rescan --html agreement.html
    """
    from cacnb.agree import agree as agreement
    from cacnb.agree import read_pairs

    found = agreement(table, first, second)
    if html is not None:
        from cacnb.export.agreement_page import write_agreement_page

        one, two, _ = read_pairs(table, first, second)
        write_agreement_page(found, one, two, html, title=f"Agreement of {first} and {second}")
    if as_json:
        print_json(found)
    else:
        _print_agreement(found)
    if html is not None:
        messages.print(f"page: {html}", markup=False)


def _print_agreement(found: dict[str, Any]) -> None:
    """The numbers in groups, each with a sentence on what it says."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    from cacnb.export.agreement_statements import agreement_statements

    table = Table(
        title=Text(f"Agreement of {found['first']} (first) and {found['second']} (second)"),
        title_justify="left", box=SIMPLE, pad_edge=False,
    )  # fmt: skip
    for heading in ("", "value", "95 % interval"):
        table.add_column(heading, no_wrap=True)
    table.add_column("what it says", overflow="fold", max_width=72)
    for heading, statements in agreement_statements(found).items():
        table.add_row(Text(heading, style="bold"), "", "", "")
        for said in statements:
            table.add_row(Text(f"  {said.name}"), said.value, said.interval, said.meaning)
        table.add_section()
    output.print(table)
