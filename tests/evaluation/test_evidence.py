"""From a simulated study to its ablation, tables and report, with the shipped weights."""

import json
from pathlib import Path

import pytest

from cacnb.evaluation import evaluate_study
from cacnb.evaluation.ablation import SETTINGS, ablate_study
from cacnb.evaluation.pages import write_evidence
from cacnb.learning.weights import load_weights
from cacnb.pipeline import score_scan
from cacnb.results import named_scans, write_results
from cacnb.simulation.cohort import StudyPlan, simulate_study

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evidence") / "study"
    plan = StudyPlan(pairs=2, seed=506, field_of_view="heart", burden="varied")
    for _ in simulate_study(plan, folder):
        pass
    weights = load_weights()
    for name, path in named_scans([], folder):
        write_results(score_scan(path, weights, name=name), folder / "scores")
    return folder


def test_without_slices_and_heart_more_is_found_and_nothing_is_lost(study: Path) -> None:
    weights = load_weights()
    assert [new for _, new in ablate_study(study, weights)] == [True] * 4
    assert [new for _, new in ablate_study(study, weights)] == [False] * 4
    for file in (study / "scores").glob("*.ablation.json"):
        masses = json.loads(file.read_text())["masses"]
        assert len(masses) == len(SETTINGS)
        scored = json.loads((study / "scores" / file.name.replace(".ablation", "")).read_text())
        assert masses["HS+/CL+"] == scored["proposed"]["pseudo_mass_hu_mm3"]
        assert masses["HS+/CL-"] >= masses["HS+/CL+"]
        assert masses["HS-/CL-"] >= masses["HS-/CL+"]
    rows = evaluate_study(study).tables["ablation"]
    assert [(r["heart"], r["slices"]) for r in rows] == list(SETTINGS)
    assert rows[0]["n_scans"] == 4


def test_a_studys_evidence_is_one_page_with_its_figures_and_tables(
    study: Path, tmp_path: Path
) -> None:
    evidence = evaluate_study(study)
    report = write_evidence(study, evidence, tmp_path)
    page = report.read_text(encoding="utf-8")
    assert "simulated" in page.lower()
    assert "not a medical device" in page
    assert json.loads((tmp_path / "evidence.json").read_text())["heart"][0]["n_scans"] == 4
    for name in ("figure_7.png", "figure_6a.svg", "table_3.csv"):
        assert (tmp_path / "figures" / name).stat().st_size > 500
    truth = {row["method"] for row in evidence.tables["truth"]}
    assert truth == {"proposed", "clinical_manual", "clinical_automatic"}
