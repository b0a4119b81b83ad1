import pandas as pd
import pytest

from cacnb.errors import InputError
from cacnb.export.lesion_table import heaviest_lesions, write_lesions_csv
from cacnb.scoring.proposed import PROPOSED_COLUMNS


def test_a_lesion_file_holds_every_lesion_and_column(scan, tmp_path):
    write_lesions_csv(scan, tmp_path / "lesions.csv")
    back = pd.read_csv(tmp_path / "lesions.csv")
    assert tuple(back.columns) == PROPOSED_COLUMNS
    assert back.pseudo_mass_hu_mm3.sum() == pytest.approx(scan.proposed.pseudo_mass_hu_mm3)


def test_a_scan_without_calcium_has_a_table_without_rows(without_calcium, tmp_path):
    write_lesions_csv(without_calcium, tmp_path / "lesions.csv")
    assert pd.read_csv(tmp_path / "lesions.csv").empty
    assert heaviest_lesions(without_calcium, 5) == []


def test_a_refused_scan_has_no_lesion_file(refused, tmp_path):
    with pytest.raises(InputError, match="no lesion table") as caught:
        write_lesions_csv(refused, tmp_path / "lesions.csv")
    assert caught.value.code == "no_scores"
    assert heaviest_lesions(refused, 5) == []
