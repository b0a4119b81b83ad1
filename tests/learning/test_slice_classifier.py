from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cacnb.learning.slice_classifier import probability_of_cac

from .conftest import TINY_SLICES, start_slices

CPU = torch.device("cpu")


class PeakTells(nn.Module):
    """Logits of not containing and containing CAC from the brightest grey value."""

    def forward(self, slices: Tensor) -> Tensor:
        peak = slices.amax(dim=(1, 2, 3))
        return torch.stack([torch.full_like(peak, 0.2), peak], dim=1)


def test_the_probability_is_that_of_the_second_channel() -> None:
    hu = np.zeros((3, 8, 8), np.int16)
    hu[0, 2, 2], hu[1, 2, 2], hu[2] = 950, 150, -900
    found = probability_of_cac(PeakTells(), hu[:, None], CPU)
    want = 1 / (1 + np.exp(-(np.array([1.0, 0.2, 0.0]) - 0.2)))
    np.testing.assert_allclose(found, want, rtol=1e-5)
    assert found.dtype == np.float32


def test_the_size_of_a_batch_changes_nothing() -> None:
    hu = np.random.default_rng(0).normal(100, 300, (7, 8, 8)).astype(np.float32)
    one, all_ = (probability_of_cac(PeakTells(), hu[:, None], CPU, batch=b) for b in (1, 16))
    np.testing.assert_array_equal(one, all_)


def test_a_heart_without_slices_has_no_probabilities() -> None:
    assert probability_of_cac(PeakTells(), np.zeros((0, 3, 8, 8)), CPU).shape == (0,)


@pytest.mark.parametrize("falls", [False, True])
def test_the_step_size_falls_only_where_the_recipe_says_so(falls: bool) -> None:
    learner, sampler = start_slices(replace(TINY_SLICES, anneal=falls))
    learner.step(*sampler.draw(), learner.recipe.iterations)
    rate = learner.optimisers["classifier"].param_groups[0]["lr"]
    assert (rate < TINY_SLICES.learning_rate) is falls


def test_the_classifier_learns_to_see_a_bright_spot() -> None:
    learner, sampler = start_slices(replace(TINY_SLICES, learning_rate=1e-2))
    steps = [learner.step(*sampler.draw(), i) for i in range(1, 41)]
    assert np.mean([step["cross_entropy"] for step in steps[-10:]]) < 0.4
    assert np.mean([step["accuracy"] for step in steps[-10:]]) > 0.8
