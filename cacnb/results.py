"""Where scores live on disk: which scans to score, what is written of each; it scores nothing."""

from __future__ import annotations

import json
from pathlib import Path

from cacnb.ct.grids import resample_onto
from cacnb.ct.reading import read_image, read_mask, read_scan
from cacnb.ct.writing import write_image
from cacnb.errors import InputError, UsageError
from cacnb.export.lesion_table import write_lesions_csv
from cacnb.files import write_atomically
from cacnb.scoring.scored_scan import ScoredImages, ScoredScan
from cacnb.study.cohort import read_cohort

#: What `write_results` writes of a scan, the result that vouches for the others first.
RESULT_ENDINGS = (".json", ".cac_map.nii.gz", ".heart.nii.gz", ".clinical.nii.gz", ".lesions.csv")

#: Endings that are not part of a scan's name.
IMAGE_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".zip")


def named_scans(paths: list[Path], study: Path | None) -> list[tuple[str, Path]]:
    """Names and paths of the scans to score: paths as given, or scans of a study (all, or by name).

    Raises
    ------
    UsageError, InputError
        Where neither came, or a scan or study is not there.
    """
    if study is None:
        if not paths:
            raise UsageError("no scan came: give the path of one, or --study")
        for path in paths:
            if not path.exists():
                raise InputError("missing", f"{path} does not exist: check the path")
        return _unique([(_stem(path), path) for path in paths])
    cohort = read_cohort(study)
    listed = [(str(row.scan), study / str(row.path)) for row in cohort.itertuples()]
    if not paths:
        return listed
    wanted = {str(path) for path in paths}
    missing = wanted - {name for name, _ in listed}
    if missing:
        raise InputError(
            "missing",
            f"{study} has no scan {sorted(missing)[0]!r}: see the scans in its cohort.csv",
        )
    return [(name, path) for name, path in listed if name in wanted]


def write_results(scan: ScoredScan, folder: Path) -> None:
    """Write one scan's scores as JSON, and where it was scored its images and lesion table.

    The images: CAC map (HU) and heart on the map's grid, the voxels that clinical scoring counts on
    the scan's. The JSON comes last: where it stands, the rest does.
    """
    content = {"scan": scan.name, **scan.as_json()}
    if scan.proposed is not None and scan.cac_map is not None and scan.heart is not None:
        write_image(scan.cac_map, folder / f"{scan.name}.cac_map.nii.gz")
        write_image(scan.heart, folder / f"{scan.name}.heart.nii.gz")
        if scan.clinical is not None:
            counted = scan.clinical.lesion_labels.array > 0
            labels = scan.clinical.lesion_labels.with_array(counted)
            write_image(labels, folder / f"{scan.name}.clinical.nii.gz")
        write_lesions_csv(scan, folder / f"{scan.name}.lesions.csv")
    write_atomically(json.dumps(content, indent=1, allow_nan=False), folder / f"{scan.name}.json")


def read_images(study: Path, name: str, path: Path) -> ScoredImages | None:
    """The images of a study's scored scan, to be shown; None where one of them is missing.

    `path` is the scan's. Raises InputError as `read_scan` and `read_image`.
    """
    folder = study / "scores"
    files = {what: folder / f"{name}.{what}.nii.gz" for what in ("cac_map", "heart", "clinical")}
    if not all(file.is_file() for file in files.values()):
        return None
    cac_map, heart = read_image(files["cac_map"]), read_image(files["heart"])
    _, volume = read_scan(path)
    counted = read_mask(files["clinical"], volume, may_be_empty=True)
    return ScoredImages(
        resample_onto(volume, cac_map), heart.with_array(heart.array > 0), cac_map,
        resample_onto(counted, cac_map),
    )  # fmt: skip


def _stem(path: Path) -> str:
    name = path.resolve().name
    for ending in IMAGE_ENDINGS:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def _unique(named: list[tuple[str, Path]]) -> list[tuple[str, Path]]:
    """Number the names that come twice, so that no result overwrites another."""
    seen: dict[str, int] = {}
    out = []
    for name, path in named:
        seen[name] = seen.get(name, 0) + 1
        out.append((name if seen[name] == 1 else f"{name}-{seen[name]}", path))
    return out
