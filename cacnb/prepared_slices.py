"""Heart slices of studies, cut once onto the networks' grid and memory-mapped from then on.

Under each study's `prepared/slices_<size>/`: `slices.npy` (n, size, size) HU, `slices.csv` (scan,
label, position), `calcium.npy` and `calcium_rows.npy` where the calcium is known, and
`made_of.json`, which tells of what they were made: when that changes they are cut again. Nothing
is held in memory but a scan.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cacnb.ct.grids import SLICE_GRID_MM, crop_heart, resample, resample_onto
from cacnb.ct.heart import centre_of_mass_mm
from cacnb.ct.reading import read_image, read_mask, read_scan
from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.files import GrowingArray, one_at_a_time, save_array, write_atomically
from cacnb.labels.agreed import labels_sha256, slice_labels
from cacnb.learning.batches import SliceStore
from cacnb.learning.joined_rows import joined_rows
from cacnb.training_scans import TrainingScan, on_side, training_scans

#: HU that slices are kept with: a 12-bit scanner's. The network's window is applied when they are
#: drawn, after known calcium has been taken out and put back.
STORED_HU = (-1024, 3071)

#: Calcium below this in HU everywhere on a slice is not kept: noise is ten times as large.
LEAST_CALCIUM_HU = 2

#: Raised when slices are cut in another way, so that they are cut again.
LAYOUT = 1


@dataclass(frozen=True)
class Sides:
    """Which scans of a store train and which validate, (scans,) each; none stands on both."""

    train: NDArray[np.bool_]
    val: NDArray[np.bool_]


def slice_store(studies: list[Path], size: int) -> tuple[SliceStore, Sides]:
    """All heart slices of some studies, and which scans train and validate (by scan index).

    Raises
    ------
    InputError
        `no_labels` where no slice of a study has a settled label; `no_study`, `no_masks`.
    """
    arrays: list[NDArray[np.int16]] = []
    tables: list[pd.DataFrame] = []
    names: list[str] = []
    train: list[NDArray[np.bool_]] = []
    val: list[NDArray[np.bool_]] = []
    known: list[tuple[NDArray[np.int16], NDArray[np.int64]] | None] = []
    for study in studies:
        scans = training_scans(study)
        folder = prepared(study, scans, size)
        table = pd.read_csv(folder / "slices.csv", dtype={"scan": str})
        number = {scan.name: len(names) + i for i, scan in enumerate(scans)}
        tables.append(table.assign(number=table["scan"].map(number)))
        arrays.append(np.load(folder / "slices.npy", mmap_mode="r"))
        known.append(_known_calcium(folder))
        names += [scan.name for scan in scans]
        train.append(on_side(scans, "train"))
        val.append(on_side(scans, "val"))
    table = pd.concat(tables)
    store = SliceStore(
        slices=joined_rows(arrays),
        labels=(table["contains_cac"] == 1).to_numpy(bool),
        positions=table["position"].to_numpy(np.float32),
        scans=table["number"].to_numpy(np.int32),
        names=names,
        settled=(table["contains_cac"] >= 0).to_numpy(bool),
    )
    told = [pair for pair in known if pair is not None]
    if len(told) == len(known):
        offsets = np.cumsum([0, *(len(calcium) for calcium, _ in told)])
        store.calcium = joined_rows([calcium for calcium, _ in told])
        store.calcium_rows = np.concatenate(
            [
                np.where(rows >= 0, rows + at, -1)
                for (_, rows), at in zip(told, offsets, strict=False)
            ]
        )
    return store, Sides(np.concatenate(train), np.concatenate(val))


def prepared(study: Path, scans: list[TrainingScan], size: int) -> Path:
    """The folder of a study's prepared slices, cut first where they are not there or are stale.

    Of several trainings that want them at once, one cuts them and the others wait.
    """
    folder = study / "prepared" / f"slices_{size}"
    labels = slice_labels(study)
    made_of, sources = folder / "made_of.json", _sources(study, scans, labels)
    if _made_of(made_of) != sources:
        with one_at_a_time(folder.with_name(f".{folder.name}.lock")):
            if _made_of(made_of) != sources:
                made_of.unlink(missing_ok=True)
                digests = _cut_study(study, scans, labels, size, folder)
                told = {"sources": sources, "sha256": digests}
                write_atomically(json.dumps(told, indent=2), made_of)
    return folder


def _made_of(file: Path) -> object:
    """What prepared slices say that they were made of; None where there are none."""
    return json.loads(file.read_text(encoding="utf-8")).get("sources") if file.exists() else None


def verify(folder: Path) -> None:
    """Hold prepared slices against the hashes they were written with.

    Raises
    ------
    InputError
        `damaged_slices` where an array is another one.
    """
    told = json.loads((folder / "made_of.json").read_text(encoding="utf-8"))
    for name, digest in told["sha256"].items():
        array = np.load(folder / name, mmap_mode="r")
        found = hashlib.sha256()
        for i in range(0, len(array), 256):
            found.update(np.ascontiguousarray(array[i : i + 256]).data)
        if found.hexdigest() != digest:
            raise InputError(
                "damaged_slices", f"{folder / name} was changed: delete {folder}, it is made again"
            )


def _sources(study: Path, scans: list[TrainingScan], labels: pd.DataFrame) -> dict[str, object]:
    """What slices are made of: labels by content, files by size and time of writing."""
    files = hashlib.sha256()
    for scan in scans:
        for path in (scan.path, scan.heart, _calcium_file(study, scan.name)):
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file():
                    told = file.stat()
                    files.update(f"{scan.name} {told.st_size} {told.st_mtime_ns}\n".encode())
    return {"layout": LAYOUT, "labels": labels_sha256(labels), "files": files.hexdigest()}


def _calcium_file(study: Path, name: str) -> Path:
    return study / "calcium" / f"{name}.nii.gz"


def _known_calcium(folder: Path) -> tuple[NDArray[np.int16], NDArray[np.int64]] | None:
    """The calcium of a study's prepared slices and each slice's row in it; None where unknown."""
    calcium = folder / "calcium.npy"
    if not calcium.exists():
        return None
    return np.load(calcium, mmap_mode="r"), np.load(folder / "calcium_rows.npy")


def _cut_study(
    study: Path, scans: list[TrainingScan], labels: pd.DataFrame, size: int, folder: Path
) -> dict[str, str]:
    """Cut every labelled scan and write what comes out; returns the hash of each array."""
    if labels.empty:
        raise InputError(
            "no_labels",
            f"no slice of {study} has a settled label: label it first, "
            f"`cacnb serve label --study {study}`",
        )
    rows, tables = [], []
    at = 0
    knows = (study / "calcium").is_dir()
    (folder / "calcium.npy").unlink(missing_ok=True)
    with (
        GrowingArray(folder / "slices.npy", (size, size), np.int16) as slices,
        GrowingArray(folder / "calcium.npy", (size, size), np.int16, keep=knows) as calcium,
    ):
        for cut, known, table in _cut_scans(study, scans, labels, size):
            slices.append(cut)
            shows = (known >= LEAST_CALCIUM_HU).any(axis=(1, 2))
            calcium.append(known[shows])
            rows.append(np.where(shows, np.cumsum(shows) - 1 + at, -1))
            at += int(shows.sum())
            tables.append(table)
        if not tables:
            raise InputError("no_labels", f"no scan of {study} has labels and a heart mask")
    if knows:
        save_array(np.concatenate(rows), folder / "calcium_rows.npy")
    write_atomically(pd.concat(tables).to_csv(index=False), folder / "slices.csv")
    digests = {"slices.npy": slices.sha256}
    return {**digests, "calcium.npy": calcium.sha256} if knows else digests


def _cut_scans(
    study: Path, scans: list[TrainingScan], labels: pd.DataFrame, size: int
) -> Iterator[tuple[NDArray[np.int16], NDArray[np.int16], pd.DataFrame]]:
    """Each labelled scan's slices, calcium and table, in order, two scans at a time."""
    by_scan = {str(name): group.sort_values("slice") for name, group in labels.groupby("scan")}
    labelled = [scan for scan in scans if scan.name in by_scan]
    with ThreadPoolExecutor(max_workers=2) as pool:
        for i in range(0, len(labelled), 8):
            for cut in pool.map(
                lambda scan: _cut_scan(study, scan, by_scan[scan.name], size), labelled[i : i + 8]
            ):
                if cut is not None:
                    yield cut


def _cut_scan(
    study: Path, scan: TrainingScan, marks: pd.DataFrame, size: int
) -> tuple[NDArray[np.int16], NDArray[np.int16], pd.DataFrame] | None:
    """One scan's heart slices, the known calcium on them, and their rows of the table.

    `contains_cac` is −1 where nobody settled it.
    """
    _, volume = read_scan(scan.path)
    heart = read_mask(scan.heart, volume, may_be_empty=True)
    if not heart.array.any():
        return None
    seen = np.full(volume.shape[0], -1)
    seen[marks["slice"].to_numpy(int)] = marks["contains_cac"].to_numpy(int)
    cut, where, positions, nearest = heart_slices(volume, heart, size)
    calcium = np.zeros((len(where), size, size), np.int16)
    known = _calcium_file(study, scan.name)
    if known.is_file():
        fine = resample(read_image(known), SLICE_GRID_MM)
        there = crop_heart(fine, centre_of_mass_mm(heart)[1:], size, fill_hu=0.0)
        calcium = np.rint(there.array[where]).astype(np.int16)
    table = pd.DataFrame({"scan": scan.name, "contains_cac": seen[nearest], "position": positions})
    return np.clip(np.rint(cut.array[where]), *STORED_HU).astype(np.int16), calcium, table


def heart_slices(
    volume: Volume, heart: Volume, size: int
) -> tuple[Volume, NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
    """The heart's slices as the networks see them (section 5).

    Returns the scan at 1.5 × 1.0 × 1.0 mm cropped around the mask's centre of mass, the indices of
    its slices that show the heart, their relative positions (0 … 1), and the scan's own slice that
    lies nearest to each of them.
    """
    fine = resample(volume, SLICE_GRID_MM)
    mask = resample_onto(heart, fine)
    centre = centre_of_mass_mm(heart)
    cut = crop_heart(fine, (centre[1], centre[2]), size)
    where = np.flatnonzero(mask.array.any(axis=(1, 2)))
    positions = np.linspace(0, 1, len(where), dtype=np.float32)
    at_mm = fine.axis_mm(0)[where]
    nearest = np.rint((at_mm - volume.origin_mm[0]) / volume.spacing_mm[0])
    return cut, where, positions, np.clip(nearest, 0, volume.shape[0] - 1).astype(np.int64)
