from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cacnb.learning.heart_segmenter import dice_loss, find_heart
from cacnb.learning.networks import NetworkShape
from cacnb.learning.recipes import HeartRecipe

from .conftest import TINY_HEART, start_heart, write_heart

CPU = torch.device("cpu")
RECIPE = replace(HeartRecipe(), patch=16)


class BrightIsHeart(nn.Module):
    """Logits from intensity: soft tissue is heart."""

    def forward(self, patches: Tensor) -> Tensor:
        return torch.cat([-20 * patches, 20 * patches], dim=1)


class EveryOtherPatch(nn.Module):
    """Sure of the heart in every second patch that it sees, sure of none in the others."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def forward(self, patches: Tensor) -> Tensor:
        self.seen += 1
        logit = 20.0 if self.seen % 2 else -20.0
        return torch.cat([torch.full_like(patches, -logit), torch.full_like(patches, logit)], dim=1)


def test_dice_loss_is_nothing_for_a_perfect_mask_and_one_for_a_disjoint_one() -> None:
    heart = torch.zeros(1, 2, 8, 8, 8)
    heart[:, 0, :4], heart[:, 1, 4:] = 1, 1
    assert float(dice_loss(heart, heart)) == pytest.approx(0.0)
    assert float(dice_loss(heart.flip(1), heart)) == pytest.approx(1 - 1 / 513)


def test_dice_loss_has_its_closed_form() -> None:
    target = torch.zeros(1, 1, 2, 2, 2)
    target[..., 0] = 1
    probability = torch.full_like(target, 0.5)
    assert float(dice_loss(probability, target)) == pytest.approx(1 - (2 * 2 + 1) / (4 + 4 + 1))


def test_dice_loss_weighs_both_channels_alike() -> None:
    probability, target = torch.zeros(1, 2, 4, 4, 4), torch.zeros(1, 2, 4, 4, 4)
    probability[:, 0] = target[:, 0] = 1
    target[:, 1, 0, 0, :3] = 1
    assert float(dice_loss(probability, target)) == pytest.approx((0 + 1 - 1 / 4) / 2)


@given(shape=st.tuples(*[st.integers(4, 45)] * 3), overlap=st.sampled_from([0.0, 0.25, 0.5]))
@settings(max_examples=15, deadline=None)
def test_overlapping_patches_cover_every_voxel_of_any_scan(
    shape: tuple[int, int, int], overlap: float
) -> None:
    hu = np.full(shape, 300.0, np.float32)
    found = find_heart(BrightIsHeart(), hu, replace(RECIPE, overlap=overlap), CPU)
    assert found.shape == shape
    np.testing.assert_allclose(found, 1.0, atol=1e-5)


def test_a_bright_cube_is_found_where_it_is() -> None:
    hu = np.full((30, 40, 37), -300.0, np.float32)
    hu[7:20, 12:30, 9:25] = 200.0
    found = find_heart(BrightIsHeart(), hu, RECIPE, CPU)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found > 0.5, hu > 0)


def test_where_patches_disagree_they_are_averaged() -> None:
    hu = np.full((16, 16, 24), 100.0, np.float32)
    found = find_heart(EveryOtherPatch(), hu, RECIPE, CPU)
    np.testing.assert_allclose(found[..., :8], 1.0, atol=1e-4)
    np.testing.assert_allclose(found[..., 16:], 0.0, atol=1e-4)
    between = found[8, 8, 8:16]
    assert ((between > 0.02) & (between < 0.98)).all()
    assert (np.diff(between) < 0).all(), "each patch counts most in its middle"
    assert between.mean() == pytest.approx(0.5, abs=0.01)


def test_air_is_no_heart_and_no_network_is_asked() -> None:
    network = EveryOtherPatch()
    found = find_heart(network, np.full((20, 20, 20), -1000, np.int16), RECIPE, CPU)
    assert network.seen == 0
    assert not found.any()


@pytest.mark.parametrize("falls", [False, True])
def test_the_step_size_falls_only_where_the_recipe_says_so(tmp_path: Path, falls: bool) -> None:
    stem = write_heart(tmp_path / "chest", (24, 24, 24), 6, 18)
    learner, sampler = start_heart(stem, replace(TINY_HEART, anneal=falls))
    learner.step(*sampler.draw(), learner.recipe.iterations)
    rate = learner.optimisers["heart"].param_groups[0]["lr"]
    assert (rate < TINY_HEART.learning_rate) is falls


def test_the_heart_network_learns_a_bright_cube(tmp_path: Path) -> None:
    stem = write_heart(tmp_path / "chest", (24, 24, 24), 6, 18)
    learner, sampler = start_heart(stem, replace(TINY_HEART, network=NetworkShape(8, 1)))
    patches, hearts = sampler.draw()
    losses = [learner.step(patches, hearts, i)["dice"] for i in range(1, 41)]
    assert losses[-1] < 0.5 * losses[0]
