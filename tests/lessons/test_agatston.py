import json

import numpy as np
import pandas as pd
import pytest

from cacnb.ct.writing import write_image
from cacnb.errors import InputError
from cacnb.lessons.agatston import (
    clinical_steps_of,
    conventions_beside,
    lesion_view,
    lesions_by_peak,
    risk_table,
    weights_chart,
)
from cacnb.lessons.missing import Missing
from cacnb.lessons.scored import scored_scan
from cacnb.scoring.agatston_steps import adjusted_steps
from cacnb.scoring.conventions import CONVENTIONS, convention


def test_the_steps_of_a_scored_scan_add_up_to_the_score_in_its_result(study):
    told = json.loads((study.folder / "scores" / "one.json").read_text())
    found = clinical_steps_of(study, "one")
    assert found.agatston == told["clinical"]["agatston"] > 0
    assert len(found.by_lesion) == len(told["clinical"]["lesions"])


def test_the_steps_of_a_map_read_back_add_up_to_the_score_in_its_result(study):
    scan = scored_scan(study, "two")
    told = json.loads((study.folder / "scores" / "two.json").read_text())
    found = adjusted_steps(scan.cac_map, scan.image).agatston
    assert found == pytest.approx(told["proposed"]["agatston_adjusted"], rel=0.05)


def test_a_scan_without_result_has_no_steps(scored_study):
    from cacnb.studies import open_study

    with pytest.raises(InputError, match="score_study"):
        clinical_steps_of(open_study(scored_study), "three")


def test_two_hu_at_an_edge_double_a_score_and_leave_the_pseudo_mass():
    table = lesions_by_peak((129, 131, 199, 201))
    clinical, adjusted = table["Agatston score"], table["adjusted Agatston score"]
    mass = table["pseudo-mass (HU·mm³)"]
    assert clinical[129] == 0 < adjusted[129]
    assert clinical[131] == clinical[199] == adjusted[129]
    # one decimal is told
    assert clinical[201] == pytest.approx(2 * clinical[199], abs=0.15)
    assert (clinical == adjusted)[[131, 199, 201]].all()
    assert mass[201] / mass[199] == pytest.approx(1, abs=0.005)
    assert mass.is_monotonic_increasing


def test_the_weights_of_both_rules_differ_below_130_hu_alone(study):
    scan = scored_scan(study, "one")
    figure = weights_chart(
        clinical_steps_of(study, "one"), adjusted_steps(scan.cac_map, scan.image), simulated=True
    )
    rules = figure.numbers.query("what == 'rule'").set_index(["rule", "peak_hu"])["weight"]
    clinical, adjusted = rules["clinical, from 130 HU"], rules["adjusted"]
    assert (clinical.index[clinical != adjusted] < 130).all()
    assert (clinical == convention().weight(clinical.index.to_numpy())).all()
    assert "simulated" in figure.alt


def test_the_lesions_are_shown_where_the_clinical_score_counts(study):
    scan = scored_scan(study, "one")
    view = lesion_view(scan)
    (z,), (box,) = view.at, view.picture.box
    assert scan.counted.array[box][z].any()
    assert len(view.picture.stacks[0].layers) == 2


def test_conventions_are_compared_on_what_a_reader_picked_where_there_is_such(study):
    automatic = conventions_beside(study)
    assert list(automatic.index) == list(CONVENTIONS)
    volume = study.scan("one")
    picked = np.zeros(volume.shape, np.uint8)
    picked[3, 10:12, 10:13] = 1
    write_image(volume.with_array(picked), study.folder / "clinical_lesions" / "one.nii.gz")
    found = conventions_beside(study)
    assert found.loc["literature", "volume_mm3"] == 6 * 3.0
    assert automatic.loc["literature", "volume_mm3"] > 6 * 3.0


def test_a_study_without_clinical_calcium_says_so(study):
    for name in ("one", "two"):
        file = study.folder / "scores" / f"{name}.json"
        told = json.loads(file.read_text())
        told["clinical"]["agatston"] = 0.0
        file.write_text(json.dumps(told))
    assert isinstance(conventions_beside(study), Missing)


def test_a_score_between_two_bounds_belongs_to_the_category_that_it_reached():
    table = risk_table((10, 10.4, 100, 401))
    assert table["risk category"].tolist() == ["I", "II", "II", "IV"]
    assert isinstance(table, pd.DataFrame)
