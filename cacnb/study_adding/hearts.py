"""The heart mask of an added scan, and what its voxels tell against it; it writes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cacnb.ct.heart import great_vessels_contrast, judge_heart
from cacnb.ct.heart_masks import read_heart
from cacnb.ct.image_headers import is_image
from cacnb.ct.mask_objects import mask_object
from cacnb.ct.reading import SOME_AIR_HU
from cacnb.ct.series import Series
from cacnb.ct.verdict import Reason
from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.study_adding.plan import Adding


def find_heart(
    plan: Adding, series: Series, volume: Volume
) -> tuple[Volume | None, str, tuple[Reason, ...]]:
    """The one heart mask found for a scan, the kind of its source, and what is doubtful."""
    hearts: list[tuple[Volume, str]] = []
    reasons: list[Reason] = []
    for path in plan.hearts.of(series):
        try:
            heart = read_heart(path, volume, series=series, structure=plan.structure)
        except InputError as error:
            reasons.append(Reason(error.code, f"heart mask: {error.message}", "warn"))
            continue
        hearts.append((heart, _kind(path)))
    if len(hearts) > 1:
        same = all(np.array_equal(hearts[0][0].array, other.array) for other, _ in hearts[1:])
        if not same:
            reasons.append(
                Reason(
                    "several_masks",
                    f"{len(hearts)} files hold a heart of this scan, and they differ: one was "
                    "wanted, none was taken; give it with --heart",
                    "warn",
                )
            )
            hearts = []
    if not hearts:
        return None, "", tuple(reasons)
    heart, kind = hearts[0]
    doubts = judge_heart(volume, heart)
    if any(reason.code == "no_heart" for reason in doubts):
        reasons += [Reason(r.code, f"heart mask: {r.message}", "warn") for r in doubts]
        return None, "", tuple(reasons)
    cut = [Reason(r.code, r.message, "warn") for r in doubts if r.code == "heart_truncated"]
    contrast = [reason for reason in doubts if reason.code == "contrast"]
    return heart, kind, (*reasons, *cut, *contrast)


def unfit(volume: Volume, heart: Volume | None) -> tuple[Reason, ...]:
    """What only the voxels tell against a scan."""
    if volume.array.min() >= SOME_AIR_HU:
        return (
            Reason(
                "not_hu",
                f"no voxel is below {SOME_AIR_HU:g} HU, a scan with air or lung was wanted: give a "
                "mask with --heart, not as a scan",
            ),
        )
    enhanced = great_vessels_contrast(volume) if heart is None else None
    return () if enhanced is None else (enhanced,)


def _kind(path: Path) -> str:
    if not path.exists():
        return path.name
    found = None if is_image(path) or path.is_dir() else mask_object(path)
    return found.kind if found else "image"
