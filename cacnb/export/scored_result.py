"""What `cacnb score` and `cacnb run` wrote of a scan, read back; it does not know DICOM objects."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cacnb.ct.reading import read_image, read_mask
from cacnb.ct.series import Series, find_series
from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.study.cohort import read_cohort

#: What is asked of the scores of a method.
_SCORES = ("volume_mm3", "pseudo_mass_hu_mm3", "risk_category", "mass_mg")
_LESION = ("lesion", "volume_mm3", "pseudo_mass_hu_mm3", "peak_hu", "z_mm", "y_mm", "x_mm")


@dataclass(frozen=True)
class ResultFile:
    """A scan's result file; `scan_path` is where a study keeps the scan, None where none says."""

    scan: str
    file: Path
    scan_path: Path | None = None


@dataclass(frozen=True)
class ScoredResult:
    """A scan's scores and lesions, and where its images and the scan itself lie.

    `proposed` and `clinical` are the objects of `cacnb score --json`; `lesions` the proposed
    method's. `series_uid` is None where the scan was an image file.
    """

    scan: str
    folder: Path
    scan_path: Path
    series_uid: str | None
    weights: Mapping[str, Any]
    proposed: Mapping[str, Any]
    clinical: Mapping[str, Any]
    lesions: Sequence[Mapping[str, Any]]

    def image(self, what: str) -> Volume:
        """`cac_map` in HU or `heart`, slices 1.5 mm apart; raises as `read_image`."""
        return read_image(self._file(what))

    def clinical_mask(self, like: Volume) -> Volume:
        """The voxels that the clinical score counts, on the scan's grid; raises as `read_mask`."""
        return read_mask(self._file("clinical"), like, may_be_empty=True)

    def _file(self, what: str) -> Path:
        file = self.folder / f"{self.scan}.{what}.nii.gz"
        if not file.is_file():
            raise InputError(
                "missing_image",
                f"{file} is not there, the image that was written beside the result was wanted: "
                "score the scan again",
            )
        return file


def find_results(scored: Path, wanted: Sequence[str] = ()) -> list[ResultFile]:
    """The results at a path: a result's JSON, a folder of results, or a study with `scores`.

    Parameters
    ----------
    wanted
        Only these scans, in the order of the folder; all where none is named.

    Raises
    ------
    InputError
        `missing` where there is no such path or scan, `not_scored` where no result is there.
    """
    if not scored.exists():
        raise InputError("missing", f"{scored} does not exist: check the path")
    if scored.is_file():
        found = [ResultFile(scored.stem, scored, _kept_scans(scored.parent).get(scored.stem))]
    else:
        study = scored if (scored / "cohort.csv").is_file() else None
        folder = scored if study is None else scored / "scores"
        kept = _kept_scans(folder)
        files = {f.stem: f for f in sorted(folder.glob("*.json")) if study or _may_be_result(f)}
        names = files if study is None else [name for name in kept if name in files]
        found = [ResultFile(name, files[name], kept.get(name)) for name in names]
    if wanted:
        absent = sorted(set(wanted) - {one.scan for one in found})
        if absent:
            raise InputError(
                "missing", f"{scored} has no result of a scan {absent[0]!r}: score it first"
            )
        found = [one for one in found if one.scan in wanted]
    if not found:
        raise InputError(
            "not_scored",
            f"{scored} holds no result of `cacnb score` or `cacnb run`: score its scans first",
        )
    return found


def read_result(of: ResultFile) -> ScoredResult:
    """A scan's result.

    Raises
    ------
    InputError
        `damaged_result` where the file is not whole, `no_scores` where the scan was refused.
    """
    try:
        told = json.loads(of.file.read_text(encoding="utf-8"))
        verdict, reasons = told["verdict"], [str(reason["code"]) for reason in told["reasons"]]
        if verdict == "refused":
            raise InputError(
                "no_scores",
                f"{of.scan} was refused ({', '.join(reasons)}) and has no scores to export",
            )
        scores = {method: told[method] for method in ("proposed", "clinical")}
        lists = [told["lesions"], scores["clinical"]["lesions"]]
        _require(told["scan"] == of.scan)
        _require(all(key in scores[m] for key in _SCORES for m in scores))
        _require("agatston_adjusted" in scores["proposed"] and "agatston" in scores["clinical"])
        _require("convention" in scores["clinical"] and "threshold_hu" in scores["clinical"])
        _require(all(key in lesion for lesions in lists for lesion in lesions for key in _LESION))
        return ScoredResult(
            scan=of.scan,
            folder=of.file.parent,
            scan_path=of.scan_path or Path(told["path"]),
            series_uid=told["series_uid"],
            weights={"name": "", "sha256": "", **told["weights"]},
            proposed=scores["proposed"],
            clinical=scores["clinical"],
            lesions=lists[0],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            "damaged_result",
            f"{of.file} is damaged or no result of `cacnb score`, a whole one was wanted: score "
            "the scan again",
        ) from error


def find_scored_series(result: ScoredResult) -> Series:
    """The DICOM series that was scored, where the result says that it was; no pixel is read.

    Raises
    ------
    InputError
        `not_dicom` where the scan was an image file, `missing_scan`, `other_series`.
    """
    path = result.scan_path
    if result.series_uid is None:
        raise InputError(
            "not_dicom",
            f"{result.scan} was scored from an image file, a DICOM series was wanted for results "
            "to belong to: score the series (`cacnb study add --keep-dicom` keeps it in a study)",
        )
    if not path.exists():
        raise InputError(
            "missing_scan",
            f"the scan of {result.scan} is no longer at {path}: put it back, call from the folder "
            "where it was scored, or score it again",
        )
    fit = [s for s in find_series([path]).series if s.verdict != "refused"]
    same = [series for series in fit if series.series_uid == result.series_uid]
    if len(same) != 1:
        raise InputError(
            "other_series",
            f"{path} no longer holds the one series that {result.scan} was scored from: put it "
            "back or score the scan again",
        )
    return same[0]


def _kept_scans(folder: Path) -> dict[str, Path]:
    """Where a study keeps its scans, by name; empty where the folder is no study's `scores`."""
    study = folder.parent
    if folder.name != "scores" or not (study / "cohort.csv").is_file():
        return {}
    cohort = read_cohort(study, leaks=True)
    return {str(row.scan): study / str(row.path) for row in cohort.itertuples()}


def _may_be_result(file: Path) -> bool:
    """Whether a JSON file is a result or too damaged to say; another's JSON is neither."""
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return True
    return isinstance(told, dict) and {"scan", "verdict"} <= told.keys()


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError("the result is not whole")
