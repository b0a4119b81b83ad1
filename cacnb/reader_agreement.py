"""How far readers agree, with others and with themselves; it does not know who is right."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from cacnb.errors import InputError
from cacnb.labels.agreement import between_readers, labels_by_reader, within_reader
from cacnb.study.kappa import Kappa, kappa_of_counts, weight_table, weighted_kappa
from cacnb.study.resampling import LEAST_PATIENTS, Floats, sums_interval

#: What a slice may be called once a reader has decided.
DECISIONS = ("no_cac", "cac")


@dataclass(frozen=True)
class ReaderAgreement:
    """κ of two readings of the same slices.

    Parameters
    ----------
    first, second
        Readers; the same name twice where a hidden repeat is compared with the first reading.
    kappa
        Cohen's κ of *CAC* against *no CAC*; None where κ is not defined.
    ci95_scans
        Its interval over scans (bootstrap): slices of one scan are alike, so that the analytic
        interval of `kappa` is too narrow. None below three scans.
    slices, scans, differing
        How many both decided, on how many scans, and on how many they differ.
    """

    first: str
    second: str
    kappa: Kappa | None
    ci95_scans: tuple[float, float] | None
    slices: int
    scans: int
    differing: int

    def __str__(self) -> str:
        who = "One reader twice" if self.first == self.second else "Two readers"
        kappa = "κ is not defined"
        if self.kappa is not None:
            kappa = f"κ {self.kappa.value:.2f}"
        if self.ci95_scans is not None:
            kappa += f" ({self.ci95_scans[0]:.2f} to {self.ci95_scans[1]:.2f}, over scans)"
        return f"{who}: {kappa}; {self.differing} of {self.slices} slices differ"

    def as_json(self) -> dict[str, Any]:
        """One row of `cacnb study labels agreement --json`."""
        kappa = self.kappa
        return {
            "first": self.first,
            "second": self.second,
            "within_reader": self.first == self.second,
            "slices": self.slices,
            "scans": self.scans,
            "differing": self.differing,
            "kappa": None if kappa is None else kappa.value,
            "kappa_ci95_scans": None if self.ci95_scans is None else list(self.ci95_scans),
            "kappa_ci95": None if kappa is None else list(kappa.ci95),
            "agreement": None if kappa is None else kappa.accuracy,
        }


def reader_agreement(current: pd.DataFrame) -> list[ReaderAgreement]:
    """Every two readers, and every reader with themselves, as far as they read the same slices.

    Parameters
    ----------
    current
        Rows of `LabelStore.current` of one study and of subject "slice".
    """
    readers = [str(name) for name in labels_by_reader(current).columns]
    found = [
        agreement_of(between_readers(current, one, other), one, other)
        for one, other in combinations(readers, 2)
    ]
    found += [agreement_of(within_reader(current, name), name, name) for name in readers]
    return [one for one in found if one.slices]


def agreement_of(pairs: pd.DataFrame, first: str, second: str) -> ReaderAgreement:
    """The agreement of paired decisions: rows of scan, slice, first, second."""
    kappa = interval = None
    if len(pairs):
        try:
            kappa = weighted_kappa(
                pairs["first"].tolist(), pairs["second"].tolist(), DECISIONS, "unweighted"
            )
        except InputError as error:
            if error.code != "no_spread":
                raise
    tables = _tables_by_scan(pairs)
    if kappa is not None and len(tables) >= LEAST_PATIENTS:
        weight = weight_table(len(DECISIONS), "unweighted")

        def kappas(sums: Floats) -> Floats:
            return kappa_of_counts(sums.reshape(*sums.shape[:-1], 2, 2), weight)

        interval = sums_interval(kappas, tables)
    return ReaderAgreement(
        first, second, kappa, interval, len(pairs), len(tables),
        int((pairs["first"] != pairs["second"]).sum()),
    )  # fmt: skip


def _tables_by_scan(pairs: pd.DataFrame) -> Floats:
    """(scans, 4) the cross table of each scan, row by row."""
    cell = 2 * (pairs["first"] == "cac").astype(int) + (pairs["second"] == "cac").astype(int)
    table = pd.crosstab(pairs["scan"], cell).reindex(columns=range(4), fill_value=0)
    return np.asarray(table, dtype=np.float64).reshape(-1, 4)
