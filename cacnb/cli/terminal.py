"""What every command shares: the two streams, options, tables and progress; no command."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

messages = Console(stderr=True, highlight=False)
output = Console(highlight=False, width=None if sys.stdout.isatty() else 140)

Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder for results; made if missing.")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps …")]
WeightsName = Annotated[str, typer.Option("--weights", help="Packaged name or folder.")]


@contextmanager
def progress(title: str) -> Iterator[Any]:
    """A progress bar on a terminal's standard error, nothing elsewhere."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.fields[title]}"), BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(), TextColumn("{task.fields[what]}"),
        console=messages, transient=True, disable=not messages.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task("", total=None, title=title, what="")

        def tell(done: int, of: int, what: str) -> None:
            bar.update(task, completed=done, total=of, what=what)

        yield tell


def print_json(value: Any) -> None:
    """One JSON object, and nothing else, on standard output."""
    sys.stdout.write(json.dumps(value, allow_nan=False, default=str) + "\n")


def print_rows(title: str, rows: list[dict[str, Any]]) -> None:
    """A table on standard output; columns are the keys of all rows."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    for key in keys:
        table.add_column(key.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(cell(row.get(key)) for key in keys))
    output.print(table)


def print_facts(facts: dict[str, Any]) -> None:
    """Names and values under each other on standard output."""
    width = max(map(len, facts))
    for name, value in facts.items():
        if value is None:
            continue
        output.print(f"{name.replace('_', ' '):{width}}  {cell(value)}", markup=False)


def cell(value: Any) -> str:
    """A value as a table shows it: three digits, intervals with …, nothing for None."""
    if isinstance(value, float):
        digits = 0 if abs(value) >= 10_000 else 1
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.{digits}f}"
    if isinstance(value, list | tuple):
        return " … ".join(cell(v) for v in value)
    return "" if value is None else str(value)
