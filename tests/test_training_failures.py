"""Each failure on a real training that is broken, and none on a healthy one; all simulated."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from cacnb.decomposition_view import DecompositionView, best_f1
from cacnb.errors import InputError
from cacnb.learning.batches import SliceSampler, SliceStore
from cacnb.learning.calcium_cyclegan import CalciumCycleGan
from cacnb.learning.loop import Run, Step, train
from cacnb.learning.networks import EMPTY_START, NetworkShape
from cacnb.learning.recipes import DecompositionRecipe
from cacnb.training_failures import (
    FAILURES,
    LOOKS_IN_A_ROW,
    LOSS_STEPS,
    failures_now,
    unmoved_loss,
)
from cacnb.training_watch import PICTURES_KEPT, TrainingWatch, WatchPlan

SIZE, CROP = 40, 32

#: Tiny networks, and the paper's losses.
HEALTHY = replace(
    DecompositionRecipe(),
    network=NetworkShape(4, 1), critic=NetworkShape(4, 2), store_px=SIZE, crop_px=CROP, batch=2,
    iterations=450, learning_rate=1e-3, critic_rate=3e-4, adversarial="least_squares",
    map_start=EMPTY_START,
)  # fmt: skip


def hearts(noise_hu: float = 25.0) -> SliceStore:
    """Slices of eight scans of a round heart in fat; every second one with a bright square."""
    count = 40
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    hu = rng.normal(0, noise_hu, (count, SIZE, SIZE)) + np.where(np.hypot(y, x) < 16, 50, -40)
    labels = np.arange(count) % 2 == 0
    for i in np.flatnonzero(labels):
        v, u = rng.integers(SIZE // 3, 2 * SIZE // 3, 2)
        hu[i, v : v + 3, u : u + 3] += rng.uniform(200, 500)
    scans = np.arange(count, dtype=np.int32) // 5
    positions = np.linspace(0, 1, count, dtype=np.float32)
    return SliceStore(hu.astype(np.int16), labels, positions, scans)


def watched(
    recipe: DecompositionRecipe,
    folder: Path,
    plan: WatchPlan,
    store: SliceStore | None = None,
    *,
    resume: bool = False,
) -> Iterator[Step]:
    """A training on all but the last two scans, which are one pair and are looked at."""
    torch.set_num_threads(1)
    store = hearts() if store is None else store
    learner = CalciumCycleGan(recipe)
    kept = np.arange(8) >= 6
    sampler = SliceSampler(store, store.subset(~kept), recipe.batch, 0, by_position=True)
    view = DecompositionView(learner, store, kept, np.arange(8) // 2, np.ones(8, bool))
    return train(learner, sampler, Run(folder, resume), TrainingWatch(view, plan))


def seen_at(steps: Iterator[Step], name: str, within: int) -> int | None:
    """The iteration at which a failure is said, of the first ones."""
    sentence = f"{name.replace('_', ' ')} at iteration"
    for step in islice(steps, within):
        if any(said.startswith(sentence) for said in step.failures):
            return step.iteration
    return None


#: Looks follow each other fast, so that a broken training need not be long.
FAST = WatchPlan(look_every=10, validate_every=0, picture_every=0)


def rows(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_a_healthy_training_triggers_nothing_and_learns(tmp_path: Path) -> None:
    steps = list(watched(HEALTHY, tmp_path, WatchPlan(50, 300, 300)))
    assert [step.failures for step in steps] == [()] * 450
    assert not (tmp_path / "failures.jsonl").exists()
    looks = rows(tmp_path / "validation.jsonl")
    assert [look["iteration"] for look in looks] == list(range(50, 451, 50))
    assert [look["iteration"] for look in looks if "f1" in look] == [300]
    assert looks[5]["f1"] > 0.8
    assert looks[5]["slices"] == looks[5]["simulated_slices"] == 10
    assert 0 < looks[-1]["map_share"] < 0.2


@pytest.mark.slow
def test_sparsity_that_weighs_too_much_empties_the_map(tmp_path: Path) -> None:
    broken = replace(HEALTHY, sparsity_weight=1000.0, learning_rate=5e-3)
    found = seen_at(watched(broken, tmp_path, FAST), "empty_map", within=200)
    assert found is not None
    assert {"iteration": found, "failure": "empty_map"} in rows(tmp_path / "failures.jsonl")


@pytest.mark.slow
def test_a_calcium_folder_that_holds_whole_slices_makes_a_map_that_copies(tmp_path: Path) -> None:
    store = hearts(noise_hu=10.0)
    store.calcium = np.clip(store.slices, -50, 950) + np.int16(50)
    store.calcium_rows = np.arange(len(store.labels))
    broken = replace(HEALTHY, inserted_weight=4.0, warm_up=450, learning_rate=5e-3)
    found = seen_at(watched(broken, tmp_path, FAST, store), "copied_map", within=300)
    assert found is not None


@pytest.mark.slow
def test_a_learning_rate_of_a_thousand_is_seen(tmp_path: Path) -> None:
    broken = replace(HEALTHY, learning_rate=1e3)
    steps = watched(broken, tmp_path, FAST)
    assert seen_at(steps, "full_map", within=200) is not None


@pytest.mark.slow
def test_generators_that_stand_still_before_a_fast_critic_have_lost(tmp_path: Path) -> None:
    broken = replace(
        HEALTHY, learning_rate=1e-7, critic_rate=1e-2, adversarial="log", map_start=0.0
    )
    assert seen_at(watched(broken, tmp_path, FAST), "critic_won", within=200) is not None


@pytest.mark.slow
def test_without_a_learning_rate_no_loss_moves(tmp_path: Path) -> None:
    broken = replace(HEALTHY, learning_rate=0.0, critic_rate=0.0)
    assert seen_at(watched(broken, tmp_path, FAST), "unmoved_loss", 200) == 2 * LOSS_STEPS


def test_a_loss_that_is_no_number_stops_the_training_and_is_written_down(tmp_path: Path) -> None:
    store = hearts()
    learner = CalciumCycleGan(HEALTHY)
    sampler = SliceSampler(store, np.arange(40), 2, 0, by_position=True)
    watch = TrainingWatch(None, FAST)
    steps = train(learner, sampler, Run(tmp_path), watch)
    for _ in range(3):
        next(steps)
    with torch.no_grad():
        next(learner.remover.parameters()).fill_(torch.nan)
    with pytest.raises(InputError) as refusal:
        next(steps)
    assert refusal.value.code == "not_finite"
    assert rows(tmp_path / "failures.jsonl") == [{"iteration": 4, "failure": "not_finite"}]
    assert len(rows(tmp_path / "steps.jsonl")) == 3


def test_a_watched_training_is_the_unwatched_one_to_the_last_digit(tmp_path: Path) -> None:
    """And so is one that was broken off: what was seen after its checkpoint is seen again."""
    short = replace(HEALTHY, iterations=6, save_every=3)
    plan = WatchPlan(2, 4, 2)
    store = hearts()
    kept = np.arange(8) >= 6

    def sampler() -> SliceSampler:
        return SliceSampler(store, store.subset(~kept), 2, 0, by_position=True)

    plain = [s.losses for s in train(CalciumCycleGan(short), sampler(), Run(tmp_path / "plain"))]
    whole = list(watched(short, tmp_path / "whole", plan))
    steps = watched(short, tmp_path / "broken", plan)
    for _ in range(5):
        next(steps)
    steps.close()  # type: ignore[attr-defined]
    rest = list(watched(short, tmp_path / "broken", plan, resume=True))
    assert [step.losses for step in whole] == plain
    assert [step.losses for step in rest] == plain[3:]
    one, other = (
        [
            {k: v for k, v in row.items() if k not in ("seconds", "cores_busy", "memory_mb")}
            for row in rows(tmp_path / name / "validation.jsonl")
        ]
        for name in ("whole", "broken")
    )
    assert [row["iteration"] for row in one] == [2, 4, 6]
    assert one == other
    pictures = [p.name for p in sorted((tmp_path / "broken" / "pictures").iterdir())]
    assert pictures == ["00000002.png", "00000004.png", "00000006.png"]


def test_seconds_go_on_where_a_resumed_log_stood(tmp_path: Path) -> None:
    short = replace(HEALTHY, iterations=4, save_every=2)
    steps = watched(short, tmp_path, FAST)
    for _ in range(2):
        next(steps)
    steps.close()  # type: ignore[attr-defined]
    text = (tmp_path / "steps.jsonl").read_text().splitlines()
    late = [json.loads(line) | {"seconds": 100.0 * i} for i, line in enumerate(text, start=1)]
    (tmp_path / "steps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in late))
    rest = list(watched(short, tmp_path, FAST, resume=True))
    assert [200 < step.seconds < 260 for step in rest] == [True, True]
    assert [row["samples"] for row in rows(tmp_path / "steps.jsonl")] == [2, 4, 6, 8]


GOOD = {
    "map_share": 0.01, "map_of_image": 0.05, "map_correlation": 0.5, "map_mean_hu": 5.0,
    "critic_cac_real": 0.8, "critic_cac_synthetic": 0.4,
    "critic_no_cac_real": 0.7, "critic_no_cac_synthetic": 0.5,
}  # fmt: skip
BAD = {
    "empty_map": {"map_share": 0.0},
    "full_map": {"map_share": 1.0},
    "copied_map": {"map_of_image": 0.9, "map_correlation": 0.95},
    "critic_won": {"critic_no_cac_real": 0.99, "critic_no_cac_synthetic": 0.02},
}


@pytest.mark.parametrize("name", BAD)
def test_a_failure_is_one_only_when_look_after_look_shows_it(name: str) -> None:
    bad = {**GOOD, **BAD[name]}
    assert failures_now([], [], [GOOD] + [bad] * LOOKS_IN_A_ROW) == (name,)
    assert failures_now([], [], [bad] * (LOOKS_IN_A_ROW - 1)) == ()
    assert failures_now([], [], [bad] * LOOKS_IN_A_ROW + [GOOD]) == ()


def test_a_full_map_that_shrinks_is_a_training_at_its_start() -> None:
    looks = [GOOD | {"map_share": 1.0, "map_mean_hu": 500 * 0.8**i} for i in range(LOOKS_IN_A_ROW)]
    assert failures_now([], [], looks) == ()


def test_a_loss_that_fell_at_once_and_stayed_has_moved() -> None:
    rng = np.random.default_rng(0)
    fell = [{"cycle": 1.0 / (1 + i) + v} for i, v in enumerate(rng.uniform(0, 0.05, LOSS_STEPS))]
    stayed = [{"cycle": v} for v in rng.uniform(0, 0.05, LOSS_STEPS)]
    assert not unmoved_loss(fell, stayed)
    assert unmoved_loss(stayed, stayed[::-1])
    assert not unmoved_loss(stayed, stayed[:-1])


def test_a_failure_is_said_once_and_its_end_is_written_down(tmp_path: Path) -> None:
    class Eyes:
        look = GOOD

        def numbers(self) -> dict[str, float]:
            return dict(self.look)

        def validation(self) -> dict[str, float]:
            return {}

        def picture(self) -> bytes:
            return b"png"

    eyes = Eyes()
    watch = TrainingWatch(eyes, WatchPlan(1, 0, 1))
    watch.begin(tmp_path, 0)
    said = []
    for i in range(1, 41):
        eyes.look = GOOD | BAD["empty_map"] if 10 < i <= 30 else GOOD
        said.append(watch.look(Step(i, 100, {"cycle": 1.0 / i}, float(i))))
    at = 10 + LOOKS_IN_A_ROW
    assert [i for i, sentences in enumerate(said, start=1) if sentences] == [at]
    assert said[at - 1] == (FAILURES["empty_map"].at(at),)
    assert rows(tmp_path / "failures.jsonl") == [
        {"iteration": at, "failure": "empty_map"},
        {"iteration": 31, "failure": "empty_map", "over": True},
    ]
    pictures = [int(p.stem) for p in sorted((tmp_path / "pictures").iterdir())]
    assert len(pictures) == PICTURES_KEPT
    assert (pictures[0], pictures[-1]) == (1, 40)
    assert max(np.diff(pictures)) <= 3


def test_the_best_f1_finds_equal_masses_together() -> None:
    mass = np.array([5.0, 5.0, 1.0, 0.0])
    assert best_f1(mass, np.array([True, False, False, True])) == (0.5, 5.0)
    assert best_f1(np.zeros(3), np.ones(3, bool))[0] == 0
