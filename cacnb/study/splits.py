"""Which patients train, validate and test: drawn and read back; it trains nothing."""

from __future__ import annotations

from collections.abc import Mapping
from math import isclose

import numpy as np
import pandas as pd

from cacnb.errors import InputError, UsageError
from cacnb.study.cohort import refuse_leakage
from cacnb.study.cohort_table import SHOWN
from cacnb.study.sets import SETS, Network, set_sides

#: In a study that was not split, and in a set that is for both, every fifth patient validates:
#: decided by the patient's place in the sorted list.
VALIDATION_EVERY = 5

#: Shares of a plain split.
PLAIN_SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}

#: Patients of section 2: those with two scans, and those of RTP_train, whose 199 heart masks are
#: divided.
PAPER_PAIRS = {"RTP_val": 100, "RTP_test1": 119, "RTP_test2": 1543}
PAPER_HEARTS = {"RTP_trainHS": 120, "RTP_testHS": 79}


def sides(cohort: pd.DataFrame, network: Network = "cac") -> pd.Series:
    """Side of every row for a network: `train`, `val`, `test`, or None where it is not for it.

    Where `set` names sets that we know, they decide (Table 1 C); of a set that is both for training
    and for validation, and of a study that was never split, every fifth patient validates.

    Parameters
    ----------
    cohort
        As `read_cohort` gives it, all rows or some.
    network
        `heart`, or `cac` for the slice classifier, the decomposition and the clinical baseline.

    Returns
    -------
    Series
        (rows,) with the cohort's index.

    Raises
    ------
    InputError
        `unknown_set` where a split study has a row with a name that is no set's; `leakage`.

    Example
    -------
    >>> sides(pd.DataFrame({"patient": ["a", "b"], "set": ["train", "test"]})).tolist()
    ['train', 'test']
    """
    refuse_leakage(cohort, "cohort.csv")
    if not is_split(cohort):
        return _held_out(cohort["patient"])
    named = cohort["set"]
    unknown = [at for at, name in enumerate(named) if pd.notna(name) and name not in SETS]
    if unknown:
        told = ", ".join(str(at + 2) for at in unknown[:SHOWN])
        raise InputError(
            "unknown_set",
            f"cohort.csv: {named.iloc[unknown[0]]!r} in row {told} is no set: "
            f"give one of {', '.join(SETS)}, or leave it empty",
        )
    found = set_sides(named, network)
    both = named.isin([name for name, one in SETS.items() if len(one.purposes(network)) > 1])
    if both.any():
        found[both] = _held_out(cohort.loc[both, "patient"])
    return found


def is_split(cohort: pd.DataFrame) -> bool:
    """Whether any row stands in a set that we know."""
    return "set" in cohort and bool(cohort["set"].isin(list(SETS)).any())


def _held_out(patients: pd.Series) -> pd.Series:
    place = {patient: at for at, patient in enumerate(sorted(patients.astype(str).unique()))}
    last = VALIDATION_EVERY - 1
    told = ["val" if place[str(p)] % VALIDATION_EVERY == last else "train" for p in patients]
    return pd.Series(told, patients.index, dtype=object)


def plain_split(
    patients: pd.DataFrame, shares: Mapping[str, float] | None = None, seed: int = 0
) -> dict[str, str]:
    """A set for every patient by shares, each share as alike as may be in what the patients are.

    Parameters
    ----------
    patients
        One row a patient, its index their names; patients with equal rows are alike.
    shares
        Of all patients, by set; they add up to 1. `PLAIN_SHARES` if None.
    seed
        The same seed and patients give the same split.

    Raises
    ------
    UsageError
        For an unknown set, or shares that do not add up to 1.

    Example
    -------
    >>> alike = pd.DataFrame({"scans": [1, 1, 2, 2]}, index=["a", "b", "c", "d"])
    >>> sets = plain_split(alike, {"train": 0.5, "test": 0.5})
    >>> sorted(sets.values()), sets["a"] != sets["b"], sets["c"] != sets["d"]
    (['test', 'test', 'train', 'train'], True, True)
    """
    wanted = dict(PLAIN_SHARES if shares is None else shares)
    for name, share in wanted.items():
        if name not in SETS:
            raise UsageError(f"no set {name!r}: choose among {', '.join(SETS)}")
        if not 0 < share <= 1:
            raise UsageError(f"a share of {share:g} for {name}: give one above 0, up to 1")
    if not isclose(sum(wanted.values()), 1.0, abs_tol=1e-6):
        raise UsageError(f"the shares add up to {sum(wanted.values()):g}: they must make 1")
    return _dealt(patients, wanted, np.random.default_rng(seed))


def paper_split(patients: pd.DataFrame, seed: int = 0) -> dict[str, str]:
    """A set for every patient as section 2 divides its own, in the paper's proportions.

    Patients of NLST train. Of the others, those with a pair of scans validate and test
    (RTP_val, RTP_test1, RTP_test2), those with one scan train; training patients with a heart mask
    are divided between RTP_trainHS and RTP_testHS. Patients of RTP_test1 whose pair shows calcium
    in both scans make RTP_testlesions.

    Parameters
    ----------
    patients
        One row a patient with `paired`, `nlst`, `heart` (all their scans have a mask) and
        `visible_in_both`, all bool; further columns are balanced over the sets.
    seed
        The same seed and patients give the same split.
    """
    generator = np.random.default_rng(seed)
    nlst = patients["nlst"].astype(bool)
    paired = patients["paired"].astype(bool) & ~nlst
    single = ~paired & ~nlst
    found = dict.fromkeys(patients.index[nlst].astype(str), "NLST_train")
    found |= _dealt(patients[paired], _as_shares(PAPER_PAIRS), generator)
    found |= dict.fromkeys(patients.index[single].astype(str), "RTP_train")
    drawn = patients[single & patients["heart"].astype(bool)]
    found |= _dealt(drawn, _as_shares(PAPER_HEARTS), generator)
    both = set(patients.index[patients["visible_in_both"].astype(bool)].astype(str))
    for patient, name in found.items():
        if name == "RTP_test1" and patient in both:
            found[patient] = "RTP_testlesions"
    return found


def _as_shares(counts: Mapping[str, int]) -> dict[str, float]:
    return {name: count / sum(counts.values()) for name, count in counts.items()}


def _dealt(
    patients: pd.DataFrame, shares: Mapping[str, float], generator: np.random.Generator
) -> dict[str, str]:
    """Deal patients like cards, alike ones one after another, to the set that is most behind."""
    if patients.empty:
        return {}
    order = patients.sort_index().assign(_lot=generator.random(len(patients)))
    strata = order.drop(columns="_lot").astype(str).agg(" ".join, axis=1)
    order = order.assign(_stratum=strata).sort_values(["_stratum", "_lot"])
    dealt = dict.fromkeys(shares, 0)
    found = {}
    for count, patient in enumerate(order.index.astype(str), start=1):
        behind = {name: shares[name] * count - had for name, had in dealt.items()}
        name = max(behind, key=lambda one: behind[one])
        dealt[name] += 1
        found[patient] = name
    return found
