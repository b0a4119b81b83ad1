"""Painted lesion regions, from current labels to an image of the scan; it knows no brush."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.labels.runs import decode_runs

#: Labels of a region image; the left main counts as LAD (section 2).
REGION_LABELS: Mapping[str, int] = {"LM": 1, "LAD": 1, "LCX": 2, "RCA": 3}


def one_readers(labels: pd.DataFrame, reader: str | None = None) -> pd.DataFrame:
    """The rows that speak for a scan: one reader's, from their first reading of it.

    A reader who read in several roles speaks as adjudicator, else as first reader.

    Parameters
    ----------
    labels
        Rows of `current_labels` of one scan.
    reader
        Whose; None for the adjudicator, or the only reader that there is.

    Raises
    ------
    InputError
        `several_readers` where none was named, more than one read, and nobody adjudicated.

    Example
    -------
    >>> rows = pd.DataFrame({"reader": ["a", "b"], "role": ["first", "second"], "reading": [1, 1]})
    >>> one_readers(rows, "b")["reader"].tolist()
    ['b']
    """
    rows = labels[labels["reading"] == 1]
    if reader is not None:
        rows = rows[rows["reader"] == reader]
    adjudicated = rows["role"] == "adjudication"
    if adjudicated.any():
        rows = rows[adjudicated]
    readers = sorted(rows["reader"].unique())
    if len(readers) > 1:
        raise InputError(
            "several_readers",
            f"{len(readers)} readers ({', '.join(readers)}) labelled scan {rows['scan'].iloc[0]}, "
            "one was wanted: name the reader",
        )
    return rows[rows["role"] == rows["role"].min()] if len(rows) else rows


def region_image(labels: pd.DataFrame, scan: Volume) -> Volume:
    """One reader's painted regions as an image: 1 LAD, 2 LCX, 3 RCA, uint8.

    Parameters
    ----------
    labels
        Current labels of one reader on one scan, as `one_readers` gives them; rows of other
        subjects and withdrawn ones (value None) are passed over.
    scan
        The scan that was painted on, or any volume on its grid.

    Raises
    ------
    InputError
        `bad_region` where a slice or an artery is none of the scan's, `bad_runs`.

    Example
    -------
    >>> row = {"subject": "region", "item": "LCX", "slice": 1, "value": "0:2"}
    >>> scan = Volume(np.zeros((2, 2, 2)), (3.0, 0.5, 0.5))
    >>> region_image(pd.DataFrame([row]), scan).array.tolist()
    [[[0, 0], [0, 0]], [[2, 2], [0, 0]]]
    """
    image = np.zeros(scan.shape, dtype=np.uint8)
    rows = labels[(labels["subject"] == "region") & labels["value"].notna()]
    # Where two regions overlap the later artery of the table covers, whatever the rows' order.
    for artery, of_artery in sorted(rows.groupby("item"), key=lambda one: _label(str(one[0]))):
        for z, runs in zip(of_artery["slice"], of_artery["value"], strict=True):
            if pd.isna(z) or not 0 <= int(z) < scan.shape[0]:
                raise InputError(
                    "bad_region",
                    f"a region is painted on slice {z}, the scan has {scan.shape[0]}: check that "
                    "the labels belong to this scan",
                )
            image[int(z)][decode_runs(str(runs), scan.shape[1:])] = _label(str(artery))
    return scan.with_array(image)


def _label(artery: str) -> int:
    if artery not in REGION_LABELS:
        raise InputError(
            "bad_region",
            f"a region is painted for {artery!r}, one of {', '.join(REGION_LABELS)} was wanted: "
            "paint it again",
        )
    return REGION_LABELS[artery]
