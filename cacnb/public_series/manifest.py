"""Which public series to fetch: manifests, UIDs and s5cmd files; it opens no connection."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cacnb.errors import InputError

#: Where the public buckets hold a series.
_ADDRESS = re.compile(r"s3://[a-z0-9.-]+/[A-Za-z0-9._-]+/\*")
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_COLLECTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

#: Names of our columns in our manifests and in tables made from the index, ours first.
_NAMES: dict[str, tuple[str, ...]] = {
    "series_uid": ("series_uid", "SeriesInstanceUID"), "url": ("url", "series_aws_url"),
    "collection": ("collection", "collection_id"), "patient": ("patient", "PatientID"),
    "licence": ("licence", "license_short_name"), "doi": ("doi", "source_DOI"),
    "files": ("files", "instanceCount"), "size_mb": ("size_mb", "series_size_MB"),
    "set_name": ("set",),
}  # fmt: skip


@dataclass(frozen=True)
class PublicSeries:
    """One series as a manifest or the index tells it.

    Parameters
    ----------
    series_uid, collection, patient
        As published; the patient is the collection's pseudonym.
    url
        Where its files are, ending in `/*`; None where nobody knows the series.
    licence, doi
        Of the series itself.
    set_name
        The set of Table 1 that it stands for, where the manifest tells.
    files, size_mb
        How many, and megabytes (10⁶ bytes); 0 where not told.
    """

    series_uid: str
    url: str | None
    collection: str = "unknown"
    patient: str = ""
    licence: str = "not told"
    doi: str = ""
    files: int = 0
    size_mb: float = 0.0
    set_name: str = ""


def read_manifest(file: Path) -> list[PublicSeries]:
    """The series of a manifest, each once, in its order.

    Three forms are read: a CSV with a column `series_uid` (or `SeriesInstanceUID`); an s5cmd file
    of `cp s3://…/* .` lines; a text file with one series UID a line. What a form does not tell is
    looked up in the index that comes with idc-index.

    Raises
    ------
    InputError
        `no_manifest`, `bad_manifest`; `no_index` where the index is needed and not installed.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InputError("no_manifest", f"{file} does not exist: check the path") from error
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise InputError("bad_manifest", f"{file} is no text: give a CSV manifest") from error
    addresses = re.findall(r"^\s*cp\s+(?:--\S+\s+)*[\"']?(s3://[^\s\"']+)", text, re.MULTILINE)
    if addresses:
        found = _by_address(file, addresses)
    elif "," in text.partition("\n")[0]:
        found = _from_table(file, text)
    else:
        lines = [line.strip() for line in text.splitlines()]
        found = _from_table(file, "series_uid\n" + "\n".join(filter(None, lines)))
    if not found:
        raise InputError("bad_manifest", f"{file} names no series: give one with rows")
    return list({one.series_uid: one for one in found}.values())


def _from_table(file: Path, text: str) -> list[PublicSeries]:
    rows = list(csv.DictReader(io.StringIO(text)))
    told = [{ours: _first(row, names) for ours, names in _NAMES.items()} for row in rows]
    for number, row in enumerate(told, start=2):
        if not _UID.fullmatch(row["series_uid"]):
            raise InputError(
                "bad_manifest",
                f"{file}: row {number} has no series UID: a column series_uid or "
                "SeriesInstanceUID was wanted, with numbers and dots",
            )
    wanting = [row["series_uid"] for row in told if not (row["url"] and row["licence"])]
    known = _index_rows("SeriesInstanceUID", wanting) if wanting else {}
    series = []
    for row in told:
        indexed = known.get(row["series_uid"], {})
        series.append(_series(file, {k: v or str(indexed.get(k, "")) for k, v in row.items()}))
    return series


def _by_address(file: Path, addresses: list[str]) -> list[PublicSeries]:
    known = _index_rows("series_aws_url", addresses)
    unknown = [address for address in addresses if address not in known]
    if unknown:
        raise InputError(
            "bad_manifest",
            f"{file}: {len(unknown)} addresses are in no index of this version, such as "
            f"{unknown[0]}: give a manifest with series UIDs",
        )
    return [_series(file, known[address]) for address in addresses]


def _first(row: Mapping[str, Any], names: Iterable[str]) -> str:
    return next((str(row[name]).strip() for name in names if row.get(name)), "")


def _series(file: Path, told: Mapping[str, str]) -> PublicSeries:
    """A row checked: what it says becomes part of addresses and file names."""
    url, collection = told["url"] or None, told["collection"] or "unknown"
    if url is not None and not _ADDRESS.fullmatch(url):
        raise InputError("bad_manifest", f"{file}: {url!r} is no address s3://BUCKET/FOLDER/*")
    if not _COLLECTION.fullmatch(collection):
        raise InputError("bad_manifest", f"{file}: {collection!r} is no collection's identifier")
    return PublicSeries(
        told["series_uid"], url, collection, told["patient"], told["licence"] or "not told",
        told["doi"], int(float(told["files"] or 0)), float(told["size_mb"] or 0),
        told.get("set_name", ""),
    )  # fmt: skip


def _index_rows(column: str, values: list[str]) -> dict[str, dict[str, str]]:
    """Rows of the packaged index by a column, under our names."""
    try:
        import idc_index_data
    except ImportError as error:
        raise InputError(
            "no_index",
            "the manifest tells UIDs only and the index of public series is not installed: "
            "pip install 'cacnb[fetch]'",
        ) from error
    names = {ours: both[1] for ours, both in _NAMES.items() if len(both) > 1}
    table = pd.read_parquet(
        idc_index_data.IDC_INDEX_PARQUET_FILEPATH,
        columns=[*names.values()],
        filters=[(column, "in", values)],
    )
    told = table.astype(object).where(table.notna(), "").to_dict("records")
    return {
        str(row[column]): {ours: str(row[theirs]) for ours, theirs in names.items()} for row in told
    }
