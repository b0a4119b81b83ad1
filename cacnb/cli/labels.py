"""Commands on a study's labels: export, import, status, agreement, images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cacnb.cli.terminal import Json, output, print_json, print_rows

labels = typer.Typer(no_args_is_help=True)

Study = Annotated[Path, typer.Argument(help="Study folder.")]


@labels.command("export")
def export_(
    folder: Study,
    file: Annotated[Path, typer.Argument(help="labels.csv or labels.parquet to write.")],
    as_json: Json = False,
) -> None:
    """Write every label event of the study's store to a file; `import` gives the same store back.

    Example: cacnb study labels export out/pairs labels.csv
    """
    from cacnb.labels.exchange import export_labels
    from cacnb.labels.place import open_labels

    with open_labels(folder) as store:
        count = export_labels(store, file)
    if as_json:
        print_json({"file": file, "events": count})
        return
    output.print(f"{count} label events: {file}", markup=False)


@labels.command("import")
def import_(
    folder: Study,
    file: Annotated[Path, typer.Argument(help="An export: labels.csv or labels.parquet.")],
    as_json: Json = False,
) -> None:
    """Add an export's label events to the study's store, all or none; what is there is kept.

    Example: cacnb study labels import out/pairs labels.csv
    """
    from cacnb.labels.exchange import import_labels
    from cacnb.labels.place import open_labels

    with open_labels(folder) as store:
        came, new = import_labels(store, file)
    if as_json:
        print_json({"file": file, "events": came, "new": new})
        return
    output.print(f"{came} label events came, {new} were new", markup=False)


@labels.command("status")
def status(folder: Study, as_json: Json = False) -> None:
    """Who labelled what, how much of it holds, and the time spent.

    Example: cacnb study labels status out/pairs
    """
    from cacnb.labels.databases import in_words
    from cacnb.labels.place import open_labels, study_key
    from cacnb.labels.progress import reader_progress

    key = study_key(folder)
    with open_labels(folder) as store:
        store.check()
        rows = [
            vars(row) for row in reader_progress(store.events(study=key), store.current(study=key))
        ]
        place, version = in_words(store.url), store.version()
    if as_json:
        print_json({"study": key, "store": place, "schema_version": version, "readers": rows})
        return
    print_rows(f"labels of {key}", rows)
    output.print(f"store {place}, schema version {version}", markup=False)


@labels.command("agreement")
def agreement(folder: Study, as_json: Json = False) -> None:
    """How far readers agree on slices: κ of every two, and of each with their hidden repeats.

    Example: cacnb study labels agreement out/pairs
    """
    from cacnb.labels.place import open_labels, study_key
    from cacnb.reader_agreement import reader_agreement

    key = study_key(folder)
    with open_labels(folder) as store:
        found = reader_agreement(store.current(study=key, subject="slice"))
    if as_json:
        print_json({"study": key, "agreement": [one.as_json() for one in found]})
        return
    for one in found:
        who = one.first if one.first == one.second else f"{one.first}, {one.second}"
        output.print(f"{who}. {one}", markup=False)
    if not found:
        output.print(f"no slice of {key} was labelled twice", markup=False)


@labels.command("images")
def images(
    folder: Study,
    reader: Annotated[
        str | None, typer.Option("--reader", help="Whose; the adjudicator's or the only one's.")
    ] = None,
    seg: Annotated[
        bool, typer.Option("--seg", help="Regions also as DICOM Segmentations.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over the images that are there.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write painted regions and picked lesions as the images that training and evaluation read.

    Example: cacnb study labels images out/pairs --seg
    """
    from cacnb.labelled_images import write_labelled_images
    from cacnb.labels.place import open_labels, study_key

    with open_labels(folder) as store:
        current = store.current(study=study_key(folder))
    written = write_labelled_images(folder, current, reader, seg=seg, replace=replace)
    if as_json:
        print_json({"written": written})
        return
    output.print(f"{len(written)} images written from the labels of {folder}", markup=False)
