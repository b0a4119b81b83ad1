from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cacnb.ct.verdict import Reason
from cacnb.ct.volume import Volume
from cacnb.scoring.clinical import score_clinically
from cacnb.scoring.conventions import convention
from cacnb.scoring.proposed import score_map
from cacnb.scoring.scored_scan import ScoredScan

WEIGHTS = {"name": "demo", "sha256": "0123456789abcdef" * 4, "trained_on": "96 simulated scans"}


def drawn_scan(name="scan", *, lesions=((6, 40), (14, 60)), hu=180.0, seed=0, whole=False):
    """A heart of 40 HU with noise, and a small cube of calcium at each (slice, x) of `lesions`."""
    shape, spacing = (24, 120, 130), (1.5, 1.2, 1.2)
    z, y, x = np.indices(shape)
    ellipsoid = ((z - 12) / 11) ** 2 + ((y - 60) / 40) ** 2 + ((x - 65) / 46) ** 2
    heart = ellipsoid < 1.0 if not whole else np.ones(shape, bool)
    noise = np.random.default_rng(seed).normal(0, 15, shape)
    image = np.where(ellipsoid < 1.1, 40.0, -850.0) + noise
    calcium = np.zeros(shape)
    for k, column in lesions:
        calcium[k : k + 2, 58:61, column : column + 3] = hu
    grid = Volume(np.rint(image + calcium).astype(np.float32), spacing, (-10.0, 20.0, 30.0))
    cac_map = grid.with_array((0.9 * calcium).astype(np.float32))
    region = grid.with_array(heart & (ellipsoid < 0.8))
    clinical = score_clinically(grid, region, convention("literature"))
    probability = np.full(shape[0], np.nan, np.float32)
    probability[2:22] = 0.25
    return ScoredScan(
        path=Path("/home/somebody/study/scans") / f"{name}.nii.gz",
        series_uid=None,
        reasons=(),
        seconds={"read": 0.5, "heart": 2.25, "slices": 1, "map": 1, "scores": 0.25, "total": 5},
        weights=WEIGHTS,
        image=grid,
        heart=grid.with_array(heart),
        probability_of_cac=probability,
        cac_map=cac_map,
        proposed=score_map(cac_map, grid, artery_of=lambda voxels: "LAD"),
        clinical=clinical,
        clinical_labels=grid.with_array(clinical.lesion_labels.array > 0),
        name=name,
    )


@pytest.fixture
def scan():
    return drawn_scan("first")


@pytest.fixture
def rescan():
    return drawn_scan("second", lesions=((6, 40),), hu=150.0, seed=1)


@pytest.fixture
def without_calcium():
    return drawn_scan("empty", lesions=())


@pytest.fixture
def refused():
    return ScoredScan(
        path=Path("/home/somebody/study/<script>alert(1)</script>"),
        series_uid=None,
        reasons=(Reason("contrast", "contrast medium fills the <b>heart</b> & the vessels"),),
        seconds={"read": 0.5, "total": 0.5},
        weights=WEIGHTS,
        name='<img src="x">',
    )


@pytest.fixture
def draw():
    return drawn_scan


@pytest.fixture
def warned(scan):
    return replace(scan, reasons=(Reason("too_thick", "slices are thick", "warn"),))
