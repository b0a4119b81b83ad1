import copy

import pytest
import torch
from torch import nn

from cacnb.learning.networks import MapGenerator, NetworkShape, SliceClassifier
from cacnb.learning.wide_kernels import WideKernel, widen

TINY = NetworkShape(width=4, blocks=1)


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 8), (3, 8), (7, 5), (8, 1), (1, 1), (16, 1)])
@pytest.mark.parametrize("bias", [True, False])
def test_row_by_row_gives_the_same_image_and_the_same_gradients(
    inputs: int, outputs: int, bias: bool
) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(inputs, outputs, 7, 1, 3, bias=bias, padding_mode="reflect").double()
    wide = nn.Sequential(copy.deepcopy(plain))
    widen(wide)
    assert isinstance(wide[0], WideKernel)
    images = [torch.rand(2, inputs, 11, 13, dtype=torch.float64, requires_grad=True)]
    images.append(images[0].detach().clone().requires_grad_())
    found, want = wide(images[0]), plain(images[1])
    torch.testing.assert_close(found, want)
    weights = torch.rand_like(want)
    (found * weights).sum().backward()
    (want * weights).sum().backward()
    torch.testing.assert_close(images[0].grad, images[1].grad)
    for one, other in zip(wide.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


@pytest.mark.parametrize("network", [MapGenerator(TINY, inputs=3), SliceClassifier(TINY)])
def test_a_network_keeps_the_names_and_values_of_its_parameters(network: nn.Module) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    widen(network)
    after = network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_only_wide_kernels_with_few_channels_in_or_one_out_are_done_row_by_row() -> None:
    network = MapGenerator(TINY)
    widen(network)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    wide = [m for m in convolutions if isinstance(m, WideKernel)]
    assert wide == [convolutions[0], convolutions[-1]]


def test_a_trained_network_is_used_as_torch_does_it() -> None:
    torch.manual_seed(0)
    network = MapGenerator(TINY).eval()
    images = torch.rand(2, 1, 32, 32)
    want = network(images)
    widen(network)
    assert torch.equal(network(images), want)
