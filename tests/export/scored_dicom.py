"""DICOM scans with results as `cacnb score` writes them, and readers of what is exported."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest

from cacnb.ct.dicom_headers import quiet_pydicom
from cacnb.ct.grids import resample
from cacnb.ct.reading import read_scan
from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_dicom_series
from cacnb.results import write_results
from cacnb.scoring.clinical import score_clinically
from cacnb.scoring.conventions import convention
from cacnb.scoring.proposed import score_map
from cacnb.scoring.scored_scan import ScoredScan

#: What dciodvfy calls the objects that are exported.
KINDS = ("Segmentation", "ParametricMap", "ComprehensiveSR")

WEIGHTS = {"name": "demo", "sha256": "0123456789abcdef" * 4, "trained_on": "96 simulated scans"}

#: Where lesions of the map lie, as shares of the grid (z, y, x), their voxels and their artery.
LESIONS = (
    ((0.3, 0.3, 0.3), (3, 2, 4), "LAD"),
    ((0.3, 0.6, 0.7), (1, 3, 2), "LAD"),
    ((0.5, 0.5, 0.3), (2, 4, 1), "RCA"),
    ((0.7, 0.4, 0.6), (4, 1, 3), None),
)

#: Who the planted patient is: nothing of it may be told. highdicom warns of a name of one part, and
#: quotes it.
PLANTED = {"PatientName": "Hidden Patient", "PatientID": "4711-secret", "AccessionNumber": "A99"}


def chest(step_mm: float = 3.0, slices: int = 24) -> Volume:
    """Lung and soft tissue with noise and three bright spots, different along every axis."""
    hu = np.random.default_rng(5).normal(-300, 100, (slices, 20, 28))
    for z, y, x in ((6, 5, 7), (7, 12, 20), (15, 9, 11)):
        hu[z : z + 2, y : y + 3, x : x + 2] = 300 + 10 * z
    return Volume(hu.astype(np.float32), (step_mm, 0.8, 0.7), (-100.0, -60.5, 20.25))


def planted_series(
    folder: Path, step_mm: float = 3.0, slices: int = 24, orientation: list[float] | None = None
) -> Path:
    """A chest of the planted patient as DICOM, in another order and orientation where asked."""
    files = write_dicom_series(chest(step_mm, slices), folder, slice_thickness_mm=step_mm)
    for number, file in enumerate(files):
        slice_ = pydicom.dcmread(file)
        for keyword, value in PLANTED.items():
            setattr(slice_, keyword, value)
        if orientation is not None:
            slice_.ImageOrientationPatient = orientation
            slice_.InstanceNumber = 1000 - number
        slice_.save_as(file)
    return folder


def score(
    path: Path,
    folder: Path,
    name: str = "scan",
    *,
    lesions: tuple = LESIONS,
    threshold_hu: float | None = None,
) -> Path:
    """Results of a scan with the lesions in its map, as `cacnb score` writes them; their JSON."""
    series, volume = read_scan(path)
    image = resample(volume, (1.5, *volume.spacing_mm[1:]))
    rng = np.random.default_rng(7)
    map_hu = np.zeros(image.shape, np.float32)
    for share, size, _ in lesions:
        first = [int(part * n) for part, n in zip(share, image.shape, strict=True)]
        at = tuple(slice(k, k + n) for k, n in zip(first, size, strict=True))
        map_hu[at] = rng.uniform(20, 400, size)
    cac_map = image.with_array(map_hu)
    names = iter(artery for _, _, artery in lesions)
    proposed = score_map(cac_map, image, artery_of=lambda _: next(names))
    inside = image.with_array(np.zeros(image.shape, bool))
    region = volume.with_array(np.zeros(volume.shape, bool))
    for mask in (inside.array, region.array):
        middle = tuple(
            slice(max(n // 5, n // 2 - 40), min(n - n // 5, n // 2 + 40)) for n in mask.shape
        )
        mask[middle] = True
        mask[tuple(edges.start for edges in middle)] = False
    clinical = score_clinically(
        volume, region, convention("literature"), threshold_hu=threshold_hu,
        slice_thickness_mm=series.slice_thickness_mm,
    )  # fmt: skip
    result = ScoredScan(
        path, series.series_uid, series.reasons, {}, WEIGHTS, name=name, image=image,
        heart=inside, probability_of_cac=np.full(image.shape[0], 0.9, np.float32),
        cac_map=cac_map, proposed=proposed,
        clinical=replace(clinical, lesions=clinical.lesions.assign(artery="LCX")),
    )  # fmt: skip
    write_results(result, folder)
    return folder / f"{name}.json"


Places = dict[tuple[float, ...], float]


def places_of(volume: Volume) -> Places:
    """The patient (LPS) places x, y, z in mm of the voxels that are not 0, and their values."""
    index = np.argwhere(volume.array)
    places = np.multiply(index, volume.spacing_mm) + volume.origin_mm
    return _by_place(places[:, ::-1], volume.array[tuple(index.T)])


def _by_place(places: np.ndarray, values: np.ndarray) -> Places:
    rounded = np.round(places, 2) + 0.0
    return dict(zip(map(tuple, rounded.tolist()), values.astype(float).tolist(), strict=True))


def places_in(path: Path) -> dict[str, Places]:
    """The same by segment from a Segmentation or Parametric Map, from its elements alone."""
    with quiet_pydicom():
        dataset = pydicom.dcmread(path)
        if "FloatPixelData" in dataset:
            shape = (int(dataset.NumberOfFrames), dataset.Rows, dataset.Columns)
            frames = np.frombuffer(dataset.FloatPixelData, "<f4").reshape(shape)
        else:
            frames = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    direction = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float)
    between_rows, between_columns = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    labels = {s.SegmentNumber: str(s.SegmentLabel) for s in dataset.get("SegmentSequence", [])}
    found: dict[str, Places] = {}
    for pixels, groups in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        corner = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        of = (groups if "SegmentIdentificationSequence" in groups else shared).get(
            "SegmentIdentificationSequence"
        )
        label = labels[int(of[0].ReferencedSegmentNumber)] if of else "map"
        row, column = np.nonzero(pixels)
        places = (
            corner
            + direction[:3] * (column * between_columns)[:, None]
            + direction[3:] * (row * between_rows)[:, None]
        )
        found.setdefault(label, {}).update(_by_place(places, pixels[row, column]))
    return found


def complaints(path: Path, *kinds: str) -> list[str]:
    """The errors that dciodvfy (dicom3tools) finds in a file; skips where it is not installed.

    It must have judged the file as one of some kinds; without any, of those that `KINDS` names.
    """
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy is not installed: apt-get install dicom3tools")
    told = subprocess.run([program, path], capture_output=True, text=True, check=False)
    lines = (told.stdout + told.stderr).splitlines()
    assert set(kinds or KINDS) & set(lines), "it was judged as what it is"
    return [line for line in lines if line.startswith("Error")]
