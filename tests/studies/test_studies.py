"""A study as notebooks and commands see it: Table 1, status, splits, frames, contact sheet."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from cacnb.cli import app
from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_image
from cacnb.errors import InputError
from cacnb.studies import open_study
from cacnb.study.cohort import read_cohort

#: Patients: (name, scans, heart mask, calcium in how many scans).
PATIENTS = [(f"p{i}", 2 if i < 12 else 1, i % 2 == 0, i % 3) for i in range(20)]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Twelve patients with a pair and eight with one scan: tables and empty files, no image."""
    folder = tmp_path / "clinic"
    rows, labels = [], []
    for patient, scans, heart, calcified in PATIENTS:
        for at in range(scans):
            name = f"{patient}_{at}"
            rows.append(
                {"scan": name, "patient": patient, "pair": patient if scans == 2 else None,
                 "breath_hold": at == 0, "path": f"scans/{name}.nii.gz", "kvp": 120,
                 "slices": 50, "spacing_z_mm": 3.0, "spacing_xy_mm": 0.9 + 0.1 * at,
                 "heart": "a column of the user's own"}
            )  # fmt: skip
            labels += [(name, z, int(z == 3 and at < calcified)) for z in range(5)]
            for where in ["scans", *(["masks"] if heart else [])]:
                (folder / where).mkdir(parents=True, exist_ok=True)
                (folder / where / f"{name}.nii.gz").write_bytes(b"")
    pd.DataFrame(rows).to_csv(folder / "cohort.csv", index=False)
    told = pd.DataFrame(labels, columns=["scan", "slice", "contains_cac"])
    told.assign(reader="A").to_csv(folder / "slice_labels.csv", index=False)
    (folder / "study.toml").write_text('name = "clinic"\n', encoding="utf-8")
    return folder


def run(*words: object) -> str:
    done = CliRunner().invoke(app, ["study", *map(str, words)])
    assert done.exit_code == 0, done.output
    return done.stdout


def rows_of_table1(study: Path) -> dict[str, dict[str, object]]:
    told = json.loads(run("table1", study, "--json"))
    return {row["name"]: row for row in told["rows"]}


def test_a_split_puts_every_patient_on_one_side_and_is_drawn_once(study: Path) -> None:
    run("split", study, "--share", "train=0.5", "--share", "val=0.2", "--share", "test=0.3")
    cohort = read_cohort(study)
    assert len(cohort[["patient", "set"]].drop_duplicates()) == len(PATIENTS)
    patients = cohort.drop_duplicates("patient")["set"].value_counts()
    assert patients.to_dict() == {"train": 10, "val": 4, "test": 6}
    done = CliRunner().invoke(app, ["study", "split", str(study)])
    assert isinstance(done.exception, InputError)
    assert done.exception.code == "already_split"
    before = (study / "cohort.csv").read_bytes()
    run("split", study, "--share", "train=0.5", "--share", "val=0.2", "--share", "test=0.3",
        "--replace")  # fmt: skip
    assert (study / "cohort.csv").read_bytes() == before


def test_a_leaking_cohort_is_refused_everywhere_until_it_is_split_again(study: Path) -> None:
    cohort = read_cohort(study)
    cohort.assign(set=["train", "test"] + ["train"] * 30).to_csv(study / "cohort.csv", index=False)
    for command in ("table1", "status", "pair"):
        done = CliRunner().invoke(app, ["study", command, str(study)])
        assert isinstance(done.exception, InputError)
        assert done.exception.code == "leakage"
        assert "rows 2, 3" in str(done.exception)
    run("split", study, "--replace")
    assert len(rows_of_table1(study)) == 3


def test_table_1_counts_scans_annotations_and_purpose_of_the_papers_sets(study: Path) -> None:
    run("split", study, "--paper")
    rows = rows_of_table1(study)
    train = rows["RTP_train"]
    assert (train["patients"], train["scans"], train["breath_hold"]) == (8, 8, 8)
    assert train["heart"] == rows["RTP_trainHS"]["scans"] + rows["RTP_testHS"]["scans"] == 4
    assert train["labelled"] == 8
    assert train["purposes"]["slices"] == {"train": 8, "val": 0, "test": 0}
    assert train["purposes"]["heart"] == {"train": 0, "val": 0, "test": 0}
    assert rows["RTP_testHS"]["purposes"]["heart"]["test"] == rows["RTP_testHS"]["patients"]
    assert sum(rows[name]["patients"] for name in rows if name.endswith(("test1", "test2"))) == 11
    assert train["acquisition"]["spacing_xy_mm"] == [0.9, 0.9]


def test_table_1_in_print_and_as_a_page_has_the_same_cells(study: Path, tmp_path: Path) -> None:
    run("split", study, "--paper")
    page = tmp_path / "table1.html"
    printed = run("table1", study, "--html", page)
    html = page.read_text(encoding="utf-8")
    for words in ("RTP_trainHS", "A. Scans", "4 of 8", "Tr: training"):
        assert words in printed
        assert words in html
    assert "<script" not in html


def test_an_unsplit_study_has_a_table_1_too(study: Path) -> None:
    (row,) = rows_of_table1(study).values()
    assert (row["name"], row["part"], row["patients"]) == ("(no set)", "Not split", 20)
    assert row["purposes"]["slices"] == {"train": 16, "val": 4, "test": 0}


def test_status_names_what_is_missing_and_the_command_that_fills_it(study: Path) -> None:
    (study / "scans" / "p3_0.nii.gz").unlink()
    (study / "runs" / "first").mkdir(parents=True)
    (study / "runs" / "first" / "recipe.json").write_text('{"stage": "heart"}', encoding="utf-8")
    told = json.loads(run("status", study, "--json"))
    stages = {stage["name"]: stage for stage in told["stages"]}
    assert stages["scans"]["missing"] == ["p3_0"]
    assert stages["pairs, by patient"]["is_done"]
    assert stages["heart masks"]["done"] == sum(s for _, s, heart, _ in PATIENTS if heart)
    assert stages["slice labels"]["is_done"]
    assert stages["lesion regions"]["of"] == sum(min(s, c) for _, s, _, c in PATIENTS)
    assert stages["trained networks"]["missing"] == ["slices", "decomposition", "clinical"]
    assert "cacnb train slices --study" in stages["trained networks"]["command"]
    assert stages["scores"]["command"] == f"cacnb run --study {study}"
    assert "p3_0" in run("status", study)


def test_every_command_that_status_names_is_there(study: Path) -> None:
    told = json.loads(run("status", study, "--json"))
    for stage in told["stages"]:
        words = stage["command"].split()[1:]
        if not words:
            continue
        named = [word for word in words[:2] if "/" not in word and not word.startswith("-")]
        named = named[:1] if named[0] in ("run", "train") else named
        done = CliRunner().invoke(app, [*named, "--help"])
        assert done.exit_code == 0, stage
        shown = "".join(done.output.split())
        assert all(word in shown for word in words if word.startswith("--")), stage


def test_pairs_are_proposed_and_written_once_confirmed(study: Path) -> None:
    cohort = read_cohort(study).assign(study_order=1, frame="f")
    cohort["minutes"] = [5.0 * (name[-1] == "1") for name in cohort["scan"]]
    cohort.drop(columns="pair").to_csv(study / "cohort.csv", index=False)
    assert json.loads(run("pair", study, "--json"))["used"] == 12
    assert "pair" not in read_cohort(study)
    assert "12 pairs written" in run("pair", study, "--confirm")
    assert read_cohort(study)["pair"].nunique() == 12
    assert not (study / "pairs.csv").exists()
    assert "no patient has two scans" in run("pair", study)


def test_a_new_study_says_what_comes_next(tmp_path: Path) -> None:
    run("new", tmp_path / "s", "--name", "mine", "--source", "here")
    told = json.loads(run("status", tmp_path / "s", "--json"))
    assert told["study"] == "mine"
    assert told["next_command"] == f"cacnb study add {tmp_path / 's'} PATH"
    assert "0 scans of 0 patients" in run("table1", tmp_path / "s")


REAL = Path(__file__).parents[3] / "shared" / "data" / "acrin_flt_breast_013"


@pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared/data, a real chest CT")
def test_table_1_of_a_real_scan_says_how_it_was_acquired(tmp_path: Path) -> None:
    folder, key = tmp_path / "real", tmp_path / "key"
    run("new", folder, "--source", "ACRIN-FLT-Breast")
    run("add", folder, REAL, "--key", key, "--set", "RTP_test2")
    (row,) = rows_of_table1(folder).values()
    assert (row["name"], row["scans"], row["breathing_not_told"]) == ("RTP_test2", 1, 1)
    assert row["acquisition"]["kvp"] == [120.0]
    assert row["acquisition"]["spacing_z_mm"] == [4.0, 4.0]
    assert row["purposes"]["decomposition"]["test"] == 1


@pytest.fixture
def opened(tmp_path: Path) -> Path:
    """A pair of small scans, one with a heart mask and a score, and a third that is no image."""
    folder = tmp_path / "small"
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        hu = rng.normal(40, 10, (20, 40, 40)).astype(np.float32)
        hu[:, :4] = -1000
        write_image(Volume(hu, (3.0, 2.0, 2.0)), folder / "scans" / f"{name}.nii.gz")
    mask = np.zeros((20, 40, 40), bool)
    mask[5:15, 10:30, 10:30] = True
    write_image(Volume(mask, (3.0, 2.0, 2.0)), folder / "masks" / "a.nii.gz")
    (folder / "scans" / "c.nii.gz").write_bytes(b"no image")
    (folder / "cohort.csv").write_text(
        "scan,patient,pair,breath_hold,path\na,p,p,True,scans/a.nii.gz\n"
        "b,p,p,False,scans/b.nii.gz\nc,q,,,scans/c.nii.gz\n"
    )
    (folder / "study.toml").write_text('name = "small"\nsimulated = true\n', encoding="utf-8")
    score = {
        "verdict": "warned", "reasons": [{"code": "sharp_kernel"}],
        "proposed": {"pseudo_mass_hu_mm3": 12.5, "risk_category": "I"},
        "clinical": {"agatston": 3.0, "lesions": []},
    }  # fmt: skip
    (folder / "scores").mkdir()
    (folder / "scores" / "a.json").write_text(json.dumps(score), encoding="utf-8")
    return folder


def test_an_opened_study_gives_frames_volumes_and_masks(opened: Path) -> None:
    study = open_study(opened)
    assert (study.name, study.simulated, len(study.cohort)) == ("small", True, 3)
    assert study.pairs.to_dict("records") == [
        {"pair": "p", "patient": "p", "first": "b", "second": "a"}
    ]
    (score,) = study.scores.to_dict("records")
    assert score == {
        "scan": "a", "verdict": "warned", "reasons": "sharp_kernel",
        "proposed_pseudo_mass_hu_mm3": 12.5, "proposed_risk_category": "I",
        "clinical_agatston": 3.0,
    }  # fmt: skip
    assert study.labels.empty
    assert study.truth.empty
    assert list(study.truth) == ["scan", "mass_mg", "visible"]
    heart = study.heart("a")
    assert heart is not None
    assert heart.same_grid(study.scan("a"))
    assert study.heart("b") is None
    with pytest.raises(InputError, match="no scan 'z'"):
        study.scan("z")


def test_a_contact_sheet_shows_every_scan_with_its_verdict_and_says_so_in_words(
    opened: Path, tmp_path: Path
) -> None:
    sheet = open_study(opened).contact_sheet(columns=2)
    assert sheet.scans.to_dict("records") == [
        {"scan": "a", "verdict": "warned", "why": "sharp_kernel"},
        {"scan": "b", "verdict": "usable", "why": ""},
        {"scan": "c", "verdict": "refused", "why": sheet.scans["why"].iloc[2]},
    ]
    assert sheet.alt.startswith("One heart slice of each of 3 simulated scans of small:")
    shown, said = sheet._repr_mimebundle_()
    assert base64.b64decode(shown["image/png"]) == sheet.png
    assert said["image/png"]["alt"] == sheet.alt
    picture = np.asarray(Image.open(io.BytesIO(sheet.png)).convert("L"))
    half = picture.shape[1] // 2
    assert picture[30:190, :half].std() > 5  # a
    assert picture[-200:-40, :half].max() < 30  # c: nothing to show
    sheet.save(tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").read_bytes() == sheet.png


def test_a_folder_without_a_cohort_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no cohort"):
        open_study(tmp_path)


def test_opening_a_study_imports_neither_torch_nor_pictures(opened: Path) -> None:
    code = (
        "import sys; from cacnb.studies import open_study; "
        f"study = open_study({str(opened)!r}); study.status(); study.table1(); study.scores; "
        "print([name for name in ('torch', 'altair', 'PIL', 'SimpleITK') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_demo_study_is_made_once_where_the_user_keeps_caches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cacnb.simulation import cohort
    from cacnb.simulation.cohort import StudyPlan

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cohort, "DEMO_PLAN", StudyPlan(pairs=1, seed=500, field_of_view="heart"))
    study = open_study("demo")
    assert study.simulated
    assert len(study.truth) == len(study.cohort) == 2
    assert study.folder.is_relative_to(tmp_path / "cache")
    times = {file: file.stat().st_mtime_ns for file in study.folder.rglob("*") if file.is_file()}
    assert open_study("demo") == study
    assert all(file.stat().st_mtime_ns == time for file, time in times.items())


def test_the_demo_study_of_a_folder_above_is_opened(
    opened: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "project" / "out" / "demo"
    kept.mkdir(parents=True)
    opened.rename(kept / "study")
    (below := tmp_path / "project" / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(below)
    assert open_study("demo").folder == Path("../../out/demo/study")
    assert "scan" in open_study("demo").cohort
