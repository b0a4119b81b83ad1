import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from cacnb.errors import InputError
from cacnb.learning.batches import PatchSampler, SliceSampler, SliceStore
from cacnb.learning.calcium_cyclegan import CalciumCycleGan
from cacnb.learning.checkpoint import CHECKPOINT, load_checkpoint, read_metadata
from cacnb.learning.heart_segmenter import HeartLearner
from cacnb.learning.learner import Learner, Sampler
from cacnb.learning.loop import Run, Step, train
from cacnb.learning.recipes import DecompositionRecipe, HeartRecipe, SliceRecipe
from cacnb.learning.slice_classifier import SliceLearner

from .conftest import TINY_SLICES, Start, start_slices, write_heart

KILLED = """
import sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from cacnb.learning.batches import SliceSampler, SliceStore
from cacnb.learning.loop import Run, train
from cacnb.learning.networks import NetworkShape
from cacnb.learning.recipes import SliceRecipe
from cacnb.learning.slice_classifier import SliceLearner
recipe = replace(SliceRecipe(), network=NetworkShape(4, 1), store_px=40, crop_px=32, batch=4,
                 iterations=100_000, save_every=1)
hu = np.zeros((8, 40, 40), np.int16)
store = SliceStore(hu, np.arange(8) % 2 == 0, np.linspace(0, 1, 8), np.zeros(8, np.int32))
sampler = SliceSampler(store, np.arange(8), 2, 0, by_position=False)
for _ in train(SliceLearner(recipe), sampler, Run(Path(sys.argv[1]))):
    pass
"""


def interrupted(start: Start, folder: Path, after: int) -> list[Step]:
    """Train `after` steps and stop as a closed notebook does: between two steps."""
    steps = train(*start(), Run(folder))
    done = [next(steps) for _ in range(after)]
    steps.close()  # type: ignore[attr-defined]
    return done


def logged(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "steps.jsonl").read_text().splitlines()]


def timeless(lines: list[dict[str, float]]) -> list[dict[str, float]]:
    """All of a log but the seconds, which the machine decides."""
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def test_every_step_is_told_and_logged(start: Start, tmp_path: Path) -> None:
    run = tmp_path / "run"
    learner, sampler = start()
    batch = learner.recipe.batch
    steps = list(train(learner, sampler, Run(run)))
    assert [step.iteration for step in steps] == [1, 2, 3, 4, 5, 6]
    assert {step.of for step in steps} == {6}
    assert logged(run) == [
        {
            "iteration": s.iteration, **s.losses,
            "seconds": round(s.seconds, 3), "samples": s.iteration * batch,
        }
        for s in steps
    ]  # fmt: skip
    assert all(np.isfinite(list(step.losses.values())).all() for step in steps)


def test_a_run_keeps_its_recipe_beside_its_checkpoint(start: Start, tmp_path: Path) -> None:
    learner, sampler = start()
    list(train(learner, sampler, Run(tmp_path / "run")))
    kept = json.loads((tmp_path / "run" / "recipe.json").read_text())
    assert kept.pop("stage") == learner.stage
    assert kept.pop("learned_from") == []
    assert type(learner.recipe).from_dict(kept) == learner.recipe
    assert read_metadata(tmp_path / "run" / CHECKPOINT)["iteration"] == "6"
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        CHECKPOINT, "recipe.json", "steps.jsonl"
    ]  # fmt: skip


@pytest.mark.parametrize("after", [3, 4])
def test_a_run_that_broke_off_goes_on_to_the_last_digit(
    start: Start, tmp_path: Path, after: int
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    unbroken = list(train(*start(), Run(whole)))
    interrupted(start, broken, after)
    rest = list(train(*start(), Run(broken, resume=True)))
    assert [step.iteration for step in rest] == [4, 5, 6]
    assert [step.losses for step in rest] == [step.losses for step in unbroken[3:]]
    assert timeless(logged(broken)) == timeless(logged(whole))
    one, other = load_file(whole / CHECKPOINT), load_file(broken / CHECKPOINT)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_run_that_broke_off_before_its_first_checkpoint_starts_anew(tmp_path: Path) -> None:
    unbroken = list(train(*start_slices(), Run(tmp_path / "whole")))
    interrupted(start_slices, tmp_path / "broken", after=2)
    again = list(train(*start_slices(), Run(tmp_path / "broken", resume=True)))
    assert [step.losses for step in again] == [step.losses for step in unbroken]
    assert len(logged(tmp_path / "broken")) == 6


def test_a_finished_run_has_nothing_left_to_train(tmp_path: Path) -> None:
    list(train(*start_slices(), Run(tmp_path)))
    held = (tmp_path / CHECKPOINT).read_bytes()
    assert list(train(*start_slices(), Run(tmp_path, resume=True))) == []
    assert (tmp_path / CHECKPOINT).read_bytes() == held


def test_a_folder_that_holds_a_run_is_refused_unless_it_is_to_go_on(tmp_path: Path) -> None:
    interrupted(start_slices, tmp_path, after=4)
    held = (tmp_path / CHECKPOINT).read_bytes()
    with pytest.raises(InputError, match="--resume") as refusal:
        next(train(*start_slices(), Run(tmp_path)))
    assert refusal.value.code == "run_exists"
    assert (tmp_path / CHECKPOINT).read_bytes() == held


def test_a_run_of_another_recipe_is_not_gone_on_with(tmp_path: Path) -> None:
    interrupted(start_slices, tmp_path, after=4)
    other = replace(TINY_SLICES, learning_rate=5e-4)
    with pytest.raises(InputError, match="another recipe") as refusal:
        next(train(*start_slices(other), Run(tmp_path, resume=True)))
    assert refusal.value.code == "other_recipe"


def test_a_loss_that_is_no_number_is_refused_by_its_name_and_the_checkpoint_stays(
    tmp_path: Path,
) -> None:
    learner, sampler = start_slices()
    steps = train(learner, sampler, Run(tmp_path))
    for _ in range(4):
        next(steps)
    held = (tmp_path / CHECKPOINT).read_bytes()
    with torch.no_grad():
        next(learner.networks["classifier"].parameters()).fill_(torch.nan)
    with pytest.raises(InputError, match="cross_entropy is no number at iteration 5") as refusal:
        next(steps)
    assert refusal.value.code == "not_finite"
    assert (tmp_path / CHECKPOINT).read_bytes() == held
    assert len(logged(tmp_path)) == 4
    rest = list(train(*start_slices(), Run(tmp_path, resume=True)))
    assert [step.iteration for step in rest] == [4, 5, 6]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused_in_a_line(tmp_path: Path, share: float) -> None:
    interrupted(start_slices, tmp_path, after=3)
    whole = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match="cannot be opened as a checkpoint") as refusal:
        next(train(*start_slices(), Run(tmp_path, resume=True)))
    assert refusal.value.code == "bad_checkpoint"
    assert "\n" not in str(refusal.value)


def test_a_pickle_is_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    interrupted(start_slices, tmp_path, after=3)
    torch.save({"random.torch": torch.zeros(1)}, tmp_path / CHECKPOINT)
    with pytest.raises(InputError) as refusal:
        load_checkpoint(*start_slices(), tmp_path / CHECKPOINT)
    assert refusal.value.code == "bad_checkpoint"


def test_a_full_disk_is_told_and_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = train(*start_slices(), Run(tmp_path))
    for _ in range(5):
        next(steps)
    held = (tmp_path / CHECKPOINT).read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left") as refusal:
        next(steps)
    assert refusal.value.code == "cannot_write"
    assert (tmp_path / CHECKPOINT).read_bytes() == held
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
def test_a_training_killed_at_any_moment_leaves_a_checkpoint_that_opens(tmp_path: Path) -> None:
    run = tmp_path / "run"
    training = subprocess.Popen([sys.executable, "-c", KILLED, str(run)])
    try:
        while not (run / CHECKPOINT).exists() or int(reached(run)) < 5:
            assert training.poll() is None, "the training ended before it was killed"
            time.sleep(0.05)
    finally:
        training.send_signal(signal.SIGKILL)
        training.wait()
    learner, sampler = start_slices(replace(TINY_SLICES, iterations=100_000, save_every=1))
    iteration = load_checkpoint(learner, sampler, run / CHECKPOINT)
    assert iteration >= 5
    steps = train(*start_slices(replace(TINY_SLICES, iterations=100_000, save_every=1)),
                  Run(run, resume=True))  # fmt: skip
    assert next(steps).iteration == iteration + 1
    steps.close()  # type: ignore[attr-defined]
    assert [line["iteration"] for line in logged(run)] == [*range(1, iteration + 2)]


def reached(run: Path) -> str:
    return read_metadata(run / CHECKPOINT)["iteration"]


def paper_slices(batch: int) -> SliceSampler:
    hu = np.random.default_rng(0).normal(50, 40, (4, 256, 256)).astype(np.int16)
    labels, positions = np.array([True, False] * 2), np.zeros(4, np.float32)
    store = SliceStore(hu, labels, positions, np.zeros(4, np.int32))
    return SliceSampler(store, np.arange(4), batch, 0, by_position=False)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["heart", "slices", "decomposition"])
def test_the_papers_networks_train_on_a_cpu(stage: str, tmp_path: Path) -> None:
    short = {"iterations": 2, "batch": 1}
    learner: Learner
    sampler: Sampler
    if stage == "heart":
        recipe = replace(HeartRecipe(), **short)
        stem = write_heart(tmp_path / "chest", (80, 70, 70), 20, 50)
        learner = HeartLearner(recipe)
        sampler = PatchSampler(
            [stem], batch=1, patch=64, window_hu=recipe.window_hu, vary=recipe.vary, seed=0
        )
    elif stage == "slices":
        learner, sampler = SliceLearner(replace(SliceRecipe(), **short)), paper_slices(1)
    else:
        learner = CalciumCycleGan(replace(DecompositionRecipe(), **short))
        sampler = paper_slices(1)
    before = [p.detach().clone() for p in learner.trained().parameters()]
    steps = list(train(learner, sampler, Run(tmp_path / "run")))
    assert len(steps) == 2
    after: list[Tensor] = [p.detach() for p in learner.trained().parameters()]
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert (tmp_path / "run" / CHECKPOINT).stat().st_size > 4 * sum(p.numel() for p in after)


def test_a_safetensors_file_that_is_no_checkpoint_is_refused_in_a_line(tmp_path: Path) -> None:
    interrupted(start_slices, tmp_path, after=3)
    save_file({"other": torch.zeros(3)}, tmp_path / CHECKPOINT)
    with pytest.raises(InputError) as refusal:
        next(train(*start_slices(), Run(tmp_path, resume=True)))
    assert refusal.value.code == "bad_checkpoint"


def test_a_damaged_recipe_is_another_recipe(tmp_path: Path) -> None:
    interrupted(start_slices, tmp_path, after=3)
    (tmp_path / "recipe.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError) as refusal:
        next(train(*start_slices(), Run(tmp_path, resume=True)))
    assert refusal.value.code == "other_recipe"


def test_a_run_says_what_it_learned_from_and_goes_on_with_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    steps = train(*start_slices(), Run(folder, learned_from=("a (3 scans)",)))
    for _ in range(3):
        next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert json.loads((folder / "recipe.json").read_text())["learned_from"] == ["a (3 scans)"]
    with pytest.raises(InputError, match="give the same --study"):
        next(train(*start_slices(), Run(folder, resume=True, learned_from=("b (9 scans)",))))
    assert len(list(train(*start_slices(), Run(folder, resume=True)))) == 3
