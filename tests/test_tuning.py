import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from typer.testing import CliRunner

from cacnb.cli import app
from cacnb.errors import UsageError
from cacnb.learning.networks import EMPTY_START, NetworkShape
from cacnb.learning.recipes import DecompositionRecipe
from cacnb.map_truth import MapTruth, held, hold_against_truth
from cacnb.simulation.cohort import StudyPlan, simulate_study
from cacnb.tuning import Grid, choose, draw_choice, run_grid, tried_settings, varied
from cacnb.tuning.running import map_figures

TINY = replace(
    DecompositionRecipe(), network=NetworkShape(4, 1), critic=NetworkShape(4, 2), store_px=48,
    crop_px=32, batch=2, iterations=3, map_start=EMPTY_START, adversarial="least_squares",
)  # fmt: skip


class Nothing(nn.Module):
    """An empty map."""

    def forward(self, slices: Tensor) -> Tensor:
        return torch.zeros_like(slices[:, :1])


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three simulated people, each scanned twice, with calcium of every size."""
    made = tmp_path_factory.mktemp("tuned") / "study"
    list(simulate_study(StudyPlan(3, 6, "rtp", "heart", burden="varied"), made, workers=1))
    return made


def grid_of(study: Path, *vary: str, seeds: int = 1) -> Grid:
    return Grid(TINY, varied(list(vary)), tuple(range(seeds)), (study,), study, study)


def test_a_perfect_map_has_all_mass_in_the_right_place() -> None:
    true = np.zeros((4, 20, 20), np.float32)
    true[1, 5:9, 5:9], true[3, 12, 12] = 200, 1
    told = held(np.where(true >= 2, true, 0), true)
    assert told["both_px"] == told["map_px"] == told["true_px"] == 16
    assert told["false_mass_hu_mm3"] == 0
    assert told["true_mass_hu_mm3"] == pytest.approx(16 * 200 * 1.5 * 2)
    assert (told["empty"], told["false_lesions"]) == (3, 0)  # 1 HU is rounding


def test_a_lesion_on_a_slice_without_calcium_is_a_false_one_from_three_pixels_on() -> None:
    found = np.zeros((2, 20, 20), np.float32)
    found[0, 3, 3:6], found[1, 3, 3:5] = 30, 30
    told = held(found, np.zeros_like(found))
    assert (told["empty"], told["false_lesions"]) == (2, 1)


def test_an_empty_map_finds_no_scan_and_raises_no_false_alarm(study: Path) -> None:
    seen = hold_against_truth(Nothing(), TINY, study, torch.device("cpu"))
    assert len(seen.scans) == 6
    assert seen.scans["true_mass_hu_mm3"].max() > 0
    assert (seen.dice, seen.false_mass, seen.false_slices) == (0, 0, 0)
    found = seen.figures(1.0)
    assert found["sensitivity"] == 0
    assert found["false_positive_rate"] in (0, None)


def test_scans_are_counted_from_the_least_mass_on_and_pairs_are_compared() -> None:
    scans = pd.DataFrame(
        {
            "scan": list("abcd"), "pair": [0, 0, 1, 1], "visible": [True, True, False, False],
            "mass_hu_mm3": [100.0, 50.0, 10.0, 0.0], "true_mass_hu_mm3": [90.0, 60.0, 0.0, 0.0],
        }
    )  # fmt: skip
    seen = MapTruth(0.5, 0.0, 0.0, scans)
    assert seen.mass_r == pytest.approx(np.corrcoef([100, 50, 10, 0], [90, 60, 0, 0])[0, 1])
    at_20 = seen.figures(20.0)
    assert (at_20["sensitivity"], at_20["false_positive_rate"], at_20["f1"]) == (1, 0, 1)
    assert at_20["relative_difference_both_positive"] == pytest.approx(50 / 75)
    assert seen.figures(5.0)["false_positive_rate"] == 0.5


def test_a_grid_is_trained_chosen_from_and_drawn_and_goes_on_where_it_stopped(
    study: Path, tmp_path: Path
) -> None:
    grid = grid_of(study, "identity_weight=1,10", "sparsity_weight=0.001", seeds=2)
    steps = run_grid(grid, tmp_path)
    first = next(steps)
    steps.close()  # type: ignore[attr-defined]
    done = {file: file.stat().st_mtime_ns for file in tmp_path.glob("runs/*/figures.json")}
    assert len(done) == 1
    assert len(list(run_grid(grid, tmp_path))) == 3
    assert first not in list(run_grid(grid, tmp_path))
    assert all(file.stat().st_mtime_ns == at for file, at in done.items())
    tried = tried_settings(grid, tmp_path)
    assert tried["identity_weight"].tolist() == [1, 10]
    assert tried["seeds"].tolist() == [2, 2]
    assert (tried["dice_sd"] >= 0).all()
    choice = choose(grid, tmp_path)
    assert choice["chosen"]["identity_weight"] in (1, 10)
    kept = json.loads((tmp_path / "choice.json").read_text(encoding="utf-8"))
    assert kept["chosen"] == choice["chosen"]
    assert kept["recipe"]["network"] == {"width": 4, "blocks": 1}
    assert pd.read_csv(tmp_path / "tried.csv")["chosen"].sum() == 1
    drawn = draw_choice(grid, tmp_path).read_text(encoding="utf-8")
    assert "α" in drawn
    assert "simulated" in drawn


def test_where_every_map_is_empty_the_choice_says_that_it_says_nothing(
    study: Path, tmp_path: Path
) -> None:
    grid = grid_of(study, "identity_weight=1,10", "sparsity_weight=0.001", seeds=2)
    nothing = map_figures(hold_against_truth(Nothing(), TINY, study, torch.device("cpu")), 0.0)
    assert nothing["mass_r"] is None
    for cell in grid.cells():
        (tmp_path / "runs" / cell.name).mkdir(parents=True)
        told = json.dumps({"seconds": 1.0, "validation": nothing, "test": nothing}, allow_nan=False)
        (tmp_path / "runs" / cell.name / "figures.json").write_text(told, encoding="utf-8")
    assert choose(grid, tmp_path)["f1"] == 0
    assert draw_choice(grid, tmp_path).is_file()
    told = CliRunner().invoke(
        app,
        ["tune", "--study", str(study), "--validation", str(study), "--test", str(study),
         "--vary", "identity_weight=1,10", "--vary", "sparsity_weight=0.001", "--seeds", "2",
         "--out", str(tmp_path)],
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    assert "no combination found a scan with calcium" in told.output


def test_the_same_cell_alone_or_beside_another_process_has_the_same_figures(
    study: Path, tmp_path: Path
) -> None:
    grid = grid_of(study, "method=inserted,one_sided")
    told = []
    for name, workers in (("alone", 1), ("beside", 2)):
        assert len(list(run_grid(grid, tmp_path / name, workers))) == 2
        told.append(tried_settings(grid, tmp_path / name, "test").drop(columns="seconds"))
    pd.testing.assert_frame_equal(*told)
    assert told[0]["method"].tolist() == ["inserted", "one_sided"]


def test_cells_that_begin_alike_are_trained_once_to_the_figures_of_each_alone(
    study: Path, tmp_path: Path
) -> None:
    longer = replace(TINY, iterations=6)
    told = []
    for name, tried in (("alone", ("1",)), ("together", ("1", "100"))):
        vary = varied(["method=both", f"identity_weight={','.join(tried)}"])
        grid = Grid(longer, vary, (0,), (study,), study)
        assert len(list(run_grid(grid, tmp_path / name))) == len(tried)
        told.append(tried_settings(grid, tmp_path / name).drop(columns="seconds"))
    begun = [*(tmp_path / "together" / "beginnings").iterdir()]
    assert [len((run / "steps.jsonl").read_text().splitlines()) for run in begun] == [5]
    assert not (tmp_path / "alone" / "beginnings").exists()
    pd.testing.assert_frame_equal(told[0], told[1][:1])
    cell = "runs/method=both_identity_weight=1_seed=0/last.safetensors"
    one, two = (load_file(tmp_path / name / cell) for name in ("alone", "together"))
    assert all(torch.equal(one[key], two[key]) for key in one)


def test_a_step_size_is_known_calciums_too_unless_that_has_its_own() -> None:
    for inserted_rate, begun in ((0.0, 2), (1e-3, 1)):
        recipe = replace(TINY, inserted_rate=inserted_rate)
        vary = varied(["method=both", "learning_rate=0.001,0.01"])
        cells = Grid(recipe, vary, (0,), (), Path()).cells()
        assert len({cell.beginning.name for cell in cells if cell.beginning}) == begun


@pytest.mark.parametrize(
    ("typed", "says"),
    [("identity_weight=", "give a name"), ("identity_weight=a", "no number"),
     ("width=3", "no 'width'"), ("critic.colour=3", "no 'critic.colour'"),
     ("adversarial=loud", "no word"), ("method=magic", "no method 'magic'")],
)  # fmt: skip
def test_what_cannot_be_varied_is_refused(study: Path, typed: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        grid_of(study, typed).cells()


def test_the_command_tells_means_over_seeds_with_their_spread_and_what_was_chosen(
    study: Path, tmp_path: Path
) -> None:
    told = CliRunner().invoke(
        app,
        ["tune", "--study", str(study), "--validation", str(study), "--iterations", "1",
         "--vary", "method=inserted", "--vary", "network.width=4", "--seeds", "2",
         "--out", str(tmp_path)],
    )  # fmt: skip
    assert told.exit_code == 0
    assert "chosen: {'method': 'inserted', 'network.width': 4.0}" in told.output
    chosen = pd.read_csv(tmp_path / "tried.csv")
    assert chosen["seconds_sd"].notna().all()
    assert f"({chosen['seconds_sd'][0]:.2g})" in told.output
