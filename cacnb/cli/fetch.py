"""The command that fetches public series."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cacnb.cli.terminal import Json, messages, output, print_json, progress
from cacnb.errors import UsageError

if TYPE_CHECKING:
    from cacnb.public_series.manifest import PublicSeries

#: Series whose failure is told one by one.
SHOWN = 10


def fetch(
    manifest: Annotated[
        Path, typer.Argument(help="CSV of data_manifests, list of series UIDs, or s5cmd file.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the series; made if missing.")],
    patients: Annotated[
        int | None, typer.Option("--patients", help="Only the first so many patients.")
    ] = None,
    set_name: Annotated[
        str | None, typer.Option("--set", help="Only series that stand for this set.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Read and check files that are here again.")
    ] = False,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint-url", help="Another S3 store, such as a mirror.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Download the public series of a manifest; repeat the call to go on where it stopped.

    Every file is checked by size and hash. Licences are shown, and written to ATTRIBUTION.md.

    Example: cacnb fetch data_manifests/lctsc_heart.csv --patients 3 --out data/lctsc
    """
    from dataclasses import asdict

    from cacnb.public_series.attribution import terms
    from cacnb.public_series.fetching import fetch as fetched
    from cacnb.public_series.manifest import read_manifest
    from cacnb.public_series.object_store import PUBLIC_ENDPOINT, ObjectStore

    series = _first_patients(_of_set(read_manifest(manifest), set_name), patients)
    for told in terms(series):
        messages.print(str(told), markup=False)
    with progress("fetching, MB") as tell:
        found = fetched(
            series,
            out,
            ObjectStore(endpoint or PUBLIC_ENDPOINT),
            lambda done, of, what: tell(done // 1_000_000, of // 1_000_000 or None, what),
            check=check,
        )
    states = Counter(one.state for one in found)
    bad = [one for one in found if one.state != "complete"]
    if as_json:
        print_json({"out": out, "states": states, "series": [asdict(one) for one in found]})
    else:
        size = sum(one.size_mb for one in found) / 1000
        files, hashed = sum(one.files for one in found), sum(one.checked for one in found)
        output.print(
            f"{states['complete']} of {len(found)} series complete in {out}: {files} files, "
            f"{size:.2f} GB, {hashed} of them checked by hash",
            markup=False,
        )
    for one in bad[:SHOWN]:
        messages.print(f"{one.series_uid}: {one.state}: {one.why}", markup=False)
    if bad:
        more = f" ({len(bad) - SHOWN} more in {out / 'series.csv'})" if len(bad) > SHOWN else ""
        messages.print(f"{len(bad)} series are not complete{more}: repeat the call", markup=False)
        raise typer.Exit(1)


def _of_set(series: list[PublicSeries], name: str | None) -> list[PublicSeries]:
    if name is None:
        return series
    there = sorted({one.set_name for one in series})
    if name not in there:
        raise UsageError(
            f"--set {name}: the manifest has {', '.join(filter(None, there)) or 'none'}"
        )
    return [one for one in series if one.set_name == name]


def _first_patients(series: list[PublicSeries], patients: int | None) -> list[PublicSeries]:
    if patients is None:
        return series
    if patients < 1:
        raise UsageError(f"--patients is {patients}: ask for at least 1")
    names = list(dict.fromkeys(one.patient or one.series_uid for one in series))
    wanted = set(names[:patients])
    return [one for one in series if (one.patient or one.series_uid) in wanted]
