"""Which scans of a study a network may learn from, and which are kept for validation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cacnb.errors import InputError
from cacnb.labels.place import study_toml
from cacnb.study.cohort import read_cohort
from cacnb.study.sets import Network
from cacnb.study.splits import sides


@dataclass(frozen=True)
class TrainingScan:
    """One row of a study that a network may learn from; paths are absolute.

    `side` is `train`, `val`, `test`, or None where the scan's set is not for the network.
    """

    name: str
    patient: str
    path: Path
    heart: Path
    side: str | None = "train"


def training_scans(study: Path, network: Network = "cac") -> list[TrainingScan]:
    """The scans of a study folder that have a heart mask, in the order of `cohort.csv`.

    Raises
    ------
    InputError
        `no_study` where the folder has no cohort, `no_masks` where no scan has a mask.
    """
    cohort = read_cohort(study)
    rows = cohort[["scan", "patient", "path"]].to_numpy(str).tolist()
    scans = [
        TrainingScan(name, patient, study / path, study / "masks" / f"{name}.nii.gz", side)
        for (name, patient, path), side in zip(rows, sides(cohort, network), strict=True)
    ]
    found = [scan for scan in scans if scan.heart.exists()]
    if not found:
        raise InputError("no_masks", f"no scan of {study} has a mask in masks/: add heart masks")
    return found


def on_side(scans: list[TrainingScan], side: str) -> NDArray[np.bool_]:
    """Which scans stand on a side, (n,)."""
    return np.array([scan.side == side for scan in scans])


def learned_from(study: Path, network: Network = "cac") -> list[TrainingScan]:
    """The scans of a study that a network trains on.

    Raises
    ------
    InputError
        `no_training_scans` where the study's sets leave none; as `training_scans`.
    """
    found = [scan for scan in training_scans(study, network) if scan.side == "train"]
    if not found:
        raise InputError(
            "no_training_scans",
            f"no scan of {study} with a heart mask is in a set for training: "
            f"see `cacnb study table1 {study}`, or split it again",
        )
    return found


def scan_pairs(studies: list[Path]) -> NDArray[np.int64]:
    """(scans,) a number for each pair of scan and rescan, in the order of `training_scans`."""
    pairs: list[tuple[int, str]] = []
    for i, study in enumerate(studies):
        cohort = read_cohort(study).set_index("scan")
        pair_of = cohort["pair" if "pair" in cohort else "patient"]
        pairs += [(i, str(pair_of[scan.name])) for scan in training_scans(study)]
    number = {pair: at for at, pair in enumerate(dict.fromkeys(pairs))}
    return np.array([number[pair] for pair in pairs])


def simulated_scans(studies: list[Path]) -> NDArray[np.bool_]:
    """(scans,) which scans a study's `study.toml` calls simulated, in the order of the scans."""
    told: list[bool] = []
    for study in studies:
        told += [bool(study_toml(study).get("simulated"))] * len(training_scans(study))
    return np.array(told)


#: How a simulated study's words end.
SIMULATED = ", simulated)"


@dataclass(frozen=True)
class StudyTold:
    """A study as a card tells it: its folder's name, scans with a heart mask, whether simulated."""

    name: str
    scans: int
    simulated: bool

    def __str__(self) -> str:
        """For example `cohort (12 scans, simulated)`."""
        return f"{self.name} ({self.scans} scans{SIMULATED if self.simulated else ')'}"


def told_of(study: Path) -> StudyTold:
    """What a card tells of a study; raises `no_study` or `no_masks`."""
    scans = len(training_scans(study))
    return StudyTold(study.resolve().name, scans, (study / "truth_scans.csv").is_file())


def is_simulated(told: str) -> bool:
    """Whether a study that is told in words was simulated.

    Example
    -------
    >>> is_simulated(str(StudyTold("cohort", 12, simulated=True)))
    True
    """
    return told.endswith(SIMULATED)
