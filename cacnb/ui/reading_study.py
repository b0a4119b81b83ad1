"""A study as a reader opens it: its scans one by one, hearts where there are any; no widget."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from cacnb.ct.identity import scan_sha256
from cacnb.ct.reading import read_mask, read_scan
from cacnb.ct.series import Series
from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.labels.place import study_key, study_toml
from cacnb.study.cohort import read_cohort

#: Scans that stay open: the one that is read, and the next. Each reader has a kernel of their own,
#: and a whole scan takes 100 MB of it.
OPEN_SCANS = 2


@dataclass(frozen=True, eq=False)
class OpenScan:
    """A scan in HU (float32), its heart mask where the study has one, and its content's hash."""

    name: str
    volume: Volume
    heart: Volume | None
    sha256: str
    series: Series
    kvp: float | None


@dataclass(eq=False)
class ReadingStudy:
    """A study folder, its cohort, and the scans that were opened last.

    Parameters
    ----------
    folder
        A study folder with `cohort.csv`.

    Raises
    ------
    InputError
        `no_study`.
    """

    folder: Path
    _open: OrderedDict[str, OpenScan] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.folder = Path(self.folder)
        self.cohort: pd.DataFrame = read_cohort(self.folder).set_index("scan", drop=False)

    @property
    def key(self) -> str:
        """The study's name as it stands with each label."""
        return study_key(self.folder)

    @property
    def simulated(self) -> bool:
        """Whether its scans are simulated, which every page then says."""
        return bool(study_toml(self.folder).get("simulated", False))

    @property
    def scans(self) -> list[str]:
        """Names of all scans."""
        return list(self.cohort.index)

    def open(self, scan: str) -> OpenScan:
        """Read a scan, or give it again where it was read lately; safe to call from threads.

        Raises
        ------
        InputError
            `missing` for a scan that the study does not have, and as `read_scan`, `read_mask`.
        """
        with self._lock:
            if scan not in self._open:
                self._open[scan] = self._read(scan)
            self._open.move_to_end(scan)
            while len(self._open) > OPEN_SCANS:
                self._open.popitem(last=False)
            return self._open[scan]

    def _read(self, scan: str) -> OpenScan:
        if scan not in self.cohort.index:
            raise InputError("missing", "the study has no such scan: see its cohort.csv")
        row = self.cohort.loc[scan]
        series, volume = read_scan(self.folder / str(row["path"]))
        mask = self.folder / "masks" / f"{scan}.nii.gz"
        heart = read_mask(mask, volume, may_be_empty=True) if mask.is_file() else None
        if heart is not None and not heart.array.any():
            heart = None
        kvp = float(row.get("kvp", np.nan)) or np.nan  # type: ignore[arg-type]
        known = kvp if np.isfinite(kvp) else series.kvp
        return OpenScan(scan, volume, heart, scan_sha256(volume), series, known)

    def uncertainty(self) -> dict[str, float]:
        """How unsure the classifier was of each scored scan: the mean of 1 − |2 p − 1|, 0 to 1."""
        found = {}
        for scan in self.scans:
            file = self.folder / "scores" / f"{scan}.json"
            if not file.is_file():
                continue
            told = json.loads(file.read_text(encoding="utf-8")).get("probability_of_cac") or []
            p = np.array([value for value in told if value is not None])
            if len(p):
                found[scan] = float(np.mean(1 - np.abs(2 * p - 1)))
        return found
