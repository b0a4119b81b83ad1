"""The command that takes scans into a study; it decides nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from cacnb.cli.terminal import Json, output, print_json, print_rows, progress


def add(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Study folder.")],
    paths: Annotated[list[Path], typer.Argument(help="Files, folders and archives of scans.")],
    heart: Annotated[
        Path | None,
        typer.Option(
            "--heart",
            help="A heart mask, a folder of them named as the scans, or totalsegmentator.",
        ),
    ] = None,
    structure: Annotated[
        str | None,
        typer.Option("--structure", "--label", help="Name or number of the heart in the masks."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option("--labels", help="CSV: series_uid or path, slice, contains_cac."),
    ] = None,
    set_name: Annotated[str | None, typer.Option("--set", help="The set of these scans.")] = None,
    keep_dicom: Annotated[
        bool, typer.Option("--keep-dicom", help="Cleaned DICOM slices in NIfTI's place.")
    ] = False,
    key: Annotated[
        Path | None, typer.Option("--key", help="The study's key, a file outside the study.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Take scans into a study under pseudonyms, with the heart masks that belong to them.

    Every series is told, the refused ones with their reason, under its number in `cacnb inspect` of
    the same paths. Adding twice adds nothing.

    Example: cacnb study add out/clinic /data/export --heart /data/masks
    """
    from cacnb.study.told_labels import read_told_labels
    from cacnb.study_adding import account, add_labels, add_series, plan_adding

    if labels is not None:
        read_told_labels(labels)
    with progress("inspecting") as tell:
        plan = plan_adding(
            folder, paths, heart=heart, structure=structure, set_name=set_name,
            keep_dicom=keep_dicom, key_file=key, on_progress=tell,
        )  # fmt: skip
    told = []
    of = len(plan.scans())
    with progress("adding") as tell:
        for one in add_series(plan):
            told.append(one)
            tell(len(told), of, one.scan)
    labelled = None if labels is None else add_labels(plan, told, labels)
    files, unread = account(plan, told), Counter(one.code for one in plan.found.unread)
    by_outcome = {
        outcome: [one for one in told if one.outcome == outcome]
        for outcome in ("added", "already", "refused")
    }
    if as_json:
        print_json(
            {
                "study": folder,
                **{name: [one.as_json() for one in some] for name, some in by_outcome.items()},
                "files": files, "unread": dict(unread),
                "labels": None if labelled is None else
                {"new": labelled[0], "without_scan": labelled[1]},
            }
        )  # fmt: skip
    else:
        rows = [
            {"series": one.series, "of": one.given, "scan": one.scan or one.outcome,
             "heart": one.heart, "files": one.files,
             "why": "; ".join(f"{r.code}: {r.message}" for r in one.reasons)}
            for one in told if one.outcome != "already"
        ]  # fmt: skip
        if rows:
            print_rows(f"{len(by_outcome['added'])} scans added to {folder}", rows)
        output.print(
            f"{len(by_outcome['added'])} added, {len(by_outcome['already'])} there already, "
            f"{len(by_outcome['refused'])} refused; files: "
            + ", ".join(f"{count} {name}" for name, count in files.items())
            + (f" ({', '.join(f'{n} × {code}' for code, n in unread.items())})" if unread else ""),
            markup=False,
        )
        if labelled is not None:
            output.print(f"{labelled[0]} slice labels new, {labelled[1]} of no scan here")
        output.print(f"key: {plan.pseudonyms.file} (keep it, and apart from the study)")
    if by_outcome["refused"] or not (by_outcome["added"] or by_outcome["already"]):
        raise typer.Exit(1)
