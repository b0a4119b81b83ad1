import numpy as np

from cacnb.ct.volume import Volume
from cacnb.scoring.clinical import score_clinically
from cacnb.scoring.conventions import CONVENTIONS, convention
from cacnb.scoring.every_convention import score_by_every_convention


def test_each_row_is_the_score_by_its_convention():
    hu = np.full((3, 9, 9), 40, np.float32)
    hu[0:2, 2:5, 2:5], hu[1, 3, 3], hu[2, 7, 7] = 130, 310, 500
    scan = Volume(hu, (2.5, 0.8, 0.8))
    everywhere = scan.with_array(np.ones(scan.shape, bool))
    table = score_by_every_convention(scan, everywhere, slice_thickness_mm=3.0)
    assert list(table.index) == list(CONVENTIONS)
    for name, row in table.iterrows():
        scores = score_clinically(scan, everywhere, convention(name), slice_thickness_mm=3.0)
        assert row["volume_mm3"] == scores.volume_mm3
        assert row["lesions"] == len(scores.lesions)
        assert row["agatston"] == scores.agatston or (
            np.isnan(row["agatston"]) and scores.agatston is None
        )
        assert row["risk_category"] == (scores.risk_category or "")
    assert table["agatston"].nunique() > 3
