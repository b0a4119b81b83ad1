"""The sets that a study's scans stand in and what each is for; it does not draw them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

Network = Literal["heart", "cac"]
Side = Literal["train", "val", "test"]

#: The two purposes of Table 1 C: the heart network; the slice classifier and the CycleGAN.
NETWORKS: tuple[Network, ...] = ("heart", "cac")


@dataclass(frozen=True)
class StudySet:
    """One set of Table 1.

    Parameters
    ----------
    name
        As `set` of `cohort.csv` has it.
    development
        Developed with (True) or evaluated on (False), the two halves of Table 1.
    within
        The set that its scans belong to as well, so that a scan has one name only: they are for
        what that set is for, too.
    heart, cac
        What it is for, per network (Table 1 C). Both of train and val: some patients of it are
        kept for validation.
    """

    name: str
    development: bool
    within: str | None = None
    heart: tuple[Side, ...] = ()
    cac: tuple[Side, ...] = ()

    def purposes(self, network: Network) -> tuple[Side, ...]:
        """What the set is for in one network, as Table 1 C has it."""
        return self.heart if network == "heart" else self.cac

    def side(self, network: Network) -> Side | None:
        """The side that its scans stand on; None where they are not for the network."""
        whole = SETS[self.within].purposes(network) if self.within else ()
        return next(iter((*self.purposes(network), *whole)), None)


#: Section 2 and Table 1: RTP_trainHS and RTP_testHS are subsets of RTP_train, RTP_testlesions of
#: RTP_test1.
PAPER_SETS = (
    StudySet("NLST_train", True, cac=("train",)),
    StudySet("RTP_train", True, cac=("train",)),
    StudySet("RTP_trainHS", True, "RTP_train", heart=("train", "val")),
    StudySet("RTP_val", True, cac=("val",)),
    StudySet("RTP_testHS", False, "RTP_train", heart=("test",)),
    StudySet("RTP_test1", False, cac=("test",)),
    StudySet("RTP_testlesions", False, "RTP_test1", cac=("test",)),
    StudySet("RTP_test2", False, cac=("test",)),
)

#: A study's own three shares, for every network.
PLAIN_SETS = (
    StudySet("train", True, heart=("train",), cac=("train",)),
    StudySet("val", True, heart=("val",), cac=("val",)),
    StudySet("test", False, heart=("test",), cac=("test",)),
)

SETS = {one.name: one for one in (*PAPER_SETS, *PLAIN_SETS)}


def set_sides(sets: pd.Series, network: Network) -> pd.Series:
    """Side of every row by its `set`; missing where the set is not for the network.

    Example
    -------
    >>> set_sides(pd.Series(["RTP_trainHS", "RTP_testHS", "simulated"]), "heart").tolist()
    ['train', 'test', None]
    """
    side = {name: one.side(network) for name, one in SETS.items()}
    return pd.Series([side.get(name) for name in sets], sets.index, dtype=object)


def leaking_rows(cohort: pd.DataFrame) -> list[list[int]]:
    """Rows, by position from 0, of each patient who stands on two sides for some network.

    Example
    -------
    >>> leaking_rows(pd.DataFrame({"patient": ["a", "b", "a"], "set": ["train", "val", "test"]}))
    [[0, 2]]
    """
    if "set" not in cohort:
        return []
    found: dict[str, list[int]] = {}
    patients = cohort["patient"].reset_index(drop=True)
    for network in NETWORKS:
        sides = set_sides(cohort["set"], network).reset_index(drop=True).dropna()
        placed = patients[sides.index]
        several = sides.groupby(placed).nunique()
        for patient in several.index[several > 1]:
            rows = [int(at) for at in placed.index[placed == patient]]
            found[str(patient)] = sorted({*found.get(str(patient), []), *rows})
    return sorted(found.values())
