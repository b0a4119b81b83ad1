"""From a study folder to the clinical baseline, and from there to a clinical score."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from cacnb.clinical_training import clinical_sampler, clinical_truth
from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_image
from cacnb.errors import InputError
from cacnb.learning.clinical_baseline import ClinicalBaseline
from cacnb.learning.loop import Run
from cacnb.learning.recipes import ClinicalRecipe
from cacnb.learning.weights import STAGES, Weights, load_weights, save_weights, weights_folder
from cacnb.pipeline import clinical_arteries, score_scan
from cacnb.scoring.scored_scan import ScoredScan
from cacnb.simulation.scan import Person, SimulatedScan, simulate_scan
from cacnb.training import train_stage

TINY = ClinicalRecipe(
    name="tiny", iterations=4, first_iterations=3, batch=8, save_every=4, spacing_mm=2.0,
    widths=(4,) * 6, combined=8, dilations=(1, 1, 2, 4, 4, 1), labelled_px=3,
    second_widths=(4, 4, 4, 4), second_dense=8, second_px=27, voxels=4,
)  # fmt: skip

SPACING_MM, ORIGIN_MM = (3.0, 2.0, 2.0), (-40.0, 10.0, -5.0)
HEART = np.s_[5:15, 10:30, 10:30]
LAD, RCA, NOISE, RIB = (9, 13, 14), (11, 25, 20), (10, 20, 20), (10, 31, 15)


@dataclass(frozen=True)
class Scan:
    name: str
    path: Path
    heart: Path


def on_grid(array: np.ndarray) -> Volume:
    return Volume(array, SPACING_MM, ORIGIN_MM)


def write_scan(study: Path, name: str, *, painted: bool = True) -> Scan:
    """A scan with calcium of two arteries, noise at 130 HU in the heart and a rib beside it."""
    rng = np.random.default_rng(len(name))
    hu = rng.normal(-800, 20, (20, 40, 40))
    heart, picked = np.zeros(hu.shape, bool), np.zeros(hu.shape, bool)
    regions = np.zeros(hu.shape, np.uint8)
    heart[HEART] = True
    hu[heart] = rng.normal(40, 15, int(heart.sum()))
    for artery, at in ((1, LAD), (3, RCA)):
        z, y, x = at
        spot = np.s_[z : z + 1, y : y + 2, x : x + 2]
        hu[spot], picked[spot] = 300, True
        if painted or artery == 1:
            regions[z, y - 2 : y + 4, x - 2 : x + 4] = artery
    hu[NOISE], hu[RIB] = 140, 700
    write_image(on_grid(hu.astype(np.int16)), study / "scans" / f"{name}.nii.gz")
    write_image(on_grid(heart), study / "masks" / f"{name}.nii.gz")
    write_image(on_grid(picked), study / "clinical_lesions" / f"{name}.nii.gz")
    write_image(on_grid(regions), study / "lesion_regions" / f"{name}.nii.gz")
    return Scan(name, study / "scans" / f"{name}.nii.gz", study / "masks" / f"{name}.nii.gz")


def write_truth(study: Path, names: list[str]) -> None:
    """Where the lesions truly are, as x y z in mm."""
    rows = []
    for name in names:
        for artery, at in (("LAD", LAD), ("RCA", RCA)):
            z, y, x = np.add(ORIGIN_MM, np.multiply(at, SPACING_MM))
            rows.append({"scan": name, "artery": artery, "centre_mm": f"{x:.2f} {y:.2f} {z:.2f}"})
    pd.DataFrame(rows).to_csv(study / "truth_lesions.csv", index=False)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    study = tmp_path / "study"
    for folder in ("scans", "masks", "clinical_lesions", "lesion_regions"):
        (study / folder).mkdir(parents=True)
    names = [f"p{i}_bh" for i in range(5)]
    scans = [write_scan(study, name) for name in names]
    pd.DataFrame(
        {
            "scan": names, "patient": [n[:2] for n in names], "pair": [n[:2] for n in names],
            "breath_hold": True, "set": "drawn", "kvp": 120.0,
            "path": [str(s.path.relative_to(study)) for s in scans],
        }
    ).to_csv(study / "cohort.csv", index=False)  # fmt: skip
    write_truth(study, names)
    return study


def scan_of(study: Path, name: str = "p0_bh") -> Scan:
    return Scan(name, study / "scans" / f"{name}.nii.gz", study / "masks" / f"{name}.nii.gz")


def prepared(study: Path, name: str = "p0_bh") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    (folder,) = (study / "prepared").iterdir()
    image, table, labels = (
        np.load(folder / f"{name}.{what}.npy") for what in ("image", "candidates", "labels")
    )
    return image, table, labels


def test_what_a_reader_picked_is_coronary_and_all_else_that_is_bright_is_not(study: Path) -> None:
    clinical_sampler(TINY, [(study, [scan_of(study)])])
    image, table, labels = prepared(study)
    assert sorted(table[:, 3].tolist()) == [0, 0, 1, 1, 1, 1, 3, 3, 3, 3]
    assert table[:, 4].max() == 3  # two lesions, noise, rib
    assert (image[tuple(table[table[:, 3] > 0][:, :3].T)] > 200).all()
    assert set(labels[:, 3].tolist()) == {1, 3}
    assert (image[tuple(labels[:, :3].T)] > 130).any()


def test_a_study_is_prepared_once(study: Path) -> None:
    clinical_sampler(TINY, [(study, [scan_of(study)])])
    files = {p: p.stat().st_mtime_ns for p in (study / "prepared").rglob("*.npy")}
    scan_of(study).path.unlink()
    clinical_sampler(TINY, [(study, [scan_of(study)])])
    assert {p: p.stat().st_mtime_ns for p in (study / "prepared").rglob("*.npy")} == files


def truth(study: Path, name: str, lesions: pd.DataFrame | None) -> np.ndarray:
    grid = on_grid(np.zeros((20, 40, 40), np.float32))
    return clinical_truth(study, name, grid, lesions)


def test_a_lesion_that_nobody_painted_is_of_the_nearest_true_lesions_artery(study: Path) -> None:
    painted = truth(study, "p0_bh", None)
    write_scan(study, "p0_bh", painted=False)
    lesions = pd.read_csv(study / "truth_lesions.csv")
    told = truth(study, "p0_bh", lesions[lesions["scan"] == "p0_bh"])
    np.testing.assert_array_equal(told, painted)
    assert told[RCA] == 3
    assert told[LAD] == 1


def test_a_lesion_of_no_artery_is_refused(study: Path) -> None:
    write_scan(study, "p0_bh", painted=False)
    with pytest.raises(InputError, match="paint their regions") as refusal:
        truth(study, "p0_bh", None)
    assert refusal.value.code == "no_arteries"
    assert "\n" not in str(refusal.value)


def test_a_study_without_clinical_lesions_is_refused_in_a_sentence(
    study: Path, tmp_path: Path
) -> None:
    for file in (study / "clinical_lesions").iterdir():
        file.unlink()
    with pytest.raises(InputError, match="p0_bh has no image in clinical_lesions/") as refusal:
        next(train_stage("clinical", TINY, [study], Run(tmp_path / "run")))
    assert refusal.value.code == "no_clinical_lesions"
    (study / "clinical_lesions").rmdir()
    with pytest.raises(InputError, match="score it clinically first") as refusal:
        next(train_stage("clinical", TINY, [study], Run(tmp_path / "run")))
    assert refusal.value.code == "no_clinical_lesions"
    assert "\n" not in str(refusal.value)


def test_a_study_in_which_nothing_was_picked_is_refused(study: Path) -> None:
    nothing = on_grid(np.zeros((20, 40, 40), bool))
    write_image(nothing, study / "clinical_lesions" / "p0_bh.nii.gz")
    with pytest.raises(InputError, match="add scans with calcium") as refusal:
        clinical_sampler(TINY, [(study, [scan_of(study)])])
    assert refusal.value.code == "no_calcium"


def test_a_study_trains_both_networks_and_twice_the_same(study: Path, tmp_path: Path) -> None:
    runs = [
        list(train_stage("clinical", TINY, [study], Run(tmp_path / name))) for name in ("a", "b")
    ]
    assert [set(step.losses) for step in runs[0]] == [{"labels", "views", "label_accuracy"}] * 3 + [
        {"calcium", "calcium_accuracy"}
    ]
    assert [s.losses for s in runs[0]] == [s.losses for s in runs[1]]
    (folder,) = (study / "prepared").iterdir()
    names = {p.name.split(".")[0] for p in folder.iterdir()}
    assert names == {"p0_bh", "p1_bh", "p2_bh", "p3_bh"}  # the fifth is kept for validation


class Says(nn.Module):
    """The same probabilities for every candidate."""

    def __init__(self, *probability: float) -> None:
        super().__init__()
        self.probability = torch.tensor(probability)

    def forward(self, views: Tensor) -> Tensor:
        return self.probability.expand(len(views), 4)


@pytest.fixture(scope="module")
def without_baseline() -> Weights:
    return replace(load_weights("demo"), clinical=None, clinical_recipe=None)


@pytest.fixture(scope="module")
def calcified() -> SimulatedScan:
    seed = max(
        range(700, 710),
        key=lambda seed: sum(
            lesion.mass_mg for lesion in Person.draw(seed).lesions if lesion.is_coronary
        ),
    )
    return simulate_scan(Person.draw(seed), breath_hold=True, field_of_view="heart")


@pytest.fixture(scope="module")
def scan_file(calcified: SimulatedScan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clinical") / "scan.nii.gz"
    write_image(calcified.image, path)
    return path


def with_baseline(weights: Weights, network: nn.Module, least: float = 0.5) -> Weights:
    card = {
        **weights.card, "thresholds": {**weights.card["thresholds"], "clinical_probability": least}
    }  # fmt: skip
    return replace(weights, card=card, clinical=network, clinical_recipe=TINY)


def scored(path: Path, weights: Weights) -> ScoredScan:
    found = score_scan(path, weights)
    assert found.clinical is not None
    return found


def test_the_baseline_decides_what_the_clinical_score_counts(
    scan_file: Path, without_baseline: Weights
) -> None:
    everything = scored(scan_file, with_baseline(without_baseline, Says(0.4, 0.1, 0.3, 0.2)))
    assert everything.clinical is not None
    assert everything.clinical.agatston
    assert set(everything.clinical.lesions["artery"]) == {"LCX"}
    assert {row["artery"] for row in everything.clinical.as_json()["lesions"]} == {"LCX"}
    nothing = scored(scan_file, with_baseline(without_baseline, Says(0.6, 0.1, 0.1, 0.2)))
    assert nothing.clinical is not None
    assert nothing.clinical.agatston == 0
    assert not len(nothing.clinical.lesions)
    assert nothing.proposed is not None
    assert everything.proposed is not None
    assert nothing.proposed.as_json() == everything.proposed.as_json()


def test_without_a_baseline_the_atlas_says_where_clinical_calcium_counts(
    scan_file: Path, without_baseline: Weights
) -> None:
    found = scored(scan_file, without_baseline)
    assert found.clinical is not None
    assert found.clinical.agatston
    assert "artery" not in found.clinical.lesions
    everything = scored(scan_file, with_baseline(without_baseline, Says(0, 0, 0, 1)))
    assert everything.clinical is not None
    assert found.clinical.volume_mm3 <= everything.clinical.volume_mm3


def test_the_baseline_labels_only_bright_voxels_near_the_heart(
    calcified: SimulatedScan, without_baseline: Weights
) -> None:
    weights = with_baseline(without_baseline, Says(0, 1, 0, 0))
    arteries = clinical_arteries(calcified.image, calcified.heart, weights)
    assert arteries is not None
    assert calcified.image.array[arteries.array > 0].min() >= 130
    assert set(np.unique(arteries.array)) == {0, 1}
    assert not (
        (calcified.image.array >= 130) & calcified.heart.array & (arteries.array == 0)
    ).any()
    assert clinical_arteries(calcified.image, calcified.heart, without_baseline) is None


def test_weights_with_and_without_a_baseline_load(tmp_path: Path) -> None:
    packaged = weights_folder("demo")
    card = json.loads((packaged / "card.json").read_text())
    old = {stage: entry for stage, entry in card["files"].items() if stage != "clinical"}
    for name in (*STAGES, "arteries"):
        (tmp_path / f"{name}.safetensors").write_bytes(
            (packaged / f"{name}.safetensors").read_bytes()
        )
    (tmp_path / "card.json").write_text(json.dumps({**card, "files": old}))
    without = load_weights(str(tmp_path))
    assert without.clinical is None
    assert without.clinical_recipe is None

    torch.manual_seed(0)
    baseline = ClinicalBaseline(TINY).eval()
    save_weights(tmp_path / "made", {"clinical": baseline}, {"clinical": TINY.as_dict()}, {}, {})
    made = json.loads((tmp_path / "made" / "card.json").read_text())["files"]["clinical"]
    content = (tmp_path / "made" / "clinical.safetensors").read_bytes()
    (tmp_path / "clinical.safetensors").write_bytes(content)
    (tmp_path / "card.json").write_text(json.dumps({**card, "files": {**old, "clinical": made}}))
    weights = load_weights(str(tmp_path))
    assert weights.clinical is not None
    assert weights.clinical_recipe == TINY
    assert weights.sha256 != without.sha256
    views = torch.randn(3, 3, 27, 27)
    with torch.inference_mode():
        torch.testing.assert_close(weights.clinical(views), baseline(views))

    (tmp_path / "clinical.safetensors").write_bytes(content[:-1] + b"\x00")
    with pytest.raises(InputError, match="clinical") as refusal:
        load_weights(str(tmp_path))
    assert refusal.value.code == "bad_weights"
