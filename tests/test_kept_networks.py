"""Networks that a run keeps and the one that validation chooses; figures are made up."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from cacnb.errors import InputError
from cacnb.learning.kept import CHOICE, F1_SLACK, KEPT, Candidate, chosen, worth_keeping
from cacnb.learning.loop import Run, train
from cacnb.training_watch import TrainingWatch, WatchPlan
from cacnb.weights_from_runs import finished_run

from .learning.conftest import TINY_DEPARTED, start_decomposition
from .test_training_failures import GOOD

#: F1 and relative difference of each validation of a run, which later ones change the choice of.
FIGURES = (
    (0.70, 0.50), (0.80, 0.60), (0.805, 0.40), (0.78, 0.10), (0.81, 0.45), (0.81, None),
    (0.79, 0.30), (0.60, 0.20), (0.822, 0.55), (0.80, 0.90),
)  # fmt: skip
RECIPE = replace(TINY_DEPARTED, iterations=len(FIGURES), save_every=4, warm_up=0)


class Told:
    """A view whose validations are given."""

    def __init__(self, begun: int = 0) -> None:
        self.validations = iter(FIGURES[begun:])

    def numbers(self) -> dict[str, float]:
        return dict(GOOD)

    def validation(self) -> dict[str, float]:
        f1, difference = next(self.validations)
        told = {"f1": f1, "slices": 160.0, "simulated_slices": 160.0}
        return told if difference is None else told | {"relative_difference": difference}

    def picture(self) -> bytes:
        return b"png"


def run_to_the_end(folder: Path, keep: int, broken_after: int | None = None) -> None:
    """A tiny training that validates after each step, stopped once where asked for."""
    run = Run(folder, keep_every=1, keep=keep)
    steps = train(*start_decomposition(RECIPE), run, TrainingWatch(Told(), WatchPlan(0, 1, 0)))
    for step in steps:
        if step.iteration == broken_after:
            steps.close()  # type: ignore[attr-defined]
            watch = TrainingWatch(Told(begun=4), WatchPlan(0, 1, 0))
            on = replace(run, resume=True)
            rest = list(train(*start_decomposition(RECIPE), on, watch))
            assert rest[0].iteration == 5
            break


def kept(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in (folder / KEPT).iterdir())


candidates = st.lists(
    st.tuples(
        st.integers(0, 40).map(lambda n: n / 40),
        st.one_of(st.none(), st.integers(0, 20).map(lambda n: n / 10)),
    ),
    min_size=1, max_size=30,
).map(lambda told: [Candidate(i, *figures) for i, figures in enumerate(told, start=1)])  # fmt: skip


@settings(deadline=None)
@given(candidates, st.integers(2, 8))
def test_thinning_as_a_run_goes_chooses_as_if_all_had_been_kept(
    told: list[Candidate], most: int
) -> None:
    held: list[Candidate] = []
    crowded = False
    for candidate in told:
        held.append(candidate)
        best = max(c.f1 for c in held)
        hopeful = {(c.f1, c.difference) for c in held if c.f1 >= best - F1_SLACK}
        held = worth_keeping(held, most)
        crowded = crowded or len(hopeful) >= most
        assert len(held) <= most
        assert held[-1] is candidate
    if not crowded:
        assert chosen(held) == chosen(told)


def test_without_a_pair_to_tell_the_best_f1_is_taken() -> None:
    assert chosen([Candidate(1, 0.8), Candidate(2, 0.9), Candidate(3, 0.7)]).iteration == 2


def test_a_run_keeps_the_networks_that_may_be_chosen_and_says_which(tmp_path: Path) -> None:
    run_to_the_end(tmp_path, keep=4)
    choice = json.loads((tmp_path / CHOICE).read_text())
    # within 0.02 of 0.822: iterations 3, 5, 6, 9; of these 3 repeats best
    assert (choice["iteration"], choice["f1"], choice["relative_difference"]) == (3, 0.805, 0.40)
    assert len(kept(tmp_path)) == 4
    assert {3, 10} <= set(kept(tmp_path))
    assert [row["iteration"] for row in choice["candidates"]] == [*range(1, 11)]
    assert [row["iteration"] for row in choice["candidates"] if row["kept"]] == kept(tmp_path)
    assert {row["simulated_slices"] for row in choice["candidates"]} == {160}
    assert "0.02" in choice["rule"]


def test_a_run_that_broke_off_keeps_and_chooses_as_an_unbroken_one(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    run_to_the_end(whole, keep=8)
    run_to_the_end(broken, keep=8, broken_after=7)
    assert kept(whole) == kept(broken)
    assert (whole / CHOICE).read_text() == (broken / CHOICE).read_text()
    for path in (whole / KEPT).iterdir():
        one, other = load_file(path), load_file(broken / KEPT / path.name)
        assert all(torch.equal(one[key], other[key]) for key in one)


def test_weights_are_made_of_the_chosen_network_or_of_the_last(tmp_path: Path) -> None:
    run = Run(tmp_path, keep_every=1)
    learner, sampler = start_decomposition(RECIPE)
    watch = TrainingWatch(Told(), WatchPlan(0, 1, 0))
    states = {
        step.iteration: {k: v.clone() for k, v in learner.trained().state_dict().items()}
        for step in train(learner, sampler, run, watch)
    }
    last = finished_run(tmp_path, "decomposition")
    taken = finished_run(tmp_path, "decomposition", chosen=True)
    assert (last.chosen_at, taken.chosen_at, taken.iteration) == (None, 3, 10)
    for found, iteration in ((last, 10), (taken, 3)):
        state = found.network.state_dict()
        assert all(torch.equal(state[key], states[iteration][key]) for key in state)
    (tmp_path / CHOICE).unlink()
    with pytest.raises(InputError, match="last checkpoint") as refusal:
        finished_run(tmp_path, "decomposition", chosen=True)
    assert refusal.value.code == "no_choice"


def test_a_training_without_validation_keeps_nothing(tmp_path: Path) -> None:
    list(train(*start_decomposition(RECIPE), Run(tmp_path, keep_every=1)))
    assert not (tmp_path / KEPT).exists()
