from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cacnb.ct.reading import read_scan
from cacnb.ct.writing import write_image
from cacnb.errors import InputError, UsageError
from cacnb.evaluation import score_table
from cacnb.inserting import insert_study
from cacnb.learning.weights import Weights, load_weights
from cacnb.pipeline import score_scan
from cacnb.results import named_scans, write_results
from cacnb.simulation.scan import Person, simulate_scan

ACRIN = Path(__file__).parents[2] / "shared" / "data" / "acrin_flt_breast_013"


@pytest.fixture(scope="module")
def weights() -> Weights:
    return load_weights("demo")


def run(path: Path, weights: Weights, out: Path, **options: object) -> list[str]:
    values = {"pairs": 1, "seed": 3, **options}
    return list(insert_study(path, weights, out, **values))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A scan without calcium under a name that must not travel, and its heart."""
    folder = tmp_path_factory.mktemp("host")
    scan = simulate_scan(Person.draw(0), breath_hold=True, field_of_view="heart")
    image, heart = folder / "MUSTERMANN.nii.gz", folder / "heart.nii.gz"
    write_image(scan.image, image)
    write_image(scan.heart, heart)
    return image, heart


def test_an_inserted_study_is_scored_and_has_its_truth(
    host: tuple[Path, Path], weights: Weights, tmp_path: Path
) -> None:
    image, heart = host
    names = run(image, weights, tmp_path, heart_path=heart, burden="nlst")
    assert names == ["ins00003_a", "ins00003_b"]
    for name, path in named_scans([], tmp_path):
        found = score_scan(path, weights, heart_path=heart, name=name)
        write_results(found, tmp_path / "scores")
    table = score_table(tmp_path)
    assert (table["mass_mg"] > 0).all()
    assert table["proposed_mass"].notna().all()
    assert (tmp_path / "picture.png").stat().st_size > 1000
    assert run(image, weights, tmp_path, heart_path=heart, burden="nlst") == names


def test_nothing_of_the_source_is_named_in_the_study(
    host: tuple[Path, Path], weights: Weights, tmp_path: Path
) -> None:
    image, heart = host
    run(image, weights, tmp_path, heart_path=heart)
    for file in tmp_path.rglob("*"):
        assert "MUSTERMANN" not in file.name
        if file.suffix in (".csv", ".json", ".toml"):
            assert "MUSTERMANN" not in file.read_text(encoding="utf-8")


def test_a_call_that_makes_no_study_is_refused(
    host: tuple[Path, Path], weights: Weights, tmp_path: Path
) -> None:
    image, heart = host
    with pytest.raises(UsageError, match="at least 1 pair"):
        run(image, weights, tmp_path, pairs=0)
    with pytest.raises(UsageError, match="burden"):
        run(image, weights, tmp_path, burden="gold")
    with pytest.raises(InputError):
        run(heart, weights, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_mask_that_shows_no_heart_is_refused(
    host: tuple[Path, Path], weights: Weights, tmp_path: Path
) -> None:
    image, _ = host
    _, volume = read_scan(image)
    small = np.zeros(volume.shape, bool)
    small[20:26, 50:62, 50:62] = True
    write_image(volume.with_array(small), tmp_path / "small.nii.gz")
    with pytest.raises(InputError) as refusal:
        run(image, weights, tmp_path / "none", heart_path=tmp_path / "small.nii.gz")
    assert refusal.value.code == "no_heart"
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
@pytest.mark.skipif(not ACRIN.is_dir(), reason="the real scan is not on this machine")
def test_calcium_is_inserted_into_a_real_scan_whose_heart_the_network_finds(
    weights: Weights, tmp_path: Path
) -> None:
    run(ACRIN, weights, tmp_path, burden="nlst")
    lesions = pd.read_csv(tmp_path / "truth_lesions.csv")
    assert len(lesions) >= 2
    assert pd.read_csv(tmp_path / "truth_scans.csv")["visible"].all()
