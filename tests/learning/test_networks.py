import pytest
import torch
from torch import nn

from cacnb.learning.networks import (
    EMPTY_START,
    HeartNetwork,
    MapGenerator,
    NetworkShape,
    PatchCritic,
    SliceClassifier,
)

TINY = NetworkShape(width=4, blocks=1)


def kinds(network: nn.Module) -> set[type]:
    return {type(module) for module in network.modules()}


def test_the_heart_network_gives_two_channels_on_the_patch_it_saw() -> None:
    assert HeartNetwork(TINY)(torch.rand(2, 1, 16, 24, 32)).shape == (2, 2, 16, 24, 32)


def test_the_classifier_gives_two_numbers_a_slice_whatever_its_size() -> None:
    for size in (32, 44):
        assert SliceClassifier(TINY)(torch.rand(3, 1, size, size)).shape == (3, 2)


@pytest.mark.parametrize("last_bias", [0.0, EMPTY_START])
def test_a_map_has_the_slices_shape_and_lies_between_0_and_1(last_bias: float) -> None:
    slices = 20 * torch.randn(2, 1, 32, 40)
    found = MapGenerator(TINY, last_bias=last_bias)(slices)
    assert found.shape == slices.shape
    assert float(found.detach().min()) >= 0
    assert float(found.detach().max()) <= 1


def test_a_map_can_start_almost_empty() -> None:
    torch.manual_seed(0)
    slices = torch.rand(2, 1, 32, 32)
    half = MapGenerator(TINY).eval()(slices).mean().detach()
    empty = MapGenerator(TINY, last_bias=EMPTY_START).eval()(slices).mean().detach()
    assert float(half) > 0.3
    assert float(empty) < 0.05


def test_the_heart_network_pads_with_zeros_and_the_others_by_reflection() -> None:
    def padding(network: nn.Module) -> set[str]:
        return {
            m.padding_mode
            for m in network.modules()
            if isinstance(m, nn.Conv2d | nn.Conv3d) and m.padding[0]
        }

    assert padding(HeartNetwork(TINY)) == {"zeros"}
    assert padding(SliceClassifier(TINY)) == padding(MapGenerator(TINY)) == {"reflect"}


def test_every_convolution_but_the_last_has_batch_norm_and_relu() -> None:
    for network in (HeartNetwork(TINY), MapGenerator(TINY)):
        convolutions = [
            m
            for m in network.modules()
            if isinstance(m, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d)
        ]
        for kind in (nn.modules.batchnorm._BatchNorm, nn.ReLU):
            found = [m for m in network.modules() if isinstance(m, kind)]
            assert len(found) == len(convolutions) - 1


def test_a_critic_of_two_strided_layers_sees_34_pixels() -> None:
    assert receptive_field(PatchCritic(NetworkShape(4, 2))) == (34, 34)


def test_a_critic_answers_once_for_every_patch() -> None:
    assert PatchCritic(NetworkShape(4, 3))(torch.rand(2, 1, 224, 224)).shape == (2, 1, 26, 26)


def receptive_field(critic: PatchCritic, size: int = 160) -> tuple[int, int]:
    """Height and width in px of what one response depends on, from its gradient."""
    slices = torch.rand(1, 1, size, size, requires_grad=True)
    responses = critic.eval()(slices)
    middle = responses.shape[-1] // 2
    responses[0, 0, middle, middle].backward()
    rows, columns = torch.nonzero(slices.grad[0, 0], as_tuple=True)
    assert int(rows.min()) > 0, "the receptive field ends inside the slice"
    return int(rows.max() - rows.min()) + 1, int(columns.max() - columns.min()) + 1
