"""One scored scan to DICOM files for the archive, all of them or none; it does not print.

File names are the result's name, never anything of a header.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cacnb.ct.grids import SLICE_GRID_MM
from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.export.dicom_source import DicomSource, encoded, or_undecodable, read_source
from cacnb.export.measurement_report import measurement_report
from cacnb.export.parametric_map import parametric_map
from cacnb.export.scored_result import ResultFile, ScoredResult, find_scored_series, read_result
from cacnb.export.scored_segments import scored_segments
from cacnb.files import write_atomically

Target = Literal["seg", "map", "sr"]

#: What can be written of a scan: Segmentation, Parametric Map, structured report.
TARGETS: tuple[Target, ...] = ("seg", "map", "sr")


@dataclass(frozen=True)
class Exported:
    """The files that were written of a scan, and what there was nothing to write for."""

    scan: str
    files: dict[Target, Path]
    without_calcium: tuple[Target, ...] = ()


def export_scan(
    of: ResultFile, targets: Sequence[Target], out: Path, *, replace: bool = False
) -> Exported:
    """Write a scan's results as `<scan>.seg.dcm`, `<scan>.map.dcm` and `<scan>.sr.dcm`.

    A map without calcium makes no file. A report refers to the Segmentation of the same call.

    Raises
    ------
    InputError
        `exists` where a file is there and `replace` is not asked for; `not_dicom`, `missing_scan`,
        `other_series`, `undecodable`, `damaged_result`, `no_scores`, `missing_image`,
        `different_grid`, `cannot_write`. Then nothing is written.
    """
    wanted = [target for target in TARGETS if target in targets]
    paths = {target: out / f"{of.scan}.{target}.dcm" for target in wanted}
    there = [path for path in paths.values() if path.exists()]
    if there and not replace:
        raise InputError(
            "exists",
            f"{there[0]} is there already: --replace writes it anew, or choose another --out",
        )
    result = read_result(of)
    series = find_scored_series(result)  # holds an archive's unpacked files until the end
    source = read_source(series)
    made = _made(result, source, wanted)
    with or_undecodable(series):
        contents = {target: encoded(dataset) for target, dataset in made.items()}
    _write_all({paths[target]: content for target, content in contents.items()})
    for target in paths.keys() - contents.keys():
        paths[target].unlink(missing_ok=True)  # of an earlier result, which had calcium
    return Exported(
        of.scan,
        {target: paths[target] for target in contents},
        tuple(target for target in wanted if target not in contents),
    )


def _made(result: ScoredResult, source: DicomSource, wanted: Sequence[Target]) -> dict[Target, Any]:
    made: dict[Target, Any] = {}
    cac_map, segments = None, None
    if "seg" in wanted or "map" in wanted:
        cac_map = result.image("cac_map")
        _require_of_scan(cac_map, source, result.scan)
    if cac_map is not None and "seg" in wanted:
        heart = result.image("heart")
        _require_of_scan(heart, source, result.scan)
        segments = scored_segments(result, cac_map, heart, source)
        made["seg"] = segments.dataset
    if cac_map is not None and "map" in wanted and cac_map.array.any():
        made["map"] = parametric_map(cac_map, source)
    if "sr" in wanted:
        made["sr"] = measurement_report(result, source, segments)
    return made


def _require_of_scan(image: Volume, source: DicomSource, scan: str) -> None:
    """Refuse an image that does not stand on the scan's in-plane grid, over its slices."""
    grid = source.grid
    slices = max(round(grid.shape[0] * grid.spacing_mm[0] / SLICE_GRID_MM[0]), 1)
    values = np.broadcast_to(np.False_, (slices, *grid.shape[1:]))
    middle = grid.origin_mm[0] + grid.spacing_mm[0] * (grid.shape[0] - 1) / 2
    lowest = middle - SLICE_GRID_MM[0] * (slices - 1) / 2
    wanted = Volume(values, (SLICE_GRID_MM[0], *grid.spacing_mm[1:]), (lowest, *grid.origin_mm[1:]))
    if not wanted.same_grid(image):
        raise InputError(
            "different_grid",
            f"an image of {scan} is of another grid than the scan's: score the scan again",
        )


def _write_all(contents: dict[Path, bytes]) -> None:
    """Write every file; where one cannot be written, those before it that are new are removed."""
    new: list[Path] = []
    try:
        for path, content in contents.items():
            is_new = not path.exists()
            write_atomically(content, path)
            if is_new:
                new.append(path)
    except InputError:
        for path in new:
            path.unlink(missing_ok=True)
        raise
