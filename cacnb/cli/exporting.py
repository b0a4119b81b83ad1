"""The command that takes results to the hospital's archive: export; it decides nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cacnb import RESEARCH_ONLY
from cacnb.cli.terminal import Json, messages, output, print_json, print_rows, progress
from cacnb.errors import InputError, UsageError

#: More refused scans than this are not printed; --json has all.
SHOWN = 10


def export(
    scored: Annotated[
        Path, typer.Argument(help="A result's JSON, a folder of results, or a study folder.")
    ],
    to: Annotated[
        list[str],
        typer.Option("--to", help="seg, map, sr (repeatable) or all: what to write of each scan."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the files; made if missing.")],
    scans: Annotated[
        list[str] | None, typer.Option("--scan", help="Only this scan; repeatable.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write files anew that are there already.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write results as DICOM for the archive, into the patient's study: for research only.

    The files carry the source's patient data, as the standard wants. Scans that were image files
    are refused; the others go on.

    Example: cacnb export out/scan01 --to all --out out/archive
    """
    from cacnb.export.archive import TARGETS, Exported, export_scan
    from cacnb.export.scored_result import find_results

    unknown = sorted({*to} - {*TARGETS, "all"})
    if unknown:
        raise UsageError(f"--to is {unknown[0]!r}: seg, map, sr or all was wanted")
    targets = [target for target in TARGETS if target in to or "all" in to]
    found = find_results(scored, scans or ())
    done: list[Exported] = []
    refused: list[dict[str, str]] = []
    with progress("exporting") as tell:
        for number, one in enumerate(found):
            tell(number, len(found), one.scan)
            try:
                done.append(export_scan(one, targets, out, replace=replace))
            except InputError as error:
                refused.append({"scan": one.scan, "code": error.code, "message": error.message})
    files = [
        {"scan": one.scan, "to": target, "path": path}
        for one in done
        for target, path in one.files.items()
    ]
    without = [{"scan": one.scan, "to": t} for one in done for t in one.without_calcium]
    if as_json:
        print_json({"exported": files, "without_calcium": without, "refused": refused})
    else:
        if files:
            print_rows(f"{len(files)} files written to {out}", files)
        output.print(
            f"{len(done)} scans exported, {len(refused)} refused; {len(without)} maps without "
            "calcium made no file.",
            markup=False,
        )
        output.print(RESEARCH_ONLY)
        for why in refused[:SHOWN]:
            messages.print(f"cacnb: {why['code']}: {why['message']}", markup=False, soft_wrap=True)
        if len(refused) > SHOWN:
            messages.print(f"cacnb: and {len(refused) - SHOWN} more; --json lists all")
    if refused:
        raise typer.Exit(1)
