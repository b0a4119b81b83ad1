"""One scan from a volume to scores, with the shipped weights, on simulated scans."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_image
from cacnb.learning.weights import Weights, load_weights
from cacnb.pipeline import Options, score_scan, segment_heart
from cacnb.scoring.scored_scan import ScoredScan
from cacnb.simulation.scan import Person, SimulatedScan, simulate_scan

#: A person of seeds that no training saw, with the most calcium of the first ten.
CALCIFIED_SEED = max(
    range(700, 710),
    key=lambda seed: sum(
        lesion.mass_mg for lesion in Person.draw(seed).lesions if lesion.is_coronary
    ),
)


@pytest.fixture(scope="module")
def weights() -> Weights:
    return load_weights("demo")


@pytest.fixture(scope="module")
def calcified() -> SimulatedScan:
    return simulate_scan(Person.draw(CALCIFIED_SEED), breath_hold=True, field_of_view="heart")


@pytest.fixture(scope="module")
def scan_file(calcified: SimulatedScan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pipeline") / "scan.nii.gz"
    write_image(calcified.image, path)
    return path


@pytest.fixture(scope="module")
def scored(scan_file: Path, weights: Weights) -> ScoredScan:
    return score_scan(scan_file, weights)


def test_the_simulated_heart_is_found(calcified: SimulatedScan, weights: Weights) -> None:
    found = segment_heart(calcified.image, weights).array
    truth = calcified.heart.array
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.85


def test_calcium_of_known_mass_is_found_where_it_is(
    scored: ScoredScan, calcified: SimulatedScan
) -> None:
    assert scored.cac_map is not None
    assert scored.proposed is not None
    assert scored.proposed.pseudo_mass_hu_mm3 > 0
    peak = np.unravel_index(np.argmax(scored.cac_map.array), scored.cac_map.shape)
    at = np.asarray(scored.cac_map.to_mm(peak))  # type: ignore[arg-type]
    away = [np.linalg.norm(at - centre) for centre in calcified.centres_mm.values()]
    assert min(away) < 15


def test_the_map_stays_inside_the_heart_and_on_positive_slices(
    scored: ScoredScan, weights: Weights
) -> None:
    assert scored.cac_map is not None
    assert scored.heart is not None
    assert scored.probability_of_cac is not None
    probability = np.nan_to_num(scored.probability_of_cac)
    above = probability >= weights.threshold("slice_probability_beside")
    assert not scored.cac_map.array[~above].any()
    shown = scored.cac_map.array.any(axis=(1, 2))
    assert probability[shown].max() >= weights.threshold("slice_probability")
    outside = scored.cac_map.array[~scored.heart.array]
    # A map pixel of 1 mm may reach over the edge of the mask by a pixel of the scan.
    assert (outside > 0).sum() < 0.2 * (scored.cac_map.array > 0).sum()


def test_pseudo_mass_is_the_sum_of_the_map(scored: ScoredScan) -> None:
    assert scored.cac_map is not None
    assert scored.proposed is not None
    total = float(scored.cac_map.array.sum(dtype=np.float64)) * scored.cac_map.voxel_volume_mm3
    assert scored.proposed.pseudo_mass_hu_mm3 == pytest.approx(total, rel=1e-5)
    assert scored.proposed.pseudo_mass_hu_mm3 == pytest.approx(
        scored.proposed.lesions["pseudo_mass_hu_mm3"].sum(), rel=1e-6
    )


def test_a_larger_smallest_map_value_never_adds_mass(scan_file: Path, weights: Weights) -> None:
    masses = []
    for least in (0.0, 20.0, 80.0):
        found = score_scan(scan_file, weights, options=Options(smallest_map_hu=least))
        assert found.proposed is not None
        masses.append(found.proposed.pseudo_mass_hu_mm3)
    assert masses == sorted(masses, reverse=True)


def test_without_slice_classification_every_heart_slice_is_analysed(
    scan_file: Path, weights: Weights, scored: ScoredScan
) -> None:
    every = score_scan(scan_file, weights, options=Options(use_slices=False))
    assert every.proposed is not None
    assert scored.proposed is not None
    assert every.proposed.pseudo_mass_hu_mm3 >= scored.proposed.pseudo_mass_hu_mm3


def test_scoring_twice_gives_the_same_numbers(
    scan_file: Path, weights: Weights, scored: ScoredScan
) -> None:
    again = score_scan(scan_file, weights)
    assert again.proposed is not None
    assert scored.proposed is not None
    assert again.proposed.as_json() == scored.proposed.as_json()


def test_a_volume_of_air_has_no_heart(tmp_path: Path, weights: Weights) -> None:
    air = Volume(np.full((40, 64, 64), -1000, np.int16), (3.0, 2.0, 2.0))
    write_image(air, tmp_path / "air.nii.gz")
    found = score_scan(tmp_path / "air.nii.gz", weights)
    assert found.verdict == "refused"
    assert "no_heart" in [reason.code for reason in found.reasons]
    assert found.proposed is None


def test_a_heart_with_contrast_medium_is_refused(tmp_path: Path, weights: Weights) -> None:
    person = Person.draw(702)
    tissues = replace(person.anatomy.tissues, contrast=250.0)
    enhanced = replace(person, anatomy=replace(person.anatomy, tissues=tissues))
    scan = simulate_scan(enhanced, breath_hold=False, field_of_view="heart")
    write_image(scan.image, tmp_path / "enhanced.nii.gz")
    found = score_scan(tmp_path / "enhanced.nii.gz", weights)
    assert "contrast" in [reason.code for reason in found.reasons]


def test_a_heart_cut_off_by_the_scan_is_refused(
    calcified: SimulatedScan, tmp_path: Path, weights: Weights
) -> None:
    image = calcified.image
    middle = int(np.mean(np.flatnonzero(calcified.heart.array.any(axis=(1, 2)))))
    half = Volume(image.array[middle:], image.spacing_mm, image.origin_mm)
    write_image(half, tmp_path / "half.nii.gz")
    found = score_scan(tmp_path / "half.nii.gz", weights)
    assert found.verdict == "refused"
    assert {reason.code for reason in found.reasons} & {"heart_truncated", "no_heart"}
