"""Series below paths, each with its verdict, from headers alone; it does not know a single pixel.

Files in are files accounted for: each stands in one series or in `unread`. DICOM objects that are
not CT images (RTSTRUCT, RTPLAN, SEG, SR) are series refused as `not_ct`; CT objects without pixels
are refused as `no_pixels`; a multi-frame file is a series of its own; what one series UID holds of
several volumes is one series a volume.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cacnb.ct.archives import Unpacked
from cacnb.ct.dicom_checks import (
    ENHANCED_CLASSES,
    not_enhanced,
    protocol_reasons,
    slice_reasons,
)
from cacnb.ct.dicom_headers import SliceHeader
from cacnb.ct.enhanced import frames_of
from cacnb.ct.found_files import Found, files_below, why
from cacnb.ct.geometry import Affine, spacing_zyx
from cacnb.ct.header_reading import Progress, read_headers
from cacnb.ct.image_headers import is_image, quiet_itk, read_image_header
from cacnb.ct.one_volume import parts_of
from cacnb.ct.slice_stack import stack
from cacnb.ct.verdict import Reason, Verdict, verdict_of


@dataclass(frozen=True)
class Series:
    """One scan as files on disk, and what its headers say against scoring it.

    Parameters
    ----------
    path
        The file, or the folder or zip that holds all files of the series.
    files
        In order along the slice normal from feet to head; an image file stands alone, or before
        the file of voxels that it names.
    slices
        Slices of the scan; for a multi-frame file its frames.
    spacing_mm
        Distance between voxel centres (z, y, x), or None where the headers do not make a grid.
    """

    path: Path
    files: tuple[Path, ...]
    series_uid: str | None
    slices: int
    spacing_mm: tuple[float, float, float] | None
    reasons: tuple[Reason, ...]
    kvp: float | None = None
    slice_thickness_mm: float | None = None
    archive: Unpacked | None = field(default=None, repr=False, compare=False)

    @property
    def verdict(self) -> Verdict:
        """Usable, warned or refused, by the reasons."""
        return verdict_of(self.reasons)

    def as_json(self) -> dict[str, object]:
        """The series as `cacnb inspect --json` prints it; `files` is their number."""
        return {
            "path": str(self.path),
            "series_uid": self.series_uid,
            "files": len(self.files),
            "slices": self.slices,
            "spacing_mm": None if self.spacing_mm is None else list(self.spacing_mm),
            "verdict": self.verdict,
            "reasons": [
                {"code": r.code, "message": r.message, "severity": r.severity} for r in self.reasons
            ],
        }


@dataclass(frozen=True)
class Unread:
    """A file or path that belongs to no series, and why."""

    path: Path
    code: str
    message: str

    def as_json(self) -> dict[str, str]:
        """The file as `cacnb inspect --json` prints it."""
        return {"path": str(self.path), "code": self.code, "message": self.message}


@dataclass(frozen=True)
class Inspection:
    """Every series below the paths that were asked for, and every file that is in none."""

    series: tuple[Series, ...]
    unread: tuple[Unread, ...]

    def as_json(self) -> dict[str, object]:
        """The object that `cacnb inspect --json` prints."""
        return {
            "series": [series.as_json() for series in self.series],
            "unread": [unread.as_json() for unread in self.unread],
        }


def find_series(paths: Sequence[Path], on_progress: Progress | None = None) -> Inspection:
    """Every series below files, folders and archives, in the order of their paths.

    Folders are walked to the bottom; zips and tars, and those in them, are unpacked into a
    temporary folder that lives as long as one of their series. Only headers are read. Never raises
    for what a file holds: that stands in the verdicts and in `unread`. `on_progress` is called with
    the number of headers read, of all, and what is being done.

    Example
    -------
    >>> find_series([Path("nowhere")]).unread[0].code
    'missing'
    """
    series: list[Series] = []
    unread: list[Unread] = []
    images: list[Found] = []
    others: list[Found] = []
    for found in files_below(paths, lambda *what: unread.append(Unread(*what))):
        (images if found.is_regular and is_image(found.file) else others).append(found)
    with quiet_itk():
        for found in images:
            try:
                series.append(_image_series(found))
            except (ValueError, OSError) as error:
                unread.append(_unreadable(found, error))
    companions = {file for one in series for file in one.files[1:]}
    regular = [found for found in others if found.is_regular]
    unread.extend(_not_an_image(found) for found in others if not found.is_regular)
    groups: dict[tuple[object, ...], list[tuple[SliceHeader, Found]]] = {}
    for found, read in zip(
        regular, read_headers([one.file for one in regular], on_progress), strict=True
    ):
        if isinstance(read, SliceHeader):
            groups.setdefault(_group_of(read, found.archive), []).append((read, found))
        elif read is None:
            if found.file not in companions:
                unread.append(_not_an_image(found))
        else:
            unread.append(_unreadable(found, read))
    for group in groups.values():
        series.extend(_dicom_series(group))
    return Inspection(
        tuple(sorted(series, key=lambda one: (str(one.path), one.series_uid or ""))),
        tuple(sorted(unread, key=lambda one: str(one.path))),
    )


def _group_of(header: SliceHeader, archive: Unpacked | None) -> tuple[object, ...]:
    """Files with equal keys stand under one series UID; a multi-frame file is one by itself."""
    if header.frames > 1 or header.sop_class in ENHANCED_CLASSES:
        return id(archive), header.path
    return id(archive), header.series_uid or header.path.parent, header.modality


def _dicom_series(group: list[tuple[SliceHeader, Found]]) -> Iterator[Series]:
    """One series for every volume of files under one series UID, all with the path of the whole."""
    names, archive = [found.name for _, found in group], group[0][1].archive
    if archive is not None:
        path = archive.name
    elif len(names) == 1:
        path = names[0]
    else:
        path = Path(os.path.commonpath([name.parent for name in names]))
    for part in parts_of([header for header, _ in group]):
        headers, affine, reasons = judged(part.headers)
        first = headers[0]
        yield Series(
            path=path,
            files=tuple(dict.fromkeys(header.path for header in headers)),
            series_uid=first.series_uid,
            slices=sum(header.frames for header in part.headers if header.has_pixels),
            spacing_mm=None if affine is None else spacing_zyx(affine),
            reasons=(*reasons, *part.reasons),
            kvp=first.kvp,
            slice_thickness_mm=first.thickness_mm,
            archive=archive,
        )


def judged(
    headers: Sequence[SliceHeader],
) -> tuple[Sequence[SliceHeader], Affine | None, tuple[Reason, ...]]:
    """Slices of one volume in order, the grid that they make, and what is against scoring them.

    The frames of an enhanced file take its place. The grid is None where there is none.
    """
    first = headers[0]
    if first.frames > 1 or first.sop_class in ENHANCED_CLASSES:
        try:
            headers = frames_of(first)
        except (ValueError, OSError):
            return headers, None, (*slice_reasons(headers, rescaled=False), not_enhanced(first))
    reasons = slice_reasons(headers)
    if any(reason.code in ("not_ct", "no_pixels") for reason in reasons):
        return headers, None, reasons
    ordered, affine, geometry = stack(headers)
    reasons += geometry
    if affine is not None:
        codes = {reason.code for reason in reasons}
        reasons += tuple(r for r in protocol_reasons(ordered) if r.code not in codes)
    return ordered, affine, reasons


def _image_series(found: Found) -> Series:
    header = read_image_header(found.file)
    return Series(
        path=found.name,
        files=header.files,
        series_uid=None,
        slices=header.slices,
        spacing_mm=None if header.affine is None else spacing_zyx(header.affine),
        reasons=header.reasons,
        archive=found.archive,
    )


def _unreadable(found: Found, error: ValueError | OSError) -> Unread:
    if isinstance(error, OSError):
        return Unread(found.name, "unreadable", why(error))
    return Unread(found.name, "undecodable", f"{error}: copy or send the file again")


def _not_an_image(found: Found) -> Unread:
    if not found.is_regular:
        if found.name.is_symlink() and not found.name.exists():
            return Unread(found.name, "unreadable", "the link leads nowhere: check it")
    elif found.file.stat().st_size == 0:
        return Unread(found.name, "empty_file", "the file is empty: copy or send it again")
    elif found.file.suffix.lower() in (".dcm", ".dicom", ".ima"):
        return Unread(
            found.name,
            "undecodable",
            "the file is named as DICOM and does not begin as DICOM: copy or send it again",
        )
    return Unread(
        found.name,
        "not_an_image",
        "the file is neither DICOM nor NIfTI, NRRD or MHA, and was passed over",
    )
