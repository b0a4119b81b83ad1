"""The network of a diffusion bridge and how it crosses it; it knows no loss and no data.

Grey values throughout; x_T is a slice as it is, x_0 the same slice without its calcium.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from cacnb.learning.networks import PAPER_GENERATOR, MapGenerator, NetworkShape

#: Scale of the bridge's noise in grey: half of it is the standard deviation half-way, 200 HU. That
#: is as bright as most calcium, so that a state is a hint and calcium has to be found in the slice.
NOISE = 0.4

#: Steps from x_T to x_0, each a pass through the network.
STEPS = 4


def bridge_state(healthy: Tensor, image: Tensor, time: Tensor, noise: Tensor) -> Tensor:
    """x_t between the healthy image (t = 0) and the image with calcium (t = 1), (batch, 1, y, x).

    The bridge of a variance-exploding diffusion (Zhou 2024, arXiv 2309.16948) whose variance grows
    with t, which is a Brownian bridge: mean t x_T + (1 − t) x_0, variance `NOISE`² t (1 − t).
    `time` is (batch, 1, 1, 1), `noise` of variance 1.
    """
    return time * image + (1 - time) * healthy + NOISE * (time * (1 - time)).sqrt() * noise


def bridge_time(way: Tensor) -> Tensor:
    """The time t after a share of the way from x_T, 0 … 1: slow where nothing is known yet.

    Near x_T calcium has to be found; near x_0 the state shows what was taken. Training draws the
    way evenly, sampling takes even steps of it.
    """
    return 1 - way**2


def with_state(slices: Tensor, taken: Tensor, time: Tensor | float) -> Tensor:
    """What the network sees: slices (batch, inputs, y, x), then x_T − x_t and t as two channels.

    `taken`, x_T − x_t, tells what x_t tells, without a first layer that has to learn to subtract
    two images that are nearly the same.
    """
    return torch.cat([slices, taken, torch.zeros_like(taken) + time], dim=1)


class BridgeRemover(nn.Module):
    """Crosses the bridge from a slice to its healthy image, and gives what was taken on the way.

    The network of Table 2 (`denoiser`) sees the slices, the state and the time, and gives the map
    x_T − x_0, between 0 and 1: the healthy image is the slice less a map that can only take away. A
    step goes to the mean of the bridge between the state and the healthy image so given, x_s = x_0
    + s / t (x_t − x_0), and draws no noise (the Mean-ODE of Yue 2024, arXiv 2312.10299): the same
    slices give the same map every time.
    """

    def __init__(
        self, shape: NetworkShape = PAPER_GENERATOR, *, inputs: int = 1, last_bias: float = 0.0
    ) -> None:
        super().__init__()
        self.denoiser = MapGenerator(shape, inputs=inputs + 2, last_bias=last_bias)
        # What is mostly noise is not looked at until training finds a use for it.
        first = self.denoiser.layers[0].get_parameter("weight")
        nn.init.zeros_(first.data[:, inputs:])
        ways = torch.linspace(0, 1, STEPS + 1, dtype=torch.float64)
        self.times: tuple[float, ...] = tuple(bridge_time(ways).tolist())

    def forward(self, slices: Tensor) -> Tensor:
        """(batch, inputs, y, x) in network grey values to a map (batch, 1, y, x) of the first."""
        found = taken = torch.zeros_like(slices[:, :1])
        for now, then in pairwise(self.times):
            found = self.denoiser(with_state(slices, taken, now))
            taken = found + then / now * (taken - found)
        return found
