from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cacnb.calibration import PUBLISHED, calibrate, compare
from cacnb.errors import InputError
from cacnb.scoring.clinical import score_clinically
from cacnb.scoring.conventions import convention
from cacnb.simulation.cohort import StudyPlan, scan_name, simulate_study
from cacnb.simulation.scan import Person, simulate_scan


def scans(**masses: tuple[float, float]) -> pd.DataFrame:
    """One LAD lesion in each scan of each pair, visible, of the clinical mass given."""
    rows = []
    for pair, values in masses.items():
        for i, mass in enumerate(values):
            rows.append(
                {
                    "scan": f"{pair}_{i}", "pair": pair, "visible": True, "mass": mass,
                    "LAD_visible": True, "LAD_mass": mass,
                    "LCX_visible": False, "LCX_mass": 0.0,
                    "RCA_visible": False, "RCA_mass": 0.0,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def test_detection_and_difference_are_those_of_the_table() -> None:
    found = compare(scans(a=(100.0, 300.0), b=(0.0, 50.0), c=(200.0, 200.0)))
    by_name = {row.figure: row for row in found.rows}
    lad = by_name["visible CAC found at 130 HU, LAD"]
    assert (lad.simulated, lad.n) == (pytest.approx(5 / 6), 6)
    pairs = by_name["relative difference, scan pairs"]
    assert (pairs.simulated, pairs.n) == (pytest.approx(0.5), 2)
    assert by_name["relative difference, artery pairs"].simulated == pytest.approx(0.5)
    assert found.discordant_pairs == 1
    assert by_name["visible CAC found at 130 HU, RCA"].n == 0
    assert not by_name["visible CAC found at 130 HU, RCA"].within


def test_the_ranges_hold_the_published_figures() -> None:
    for published in PUBLISHED:
        assert published.low <= published.value <= published.high, published.figure


@pytest.mark.slow
def test_a_simulated_study_gives_what_its_scans_give(tmp_path: Path) -> None:
    """Seed 13: calcium in LAD and RCA."""
    plan = StudyPlan(pairs=1, seed=13, field_of_view="heart")
    list(simulate_study(plan, tmp_path, workers=1))
    found = calibrate(tmp_path)
    scored = []
    for hold in (True, False):
        scan = simulate_scan(Person.draw(13), breath_hold=hold, field_of_view="heart")
        scored.append(
            score_clinically(
                scan.image, scan.picked, convention(), slice_thickness_mm=3.0
            ).pseudo_mass_hu_mm3
        )
    assert found.scans == 2
    row = found.rows[-1]
    if min(scored) > 0:
        want = abs(scored[0] - scored[1]) / np.mean(scored)
        assert row.simulated == pytest.approx(want, rel=1e-3)
    else:
        assert found.discordant_pairs == int(max(scored) > 0)
    assert scan_name(13, breath_hold=True) == "sim00013_bh"


def test_a_study_without_truth_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cohort.csv").write_text(
        "scan,patient,pair,breath_hold,set,path\na,p,p,True,test,a.nii.gz\n"
    )
    with pytest.raises(InputError, match="no simulated study of pairs"):
        calibrate(tmp_path)
