"""Which scan a label was given on, as one number; it does not know the scan's name or file."""

from __future__ import annotations

import hashlib

import numpy as np

from cacnb.ct.volume import Volume

#: Spacing and origin are compared to this many mm: headers round to it, people do not see it.
GRID_STEP_MM = 1e-4


def scan_sha256(volume: Volume) -> str:
    """SHA-256, in hexadecimal, of a scan's HU and of the grid that they stand on.

    HU are rounded and held to int16, spacing and origin rounded to 0.0001 mm, so that the same
    series gives the same number on every machine, read from DICOM or from an image file that
    `cacnb.ct.writing` made of it. It is made of nothing that a patient is named by.

    Example
    -------
    >>> scan = Volume(np.zeros((2, 3, 4), dtype=np.float32), (3.0, 0.7, 0.7))
    >>> moved = Volume(scan.array, scan.spacing_mm, (0.0, 0.0, 0.01))
    >>> scan_sha256(scan) == scan_sha256(moved)
    False
    """
    digest = hashlib.sha256()
    grid = np.rint(np.divide([*volume.spacing_mm, *volume.origin_mm], GRID_STEP_MM))
    digest.update(np.array([*volume.shape, *grid], dtype="<i8").tobytes())
    limits = np.iinfo(np.int16)
    for plane in volume.array:  # slice by slice: what is hashed stays in the processor's cache
        digest.update(np.rint(plane).clip(limits.min, limits.max).astype("<i2").tobytes())
    return digest.hexdigest()
