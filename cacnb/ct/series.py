"""Series below paths, each with its verdict, from headers alone; it does not know a single pixel.

Files in are files accounted for: each stands in one series or in `unread`. DICOM objects that are
not CT images (RTSTRUCT, RTPLAN, SEG, SR) are series refused as `not_ct`; CT objects without pixels
are refused as `no_pixels`; a multi-frame file is a series of its own, refused as `multiframe`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cacnb.ct.archives import Unpacked, unpack
from cacnb.ct.dicom_checks import protocol_reasons, slice_reasons
from cacnb.ct.dicom_headers import SliceHeader, quiet_pydicom, read_header
from cacnb.ct.geometry import spacing_zyx
from cacnb.ct.image_headers import is_image, quiet_itk, read_image_header
from cacnb.ct.slice_stack import stack
from cacnb.ct.verdict import Reason, Verdict, verdict_of

#: What stood where a series was looked for: (file, its name for people, the archive it came from).
_Found = tuple[Path, Path, Unpacked | None]


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
            "reasons": [{"code": r.code, "message": r.message} for r in self.reasons],
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


def find_series(paths: Sequence[Path]) -> Inspection:
    """Every series below files, folders and zips, in the order of their paths.

    Folders are walked to the bottom and zips unpacked into a temporary folder that lives as long
    as one of their series. Only headers are read. Never raises for what a file holds: that stands
    in the verdicts and in `unread`.

    Example
    -------
    >>> find_series([Path("nowhere")]).unread[0].code
    'missing'
    """
    series: list[Series] = []
    unread: list[Unread] = []
    groups: dict[tuple[object, ...], list[tuple[SliceHeader, _Found]]] = {}
    companions: set[Path] = set()
    others: list[_Found] = []
    with quiet_pydicom(), quiet_itk():
        for found in _files_below(paths, unread):
            file, name, archive = found
            try:
                if is_image(file) and not _is_special(file):
                    series.append(_image_series(found))
                    companions.update(series[-1].files[1:])
                    continue
                header = None if _is_special(file) else read_header(file)
            except (ValueError, OSError) as error:
                unread.append(_unreadable(name, error))
                continue
            if header is None:
                others.append(found)
            else:
                groups.setdefault(_group_of(header, archive), []).append((header, found))
    series.extend(_dicom_series(group) for group in groups.values())
    unread.extend(_not_an_image(*found[:2]) for found in others if found[0] not in companions)
    return Inspection(
        tuple(sorted(series, key=lambda one: (str(one.path), one.series_uid or ""))),
        tuple(sorted(unread, key=lambda one: str(one.path))),
    )


def _files_below(paths: Sequence[Path], unread: list[Unread]) -> Iterator[_Found]:
    """Every file once, sorted, archives unpacked; what cannot be entered goes to `unread`."""
    seen: set[str] = set()
    for path in paths:
        for file in _walk(Path(path), unread):
            if (real := os.path.realpath(file)) in seen:
                continue
            seen.add(real)
            if file.suffix.lower() != ".zip":
                yield file, file, None
                continue
            try:
                archive = unpack(file)
            except (ValueError, OSError) as error:
                unread.append(_unreadable(file, error, code="undecodable"))
                continue
            unread.extend(Unread(file / member, *why) for member, *why in archive.left_out)
            if not archive.members and not archive.left_out:
                unread.append(Unread(file, "empty", "the archive holds no files"))
            for inner in sorted(archive.members):
                yield inner, file / archive.members[inner], archive


def _walk(path: Path, unread: list[Unread]) -> Iterator[Path]:
    if path.is_dir():

        def note(error: OSError) -> None:
            unread.append(_unreadable(Path(error.filename), error))

        for folder, folders, names in os.walk(path, onerror=note):
            folders.sort()
            yield from (Path(folder, name) for name in sorted(names))
    elif path.exists() or path.is_symlink():
        yield path
    else:
        unread.append(
            Unread(path, "missing", "nothing stands at this path, a scan was wanted: check it")
        )


def _is_special(path: Path) -> bool:
    """Whether a path is a pipe, socket or device: opening one may wait for ever."""
    return path.exists() and not path.is_file()


def _group_of(header: SliceHeader, archive: Unpacked | None) -> tuple[object, ...]:
    """Files with equal keys are one series; a multi-frame file is one by itself."""
    if header.frames > 1:
        return id(archive), header.path
    return id(archive), header.series_uid or header.path.parent, header.modality


def _dicom_series(group: list[tuple[SliceHeader, _Found]]) -> Series:
    headers = [header for header, _ in group]
    names = [name for _, (_, name, _) in group]
    archive = group[0][1][2]
    reasons = slice_reasons(headers)
    affine = None
    if not any(reason.code in ("not_ct", "no_pixels", "multiframe") for reason in reasons):
        ordered, affine, geometry = stack(headers)
        headers, reasons = list(ordered), reasons + geometry
    if affine is not None:
        codes = {reason.code for reason in reasons}
        reasons += tuple(r for r in protocol_reasons(headers) if r.code not in codes)
    first = headers[0]
    if archive is not None:
        path = next(p for p in names[0].parents if p.is_file())
    elif len(names) == 1:
        path = names[0]
    else:
        path = Path(os.path.commonpath([name.parent for name in names]))
    return Series(
        path=path,
        files=tuple(header.path for header in headers),
        series_uid=first.series_uid,
        slices=sum(header.frames for header in headers if header.has_pixels),
        spacing_mm=None if affine is None else spacing_zyx(affine),
        reasons=reasons,
        kvp=first.kvp,
        slice_thickness_mm=first.thickness_mm,
        archive=archive,
    )


def _image_series(found: _Found) -> Series:
    file, name, archive = found
    header = read_image_header(file)
    return Series(
        path=name,
        files=header.files,
        series_uid=None,
        slices=header.slices,
        spacing_mm=None if header.affine is None else spacing_zyx(header.affine),
        reasons=header.reasons,
        archive=archive,
    )


def _unreadable(path: Path, error: Exception, code: str = "") -> Unread:
    if isinstance(error, OSError):
        reason = error.strerror or "it cannot be opened"
        return Unread(path, code or "unreadable", f"the file cannot be read ({reason}): check it")
    return Unread(path, code or "undecodable", f"{error}: copy or send the file again")


def _not_an_image(file: Path, name: Path) -> Unread:
    if file.is_file() and file.stat().st_size == 0:
        return Unread(name, "empty_file", "the file is empty: copy or send it again")
    if file.suffix.lower() in (".dcm", ".dicom", ".ima"):
        return Unread(
            name,
            "undecodable",
            "the file is named as DICOM and does not begin as DICOM: copy or send it again",
        )
    return Unread(
        name,
        "not_an_image",
        "the file is neither DICOM nor NIfTI, NRRD or MHA, and was passed over",
    )
