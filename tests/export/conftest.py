from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
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


METHODS = ("proposed", "clinical_manual", "clinical_automatic")


def _around(value, reach=0.05):
    return [value - reach, value + reach]


def _estimates(step, keys, **rest):
    """Made-up shares that fall from method to method, each with an interval."""
    out = dict(rest)
    for place, key in enumerate(keys):
        value = 0.9 - 0.1 * step - 0.02 * place
        out |= {key: value, f"{key}_ci95": _around(value)}
    return out


def made_up_evidence():
    """Every table of an evaluation, with numbers that no study had."""
    differences = ("relative_difference_any_positive", "relative_difference_both_positive")
    iccs = tuple(
        f"icc_{score}{pairs}" for pairs in ("", "_both_positive") for score in ("mass", "agatston")
    )
    arteries = ("CAC", "LAD", "RCA", "LCX")
    each = list(enumerate(METHODS))
    return {
        "detection_per_scan": [
            {
                **_estimates(i, ("sensitivity", "false_positive_rate"), method=m),
                "f1": 0.81 - i / 10, "accuracy": 0.88, "true_positive": 73, "false_positive": 21,
                "false_negative": 15, "true_negative": 129,
            }
            for i, m in each
        ],
        "detection_per_artery": [
            {
                **_estimates(i, ("sensitivity", "pair_sensitivity"), method=m, artery=a),
                "n_single": 100, "detected_single": 91 - i, "n_pairs": 50, "detected_pairs": 44 - i,
            }
            for i, m in each for a in arteries
        ],
        "reproducibility_per_artery": [
            _estimates(i, differences, method=m, artery=a, n_pairs=50, n_both_positive=40)
            for i, m in each for a in arteries
        ],
        "reproducibility": [
            _estimates(i, (*differences, *iccs), method=m, n_pairs=119, n_both_positive=51,
                       n_discordant=14)
            for i, m in each
        ],
        "limits": [
            {"method": m, "model": "linear", "n": 119, "bias": -2.0, "sd": 30.0,
             "limits": [-60.8, 56.8], "intercept": 1.0, "slope": 0.2, "limit_at_10": 7.4,
             "limit_at_100": 51.6}
            for _, m in each
        ],
        "risk_categories": [
            _estimates(i, ("kappa_linear", "accuracy"), method=m, pairs=p, n_pairs=n,
                       kappa_quadratic=0.95)
            for p, n in (("all", 119), ("both_positive_by_automatic", 36)) for i, m in each
        ],
        "comparison": [
            {"one": "proposed", "other": m, "statistic": s, "n": 119, "difference": d,
             "difference_ci95": _around(d), "p_value": p, "test": "Wilcoxon"}
            for m in METHODS[1:]
            for s, d, p in ((differences[1], -0.42, 0.0004), ("icc_agatston", 0.06, 0.031))
        ],
        "ablation": [
            {"heart": h, "slices": s, "sensitivity": 0.8 + h / 10, "false_positive_rate": 0.3,
             "f1": 0.7 + s / 10, **dict.fromkeys(differences, 0.9 - h / 4 - s / 8)}
            for h in (True, False) for s in (True, False)
        ],
        "heart": [
            {"n_scans": 79, "dice_median": 0.93, "dice_iqr": [0.91, 0.94],
             "hausdorff_mm_median": 12.5, "hausdorff_mm_iqr": [9.0, 17.0],
             "surface_mm_median": 1.4, "surface_mm_iqr": [1.1, 2.0]}
        ],
        "slices": [
            _estimates(0, ("accuracy", "sensitivity", "false_positive_rate"), n_slices=17450,
                       roc_area=0.97)
        ],
        "truth": [
            {"method": m, "group": g, "n": 80, "mass_bias_percent": -5.0 - 10 * i,
             "mass_slope": 0.93, "mass_r": 0.97, "mass_mae_mg": 4.5, "sensitivity": 0.9 - i / 10}
            for i, m in each for g in ("all", "lesions wholly below 130 HU")
        ],
        "conventions": [
            {"convention": "literature", "n_scans": 80, "agatston_mean": 212.4,
             "category_changes": 0},
            {"convention": "no minimum", "n_scans": 80, "agatston_mean": None,
             "category_changes": None},
        ],
        "refused": [{"scan": "p012-b", "why": "contrast: the heart holds <b>287 HU</b>"}],
    }  # fmt: skip


def drawn_pairs(n, seed=0):
    """Agatston scores and masses of n scan pairs by three methods, some of them 0."""
    random = np.random.default_rng(seed)
    base = np.where(random.random(n) < 0.4, 0.0, random.lognormal(4, 1.5, n))
    columns = {}
    for place, method in enumerate(METHODS):
        for scan in (1, 2):
            score = base * np.exp(random.normal(0, 0.2 * (1 + place), n))
            score[score < 10 * place] = 0.0
            columns |= {
                f"{method}_mass_{scan}": 1.6 * score,
                f"{method}_agatston_{scan}": score,
            }
    return pd.DataFrame({"patient": [f"name-of-{i}" for i in range(n)], **columns})


@pytest.fixture
def evidence():
    return made_up_evidence()


@pytest.fixture(scope="session")
def evidence_of():
    return made_up_evidence


@pytest.fixture(scope="session")
def pairs_of():
    return drawn_pairs
