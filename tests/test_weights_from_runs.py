import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from cacnb.cli import main
from cacnb.errors import InputError, UsageError
from cacnb.learning.loop import CHECKPOINT, save_checkpoint
from cacnb.learning.weights import load_weights, weights_folder
from cacnb.learning.weights_check import check_weights
from cacnb.simulation.cohort import StudyPlan, simulate_study
from cacnb.validation import THRESHOLDS
from cacnb.weights_from_runs import UNCHOSEN, _learner, finished_run, make_weights

DEMO = weights_folder("demo")
STAGES = ("heart", "slices", "decomposition", "clinical")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Finished runs whose networks are those of the demo weights."""
    work = tmp_path_factory.mktemp("runs")
    card = json.loads((DEMO / "card.json").read_text())
    for stage in STAGES:
        plan = card["files"][stage]["recipe"]
        learner = _learner(stage, plan)
        learner.trained().load_state_dict(load_file(DEMO / f"{stage}.safetensors"))
        (work / stage).mkdir()
        (work / stage / "recipe.json").write_text(json.dumps({"stage": stage, **plan}))
        sampler: Any = SimpleNamespace(rng=np.random.default_rng(0))
        save_checkpoint(learner, sampler, plan["iterations"], work / stage / CHECKPOINT)
    return {stage: work / stage for stage in STAGES}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people scanned twice, one of them with calcium, that no network learned from."""
    folder = tmp_path_factory.mktemp("studies") / "others"
    plan = StudyPlan(pairs=2, seed=701, protocol="rtp", field_of_view="heart", burden="varied")
    for _ in simulate_study(plan, folder, workers=1):
        pass
    return folder


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """A study by its tables alone: it is told in the card, and not read."""
    folder = tmp_path / "cohort"
    (folder / "masks").mkdir(parents=True)
    (folder / "masks" / "a.nii.gz").touch()
    (folder / "cohort.csv").write_text("scan,patient,path\na,p,a.nii.gz\n")
    return folder


def test_weights_of_runs_are_the_runs_networks_byte_for_byte(
    runs: dict[str, Path], cohort: Path, tmp_path: Path
) -> None:
    card = make_weights(runs, "mine", tmp_path / "mine", studies=[cohort])
    shipped = json.loads((DEMO / "card.json").read_text())["files"]
    for stage, file in shipped.items():
        made = card["files"][stage]
        assert (made["sha256"], made["bytes"]) == (file["sha256"], file["bytes"])
        # The shipped card is older than some fields, which then have their defaults.
        assert made.get("recipe", {}).items() >= file.get("recipe", {}).items()
    assert load_weights(str(tmp_path / "mine")).name == "mine"
    difference = check_weights(str(tmp_path / "mine")).difference
    assert difference == dict.fromkeys(STAGES, 0.0)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_make_is_a_command_and_says_that_thresholds_are_untested(
    runs: dict[str, Path],
    cohort: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [word for stage, folder in runs.items() for word in (f"--{stage}", str(folder))]
    out = tmp_path / "made" / "mine"
    words += ["--study", str(cohort), "--name", "mine", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", ["cacnb", "weights", "make", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert "untested defaults" in capsys.readouterr().err
    assert load_weights(str(out)).card["runs"]["heart"]["iterations"] == 1400


def test_a_card_without_validation_says_that_nothing_chose_its_thresholds(
    runs: dict[str, Path], cohort: Path, tmp_path: Path
) -> None:
    card = make_weights(runs, "mine", tmp_path / "mine", studies=[cohort])
    assert card["trained_on"] == "cohort (1 scans)"
    assert card["thresholds"] == UNCHOSEN
    assert card["thresholds_chosen_on"] is None
    assert card["validation"] is None
    assert any("untested defaults" in limit for limit in card["limits"])
    assert "untested defaults" in (tmp_path / "mine" / "README.md").read_text()
    assert not any(
        "simulated:" in limit or "calcium in training" in limit for limit in card["limits"]
    )


def test_a_card_of_simulated_studies_says_so(
    runs: dict[str, Path], cohort: Path, tmp_path: Path
) -> None:
    (cohort / "truth_scans.csv").write_text("scan,mass_mg,visible\na,1,1\n")
    card = make_weights(runs, "mine", tmp_path / "mine", studies=[cohort])
    assert card["trained_on"] == "cohort (1 scans, simulated)"
    assert any("is simulated" in limit for limit in card["limits"])


@pytest.mark.slow
def test_validation_scans_choose_the_thresholds_and_the_card_tells_which(
    runs: dict[str, Path], cohort: Path, study: Path, tmp_path: Path
) -> None:
    card = make_weights(runs, "mine", tmp_path / "mine", studies=[cohort], validation=[study])
    assert card["thresholds_chosen_on"] == "others (4 scans, simulated)"
    assert card["validation"]["scans"] == 4
    assert card["clinical_validation"]["scans"] == 4
    assert set(card["thresholds"]) == {*THRESHOLDS, "clinical_probability"}
    tried = (tmp_path / "mine" / "validation.csv").read_text().splitlines()
    (chosen,) = (line for line in tried if line.endswith("True"))
    row = dict(zip(tried[0].split(","), chosen.split(","), strict=True))
    assert all(float(row[name]) == card["thresholds"][name] for name in THRESHOLDS)
    assert "Validation (simulated)" in (tmp_path / "mine" / "README.md").read_text()


def test_an_unfinished_run_is_refused_and_taken_when_asked_for(
    runs: dict[str, Path], cohort: Path, tmp_path: Path
) -> None:
    short = Path(shutil.copytree(runs["slices"], tmp_path / "slices"))
    plan = json.loads((short / "recipe.json").read_text())
    reached, plan["iterations"] = plan["iterations"], 9000
    (short / "recipe.json").write_text(json.dumps(plan))
    with pytest.raises(InputError, match=f"stands at {reached} of 9000 iterations") as caught:
        finished_run(short, "slices")
    assert caught.value.code == "unfinished_run"
    card = make_weights(
        {**runs, "slices": short}, "mine", tmp_path / "mine", studies=[cohort], unfinished=True
    )
    assert f"slices: training was stopped at {reached} of 9000." in card["limits"]


def test_a_run_of_another_stage_is_refused(runs: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="is a run of heart, not of slices") as caught:
        finished_run(runs["heart"], "slices")
    assert caught.value.code == "other_stage"


def test_a_folder_that_holds_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no run") as caught:
        finished_run(tmp_path, "heart")
    assert caught.value.code == "no_run"


@pytest.mark.parametrize("file", ["recipe.json", CHECKPOINT])
def test_a_damaged_run_is_refused(runs: dict[str, Path], tmp_path: Path, file: str) -> None:
    copy = Path(shutil.copytree(runs["heart"], tmp_path / "heart"))
    (copy / file).write_bytes((copy / file).read_bytes()[:100])
    with pytest.raises(InputError, match="train it anew") as caught:
        finished_run(copy, "heart")
    assert caught.value.code == "bad_checkpoint"


def test_thresholds_are_not_chosen_on_a_study_that_was_trained_on(
    runs: dict[str, Path], cohort: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no network learned from"):
        make_weights(runs, "mine", tmp_path / "mine", studies=[cohort], validation=[cohort])
    assert not (tmp_path / "mine").exists()


def test_thresholds_are_not_chosen_on_scans_without_a_label(
    runs: dict[str, Path], cohort: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(cohort, tmp_path / "real"))
    with pytest.raises(InputError, match=r"no slice of .* has a settled label") as caught:
        make_weights(runs, "mine", tmp_path / "mine", studies=[cohort], validation=[other])
    assert caught.value.code == "no_labels"


def test_a_folder_that_is_not_empty_is_left_alone(
    runs: dict[str, Path], cohort: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty") as caught:
        make_weights(runs, "mine", tmp_path / "mine", studies=[cohort])
    assert caught.value.code == "not_empty"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_what_breaks_while_choosing_leaves_nothing_behind(
    runs: dict[str, Path], cohort: Path, tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(cohort, tmp_path / "broken"))
    (broken / "truth_scans.csv").write_text("scan,mass_mg,visible\na,1,1\n")
    (broken / "cohort.csv").write_text("scan,patient,pair,path\na,p,p,a.nii.gz\n")
    with pytest.raises(InputError):
        make_weights(runs, "mine", tmp_path / "mine", studies=[cohort], validation=[broken])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "cohort"]


def test_weights_need_all_three_networks(
    runs: dict[str, Path], cohort: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no run of decomposition"):
        make_weights(
            {"heart": runs["heart"], "slices": runs["slices"]},
            "mine", tmp_path / "mine", studies=[cohort],
        )  # fmt: skip


def test_a_card_says_what_each_run_learned_from_where_nobody_else_does(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    told = {}
    for stage, folder in runs.items():
        told[stage] = Path(shutil.copytree(folder, tmp_path / "told" / stage))
        file = told[stage] / "recipe.json"
        kept = {**json.loads(file.read_text()), "learned_from": ["cohort (4 scans, simulated)"]}
        file.write_text(json.dumps(kept))
    card = make_weights(told, "mine", tmp_path / "mine")
    assert card["trained_on"] == "cohort (4 scans, simulated)"
    assert any("calcium in training is simulated" in limit for limit in card["limits"])
    unknown = {}
    for stage, folder in told.items():
        unknown[stage] = folder
        file = folder / "recipe.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "learned_from": []}))
    with pytest.raises(UsageError, match="give --study"):
        make_weights(unknown, "mine", tmp_path / "other")
