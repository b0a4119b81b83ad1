import json
import shutil
import sys

import numpy as np
import pytest

from cacnb.errors import InputError
from cacnb.lessons.scored import clearest_scan, score_study, scored_scan
from cacnb.studies import open_study


def test_a_scored_scan_has_its_images_on_one_grid_and_its_tables(study):
    scan = scored_scan(study, "one")
    for other in (scan.heart, scan.cac_map, scan.healthy, scan.counted):
        assert other.same_grid(scan.image)
    inside = scan.cac_map.array > 0
    assert np.allclose(scan.healthy.array[~inside], scan.image.array[~inside])
    taken = np.clip(scan.image.array, -50, 950) - scan.cac_map.array
    assert np.allclose(scan.healthy.array[inside], taken[inside])
    assert scan.lesions["artery"].tolist() == ["LAD", "RCA"]
    assert scan.probability_of_cac.shape == (scan.image.shape[0],)
    told = json.loads((study.folder / "scores" / "one.json").read_text())
    assert scan.scores.loc["clinical", "Agatston score"] == told["clinical"]["agatston"]
    assert scan.title == "one"


def test_the_clearest_scan_is_the_one_whose_second_lesion_is_largest(study):
    assert clearest_scan(study) == "two"  # its map is twice as strong


def test_a_scan_that_only_the_map_finds_calcium_in_is_not_the_clearest(study):
    file = study.folder / "scores" / "two.json"
    told = json.loads(file.read_text())
    told["clinical"]["pseudo_mass_hu_mm3"] = 0.0
    file.write_text(json.dumps(told))
    assert clearest_scan(study) == "one"


def test_a_scan_without_result_is_told_to_be_scored(scored_study):
    with pytest.raises(InputError, match="score_study") as refusal:
        scored_scan(open_study(scored_study), "three")
    assert refusal.value.code == "not_scored"
    with pytest.raises(InputError, match="no scan"):
        scored_scan(open_study(scored_study), "four")


def test_a_refused_scan_says_why(study):
    for file in (study.folder / "scores").glob("one.*.nii.gz"):
        file.unlink()
    file = study.folder / "scores" / "one.json"
    reasons = [{"code": "no_heart", "message": "no heart was found"}]
    file.write_text(json.dumps({"scan": "one", "verdict": "refused", "reasons": reasons}))
    with pytest.raises(InputError, match="no heart was found"):
        scored_scan(study, "one")
    assert clearest_scan(study) == "two"


def test_a_study_without_any_result_has_no_clearest_scan(study):
    shutil.rmtree(study.folder / "scores")
    with pytest.raises(InputError) as refusal:
        clearest_scan(study)
    assert refusal.value.code == "not_scored"


def test_a_scored_study_is_not_scored_again_whatever_weights_made_it(study, monkeypatch):
    monkeypatch.setitem(sys.modules, "cacnb.running.study_run", None)  # not to be imported
    before = sorted((f, f.stat().st_mtime_ns) for f in study.folder.rglob("*"))
    assert score_study(study)["scan"].tolist() == ["one", "two"]
    assert sorted((f, f.stat().st_mtime_ns) for f in study.folder.rglob("*")) == before


def test_a_scan_whose_scoring_failed_is_not_tried_again(study, monkeypatch):
    monkeypatch.setitem(sys.modules, "cacnb.running.study_run", None)
    for file in (study.folder / "scores").glob("one.*"):
        file.unlink()
    (study.folder / "scores" / "failed").mkdir()
    (study.folder / "scores" / "failed" / "one.json").write_text("{}")
    assert score_study(study)["scan"].tolist() == ["two"]


def test_scores_of_other_weights_are_never_replaced(scored_study, tmp_path):
    copy = tmp_path / "study"
    shutil.copytree(scored_study, copy)
    for file in (copy / "scores").glob("*.json"):
        told = json.loads(file.read_text())
        told["weights"] = {"name": "mine", "sha256": "0" * 64}
        file.write_text(json.dumps(told))
    with pytest.raises(InputError) as refusal:
        score_study(open_study(copy))
    assert refusal.value.code == "other_weights"
    assert json.loads((copy / "scores" / "one.json").read_text())["weights"]["name"] == "mine"
