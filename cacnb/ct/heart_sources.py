"""Which files may hold the heart of which series; it opens none to the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cacnb.ct.heart_masks import frame_and_uid
from cacnb.ct.image_headers import IMAGE_ENDINGS, is_image
from cacnb.ct.mask_objects import MaskObject, mask_object
from cacnb.ct.series import Inspection, Series
from cacnb.ct.totalsegmentator import NAME, require_totalsegmentator
from cacnb.errors import InputError


@dataclass(frozen=True)
class HeartSources:
    """Where hearts may be found for the series of an inspection.

    Parameters
    ----------
    objects
        RTSTRUCT and DICOM SEG files: they say themselves which series they are of.
    images
        Mask images of a folder: matched by their names.
    given
        The one file, or word, that was given for the one scan.
    names
        What may stand in a mask's name, for each series; a name of two series is none.
    """

    objects: tuple[MaskObject, ...]
    images: tuple[Path, ...]
    given: Path | None
    names: dict[Series, frozenset[str]]

    def of(self, series: Series) -> tuple[Path, ...]:
        """The files that may hold the heart of a series."""
        if self.given is not None:
            return (self.given,)
        frame, uid = frame_and_uid(series)
        named = [file for file in self.images if _keys_of(file) & self.names.get(series, set())]
        drawn = [found.path for found in self.objects if found.may_belong_to(uid, frame)]
        return tuple(dict.fromkeys([*named, *drawn]))


def is_mask_series(series: Series) -> bool:
    """Whether a series is of RTSTRUCT or SEG files: no scan, but looked into for a heart."""
    return (
        any(reason.code == "not_ct" for reason in series.reasons)
        and not is_image(series.files[0])
        and mask_object(series.files[0]) is not None  # the first speaks for a series of one kind
    )


def heart_sources(found: Inspection, heart: Path | None) -> HeartSources:
    """The sources of hearts for what was found, and beside it a file or folder that was given.

    Raises
    ------
    InputError
        `missing`; `no_totalsegmentator`; `several_scans` where one mask image came for more than
        one scan.
    """
    fit = [series for series in found.series if series.verdict != "refused"]
    files = [file for series in found.series if is_mask_series(series) for file in series.files]
    images: list[Path] = []
    given = None
    if heart is not None and not (heart == Path(NAME) and not heart.exists()):
        if not heart.exists():
            raise InputError("missing", f"{heart} does not exist: check the path of --heart")
        below = sorted(heart.rglob("*")) if heart.is_dir() else [heart]
        images = [file for file in below if file.is_file() and is_image(file)]
        files += [file for file in below if file.is_file() and not is_image(file)]
        if images == [heart]:
            given = heart
            if len(fit) > 1:
                raise InputError(
                    "several_scans",
                    f"--heart is one scan's mask, {len(fit)} scans came: give a folder of masks "
                    "named as the scans are, or add one scan at a time",
                )
    elif heart is not None:
        require_totalsegmentator()
        given = heart
    objects = [told for file in dict.fromkeys(files) if (told := mask_object(file))]
    return HeartSources(tuple(objects), tuple(images), given, _names(fit))


def _names(series: Sequence[Series]) -> dict[Series, frozenset[str]]:
    keys = {one: {_stem(one.path), one.series_uid or ""} - {""} for one in series}
    for one, own in keys.items():
        if one.path.is_file():  # ct.nii.gz of every patient in a folder of their own
            own.add(one.path.parent.name)
    times = Counter(key for own in keys.values() for key in own)
    return {one: frozenset(key for key in own if times[key] == 1) for one, own in keys.items()}


def _keys_of(mask: Path) -> set[str]:
    """What a mask file may be named after: its own stem less `heart`, or for `heart` its folder."""
    stem = _stem(mask)
    if stem.lower() in ("heart", "mask", "heart_mask"):
        return {mask.parent.name}
    for tail in ("_heart", "-heart", ".heart", "_mask", "_heart_mask"):
        if stem.lower().endswith(tail):
            return {stem, stem[: -len(tail)]}
    return {stem}


def _stem(path: Path) -> str:
    name = path.name
    for ending in (*sorted(IMAGE_ENDINGS, key=len, reverse=True), ".zip"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name
