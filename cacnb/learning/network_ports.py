"""What each network is given and what it answers, in words and numbers that other programs read.

It does not know files, nor how a scan is cut into patches and slices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cacnb.ct.grids import NETWORK_WINDOW_HU, SLICE_GRID_MM
from cacnb.learning.batches import HU_PER_GREY
from cacnb.learning.weights import Weights

#: Both strided layers halve every side, and the last ones double it again.
SIDES_MULTIPLE_OF = 4

#: Two primes that scatter a row of numbers over 0 … 1 alike on every machine.
_SCATTER, _SCATTER_OF = 7919, 10007

#: Bright spots of a test input: how far apart and how wide, in voxels.
_SPOT_EVERY, _SPOT_WIDTH = 16, 3


@dataclass(frozen=True)
class NetworkPort:
    """One network, ready, with its way in and out.

    `example` is the shape of one batch that training used. `axes` are the input's. `given` and
    `answered` are plain values for a card: units, grids and the order of channels.
    """

    stage: str
    network: nn.Module
    example: tuple[int, ...]
    axes: tuple[str, ...]
    given: dict[str, Any]
    answered: dict[str, Any]

    def as_card(self) -> dict[str, Any]:
        """Plain values, as they stand in the card of an export."""
        return {"input": {"axes": list(self.axes), **self.given}, "output": self.answered}


def network_ports(weights: Weights) -> tuple[NetworkPort, NetworkPort, NetworkPort]:
    """The ports of heart, slices and decomposition, the latter the remover G_R."""
    heart, slices, maps = (
        weights.heart_recipe, weights.slice_recipe, weights.decomposition_recipe,
    )  # fmt: skip
    spatial = ("batch", "channel", "z", "y", "x")
    planar = ("batch", "channel", "y", "x")
    return (
        NetworkPort(
            "heart", weights.heart, (1, 1, *[heart.patch] * 3), spatial,
            {
                "spacing_mm": list(heart.spacing_mm),
                "hu_from_to": list(heart.window_hu), "becomes": [-1.0, 1.0], "clipped": True,
                "sides_multiple_of": SIDES_MULTIPLE_OF,
            },
            {"channels": ["background", "heart"], "then": "sigmoid gives probability"},
        ),
        NetworkPort(
            "slices", weights.classifier, (1, 1 + len(slices.context), *[slices.crop_px] * 2),
            planar, _slice_input(slices.context),
            {"classes": ["no CAC", "CAC"], "then": "softmax gives probability"},
        ),
        NetworkPort(
            "decomposition", weights.remover, (1, 1 + len(maps.context), *[maps.crop_px] * 2),
            planar, _slice_input(maps.context),
            {"channels": ["CAC map of the first slice"], "hu_per_unit": HU_PER_GREY},
        ),
    )  # fmt: skip


def _slice_input(context: tuple[int, ...]) -> dict[str, Any]:
    return {
        "spacing_mm": list(SLICE_GRID_MM),
        "hu_from_to": list(NETWORK_WINDOW_HU), "becomes": [0.0, 1.0], "clipped": True,
        "channels_are_slices": [0, *context],
        "sides_multiple_of": SIDES_MULTIPLE_OF,
    }  # fmt: skip


def fixed_input(port: NetworkPort) -> Tensor:
    """One batch of the port's example shape, the same on every machine."""
    return tissue_with_spots(fixed_noise(port.example), port)


def fixed_noise(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Numbers of 0 … 1 in no visible order, from whole numbers: the same on every machine.

    Example
    -------
    >>> fixed_noise((2, 2)).round(2).tolist()
    [[0.0, 0.79], [0.58, 0.37]]
    """
    count = int(np.prod(shape))
    values = (np.arange(count, dtype=np.int64) * _SCATTER % _SCATTER_OF) / _SCATTER_OF
    return np.asarray(values.reshape(shape), np.float64)


def tissue_with_spots(noise: NDArray[np.float64], port: NetworkPort) -> Tensor:
    """Noise of 0 … 1 as dim tissue with bright spots, in the network's range.

    On mere noise a remover answers with an empty map, which says nothing about it.
    """
    values = 0.1 + 0.1 * noise
    spots = np.ones(noise.shape[2:], bool)
    for axis in np.indices(noise.shape[2:]):
        spots &= axis % _SPOT_EVERY < _SPOT_WIDTH
    values[..., spots] += 0.6
    low, high = port.given["becomes"]
    return torch.from_numpy((low + (high - low) * values).astype(np.float32))
