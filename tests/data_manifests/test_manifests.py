"""The manifests of public series, against the index they come from and another query of it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "data_manifests"
OTHER_QUERY = ROOT.parent / "shared" / "manifests"

pytest.importorskip("idc_index_data", reason="needs the extra fetch: its index of public series")
NAMES = ("nlst_train", "lctsc_heart", "rider_lung_repeats", "ct_vs_pet_breathing")

needs_other_query = pytest.mark.skipif(
    not OTHER_QUERY.is_dir(), reason="needs ../shared/manifests, another query of the same index"
)


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_manifests", FOLDER / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def index(make: ModuleType) -> pd.DataFrame:
    found: pd.DataFrame = make.packaged_index()
    return found


def rows_of(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / f"{name}.csv", dtype=str)


def other(name: str) -> pd.DataFrame:
    return pd.read_csv(OTHER_QUERY / f"{name}.csv", dtype=str)


@pytest.mark.parametrize("name", NAMES)
def test_the_manifests_are_what_the_script_makes_of_the_packaged_index(
    make: ModuleType, index: pd.DataFrame, name: str
) -> None:
    text = make.manifest(f"{name}.csv", index).to_csv(index=False, lineterminator="\n")
    assert (FOLDER / f"{name}.csv").read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", NAMES)
def test_every_row_has_licence_doi_address_and_size_and_no_series_comes_twice(name: str) -> None:
    rows = rows_of(name)
    told = rows[["collection", "series_uid", "licence", "doi", "url", "size_mb", "files", "set"]]
    assert told.notna().all().all()
    assert rows["series_uid"].is_unique
    masks = rows[rows["role"] == "heart_mask"]
    assert masks["of_series"].isin(rows.loc[rows["role"] == "scan", "series_uid"]).all()


def test_the_training_set_has_the_papers_size_and_its_ranges() -> None:
    rows = rows_of("nlst_train")
    scans = rows[rows["role"] == "scan"]
    assert len(scans) == scans["patient"].nunique() == 626
    assert sorted(rows.loc[rows["role"] == "heart_mask", "of_series"]) == sorted(
        scans["series_uid"]
    )
    assert set(scans["kvp"].astype(float)) == {120.0, 140.0}
    assert scans["slice_thickness_mm"].astype(float).between(1.0, 2.5).all()


@needs_other_query
def test_the_other_querys_training_scans_are_candidates_here_with_the_same_segmentation(
    make: ModuleType, index: pd.DataFrame
) -> None:
    ours = make.nlst_candidates(index).set_index("series_uid")
    theirs = other("nlst_626_baseline_heart").set_index("SeriesInstanceUID")
    assert len(theirs) == 626
    shared = [uid for uid in theirs.index if uid in ours.index]
    assert len(shared) >= 620
    theirs, ours = theirs.loc[shared], ours.loc[shared]
    assert (theirs["seg_uid"] == ours["mask_uid"]).all()
    assert (theirs["kernel"] == ours["kernel"]).all()
    for told in ("kvp", "slice_thickness_mm"):
        assert (theirs[told].astype(float) == ours[told]).all()


@needs_other_query
def test_hazardous_series_of_the_other_query_are_not_in_the_training_set() -> None:
    hazards = other("nlst_hazard_series")["SeriesInstanceUID"]
    assert not rows_of("nlst_train")["series_uid"].isin(hazards).any()


@needs_other_query
def test_planning_cts_repeats_and_breathing_scans_are_the_other_querys_less_what_is_no_pair() -> (
    None
):
    contours = other("lctsc_heart_rtstruct")
    assert set(rows_of("lctsc_heart")["series_uid"]) == set(contours["SeriesInstanceUID"])
    repeats = other("rider_lung_ct_pairs")
    pairs = repeats[repeats["n_in_pair"] == "2"]["SeriesInstanceUID"]
    assert set(rows_of("rider_lung_repeats")["series_uid"]) == set(pairs)
    breathing = other("ct_vs_pet_breathing_pairs")
    volumes = breathing[~breathing["role"].str.startswith("4D-CT")]["SeriesInstanceUID"]
    assert set(rows_of("ct_vs_pet_breathing")["series_uid"]) == set(volumes)
