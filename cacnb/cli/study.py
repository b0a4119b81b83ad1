"""Commands on a study folder: new, split, pair, table1, status; and labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cacnb.cli import study_add
from cacnb.cli.labels import labels
from cacnb.cli.terminal import Json, messages, output, print_json, print_rows
from cacnb.errors import UsageError

if TYPE_CHECKING:
    from cacnb.studies.table1 import Table1

study = typer.Typer(no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Study folder.")]


@study.callback()
def _study() -> None:
    """What belongs to a study folder."""


@study.command("new")
def new(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to make.")],
    name: Annotated[
        str | None, typer.Option("--name", help="Name in reports and labels; the folder's.")
    ] = None,
    source: Annotated[str, typer.Option("--source", help="Where the data came from.")] = "",
    as_json: Json = False,
) -> None:
    """Make an empty study folder.

    Example: cacnb study new out/planning --source "planning CTs, 2019-2021"
    """
    from cacnb.study.new import new_study

    called = folder.resolve().name if name is None else name
    new_study(folder, called, source)
    if as_json:
        print_json({"study": called, "folder": folder})
        return
    output.print(f"an empty study: {folder}", markup=False)
    output.print(f"add scans: cacnb study add {folder} PATH", markup=False)


study.command("add")(study_add.add)


@study.command("split")
def split(
    folder: Folder,
    share: Annotated[
        list[str] | None,
        typer.Option("--share", help="SET=SHARE of all patients; may be repeated."),
    ] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="The paper's sets in the paper's proportions.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Another draw.")] = 0,
    replace: Annotated[bool, typer.Option("--replace", help="Draw a split study again.")] = False,
    as_json: Json = False,
) -> None:
    """Draw every patient into a set, by patient, alike in scans, pairs and visible calcium.

    Without --share: train 0.7, val 0.1, test 0.2. All scans of a patient go to one side.

    Example: cacnb study split out/planning --share train=0.6 --share val=0.2 --share test=0.2
    """
    from cacnb.studies.splitting import split_study

    if paper and share:
        raise UsageError("--paper and --share came: give one of them")
    told = split_study(folder, _shares(share), paper=paper, seed=seed, replace=replace)
    rows: list[dict[str, Any]] = told.to_dict("records")  # type: ignore[assignment]
    if as_json:
        print_json({"seed": seed, "sets": rows})
        return
    print_rows(f"patients of {folder} by set and kind", rows)
    output.print(f"sets written to {folder / 'cohort.csv'} (seed {seed})", markup=False)


def _shares(given: list[str] | None) -> dict[str, float] | None:
    if not given:
        return None
    shares = {}
    for one in given:
        name, _, number = one.partition("=")
        try:
            shares[name] = float(number)
        except ValueError as error:
            raise UsageError(f"--share {one}: give SET=SHARE, for example train=0.7") from error
    return shares


@study.command("pair")
def pair(
    folder: Folder,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Write the pairs marked for use into the cohort.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Propose again over an edited pairs.csv.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Find which scans of a patient's day repeat each other, and write them once confirmed.

    The proposal is `pairs.csv` in the study: set its column `use` to yes or no, then --confirm.

    Example: cacnb study pair out/planning --confirm
    """
    from cacnb.study.cohort import read_cohort, write_cohort
    from cacnb.study.pairing import (
        CONFIRMED,
        FILE,
        proposed_pairs,
        read_pairs,
        with_pairs,
        write_pairs,
    )

    cohort = read_cohort(folder)
    pairs = None if replace else read_pairs(folder)
    if pairs is None:
        pairs = proposed_pairs(cohort)
        if len(pairs):
            messages.print(f"proposed: {write_pairs(folder, pairs)}", markup=False)
    used = int((pairs["use"] == "yes").sum())
    if confirm:
        write_cohort(folder, with_pairs(cohort, pairs))
        if (folder / FILE).is_file():
            (folder / FILE).replace(folder / CONFIRMED)
    shown = pairs.astype(object).where(pairs.notna(), None)
    rows: list[dict[str, Any]] = shown.to_dict("records")  # type: ignore[assignment]
    if as_json:
        print_json({"pairs": rows, "used": used, "confirmed": confirm})
        return
    if rows:
        print_rows("scans of one patient and day", rows)
    else:
        output.print("no patient has two scans of a day without a pair", markup=False)
    if confirm:
        output.print(f"{used} pairs written to {folder / 'cohort.csv'}", markup=False)
    elif used:
        output.print(
            f"{used} pairs to use: cacnb study pair {folder} --confirm, or edit "
            f"{folder / 'pairs.csv'} first",
            markup=False,
        )


@study.command("table1")
def table1(
    folder: Folder,
    html: Annotated[Path | None, typer.Option("--html", help="Also write one HTML page.")] = None,
    as_json: Json = False,
) -> None:
    """Print Table 1 A, B and C of the paper for this study: scans, annotations, purpose.

    Example: cacnb study table1 out/pairs --html table1.html
    """
    from cacnb.studies.table1 import table1 as counted

    found = counted(folder)
    if html is not None:
        _write_page(found, html)
    if as_json:
        print_json(found.as_json())
    else:
        _print_table1(found)
    if html is not None:
        messages.print(f"page: {html}", markup=False)


def _facts(found: Table1) -> str:
    kind = "simulated scans" if found.simulated else "scans"
    return f"{found.scans:,} {kind} of {found.patients:,} patients"


def _write_page(found: Table1, html: Path) -> None:
    from cacnb.export.table1_page import write_table1_page
    from cacnb.studies.table1_words import sections

    write_table1_page(
        sections(found), html, study=found.study, facts=f"{_facts(found)}.",
        simulated=found.simulated,
    )  # fmt: skip


def _print_table1(found: Table1) -> None:
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    from cacnb.studies.table1_words import sections

    output.print(f"Table 1 of {found.study}: {_facts(found)}", markup=False)
    for section in sections(found):
        table = Table(
            title=Text(f"{section.letter}. {section.title}"), title_justify="left", box=SIMPLE,
            pad_edge=False, caption=section.note or None, caption_justify="left",
        )  # fmt: skip
        table.add_column("", no_wrap=True)
        for column in section.headings:
            table.add_column(column, justify="right")
        for part, lines in section.parts.items():
            table.add_row(Text(part, style="bold"))
            for name, cells in lines:
                table.add_row(Text(f"  {name}"), *cells)
            table.add_section()
        output.print(table)


@study.command("status")
def status(folder: Folder, as_json: Json = False) -> None:
    """What the study has, what each stage still needs, and which command fills it.

    Example: cacnb study status out/pairs
    """
    from cacnb.studies.status import study_status

    found = study_status(folder)
    if as_json:
        print_json(found.as_json())
        return
    kind = "simulated scans" if found.simulated else "scans"
    rows = [
        {
            "stage": stage.name,
            "has": f"{stage.done} of {stage.of}" if stage.of else "–",
            "missing": ", ".join(stage.missing)
            + (" …" if stage.of - stage.done > len(stage.missing) else ""),
            "command": stage.command,
        }
        for stage in found.stages
    ]
    print_rows(f"{found.study}: {found.scans} {kind} of {found.patients} patients", rows)


study.add_typer(labels, name="labels", help="The labels that readers gave.")
