"""One assertion for every number that the paper fixes."""

import pytest
import torch
from torch import nn

from cacnb.ct.grids import NETWORK_WINDOW_HU
from cacnb.learning.batches import HU_PER_GREY
from cacnb.learning.networks import (
    HeartNetwork,
    MapGenerator,
    PatchCritic,
    SliceClassifier,
    parameter_count,
)
from cacnb.learning.recipes import DecompositionRecipe, HeartRecipe, SliceRecipe, recipe

HEART, SLICES = HeartRecipe(), SliceRecipe()
DECOMPOSITION = DecompositionRecipe()


@pytest.mark.parametrize(
    ("network", "parameters"),
    [
        (HeartNetwork, 2_147_986),
        (SliceClassifier, 7_457_218),
        (MapGenerator, 7_828_865),
        (PatchCritic, 2_763_585),
    ],
)
def test_table_2_a_network_has_its_number_of_parameters(
    network: type[nn.Module], parameters: int
) -> None:
    assert parameter_count(network()) == parameters


def test_section_3_one_response_of_the_critic_sees_70_by_70_pixels() -> None:
    slices = torch.rand(1, 1, 160, 160, requires_grad=True)
    responses = PatchCritic().eval()(slices)
    middle = responses.shape[-1] // 2
    responses[0, 0, middle, middle].backward()
    seen = torch.nonzero(slices.grad[0, 0])
    assert (seen.max(dim=0).values - seen.min(dim=0).values + 1).tolist() == [70, 70]


def test_section_5_slices_are_clipped_to_minus_50_and_950_hu() -> None:
    assert NETWORK_WINDOW_HU == (-50.0, 950.0)


def test_section_5_one_in_a_network_is_1000_hu() -> None:
    assert HU_PER_GREY == 1000.0


@pytest.mark.parametrize(
    ("found", "paper"),
    [
        pytest.param(HEART.spacing_mm, (3.0, 1.5, 1.5), id="heart grid 1.5 x 1.5 x 3.0 mm"),
        pytest.param(HEART.patch, 64, id="heart patches of 64"),
        pytest.param(HEART.batch, 10, id="heart batches of 10"),
        pytest.param(HEART.learning_rate, 1e-3, id="heart learning rate"),
        pytest.param(HEART.iterations, 250_000, id="heart iterations"),
        pytest.param(SLICES.crop_px, 224, id="slices of 224"),
        pytest.param(SLICES.batch, 20, id="slice batches of 20"),
        pytest.param(SLICES.learning_rate, 1e-3, id="slice learning rate"),
        pytest.param(SLICES.iterations, 1_500_000, id="slice iterations"),
        pytest.param(DECOMPOSITION.crop_px, 224, id="decomposition of 224"),
        pytest.param(DECOMPOSITION.batch, 4, id="decomposition batches of 4"),
        pytest.param(DECOMPOSITION.learning_rate, 1e-4, id="generators' learning rate"),
        pytest.param(DECOMPOSITION.critic_rate, 1e-4, id="critics' learning rate"),
        pytest.param(DECOMPOSITION.iterations, 375_000, id="decomposition iterations"),
        pytest.param(DECOMPOSITION.cycle_weight, 10.0, id="lambda"),
        pytest.param(DECOMPOSITION.identity_weight, 10.0, id="alpha"),
        pytest.param(DECOMPOSITION.sparsity_weight, 0.001, id="beta"),
        pytest.param(DECOMPOSITION.adversarial, "log", id="equation 2 is the log loss"),
    ],
)
def test_a_recipe_has_the_papers_number(found: object, paper: object) -> None:
    assert found == paper


def test_the_recipe_called_paper_is_the_papers() -> None:
    assert recipe("heart", "paper") == HEART
    assert recipe("slices", "paper") == SLICES
    assert recipe("decomposition", "paper") == DECOMPOSITION
