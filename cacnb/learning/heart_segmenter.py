"""Learning and finding the heart in 3-D patches; it does not know what a plausible heart is."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cacnb.learning.batches import window
from cacnb.learning.device import CPU
from cacnb.learning.learner import Learner
from cacnb.learning.networks import HeartNetwork
from cacnb.learning.recipes import HeartRecipe


def dice_loss(
    probability: Tensor, target: Tensor, summed: Callable[[Tensor], Tensor] | None = None
) -> Tensor:
    """1 − Dice of each channel, averaged; both (batch, channels, z, y, x) in [0, 1] (section 3).

    `summed` adds up what several processes found on their shares of a batch.
    """
    dims = (0, 2, 3, 4)
    overlap = (probability * target).sum(dims)
    total = probability.sum(dims) + target.sum(dims)
    if summed is not None:
        overlap, total = summed(torch.stack([overlap, total]))
    return (1 - (2 * overlap + 1) / (total + 1)).mean()


class HeartLearner(Learner):
    """Trains the network of Table 2, left, with the Dice loss."""

    stage = "heart"

    def __init__(self, recipe: HeartRecipe, device: torch.device = CPU) -> None:
        super().__init__(recipe)
        self.device = device
        torch.manual_seed(recipe.seed)
        self.network = HeartNetwork(recipe.network)
        self.network.to(device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.networks = {"heart": self.network}
        optimiser = torch.optim.Adam(self.network.parameters(), lr=recipe.learning_rate)
        self.optimisers = {"heart": optimiser}
        self.anneal = recipe.anneal

    def step(self, first: Tensor, second: Tensor, iteration: int) -> dict[str, float]:
        """One batch of patches and heart masks."""
        optimiser = self.optimisers["heart"]
        if self.anneal:
            left = 1 - (iteration - 1) / self.recipe.iterations
            optimiser.param_groups[0]["lr"] = self.recipe.learning_rate * min(1.0, 3 * left)
        first, second = first.to(self.device), second.to(self.device)
        patches = first.contiguous(memory_format=torch.channels_last_3d)
        probability = torch.sigmoid(self.network(patches))
        summed = self.processes.total if self.processes.several else None
        loss = dice_loss(probability, torch.cat([1 - second, second], dim=1), summed)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.update("heart")
        return {"dice": float(loss.detach())}

    def trained(self) -> nn.Module:
        """The heart network."""
        return self.network


@torch.inference_mode()
def find_heart(
    network: nn.Module,
    hu: NDArray[np.generic],
    recipe: HeartRecipe,
    device: torch.device,
) -> NDArray[np.float32]:
    """Heart probability of a scan on the recipe's grid, (z, y, x).

    Overlapping patches are averaged, and each counts most in its middle: no seam shows.
    """
    size = recipe.patch
    image = window(torch.from_numpy(np.asarray(hu, np.float32)), recipe.window_hu)
    pad = [max(0, size - n) for n in image.shape]
    before = [p // 2 for p in pad]
    padded = torch.full([max(size, n) for n in image.shape], -1.0)
    inner = tuple(slice(b, b + n) for b, n in zip(before, image.shape, strict=True))
    padded[inner] = image
    ramp = 1 - (torch.arange(size) - (size - 1) / 2).abs() / (size / 2)
    weight = ramp[:, None, None] * ramp[None, :, None] * ramp[None, None, :] + 1e-3
    total, weights = torch.zeros_like(padded), torch.zeros_like(padded)
    starts = [
        [low + start for start in _starts(high - low, size, recipe.overlap)]
        for low, high in _body(padded, size)
    ]
    for z, y, x in itertools.product(*starts):
        at = (slice(z, z + size), slice(y, y + size), slice(x, x + size))
        weights[at] += weight
        patch = padded[at][None, None].to(device)
        if not (patch > -1.0).any():  # nothing but air
            continue
        found = torch.sigmoid(network(patch))[0, 1].cpu()
        total[at] += weight * found
    return np.asarray((total / weights.clamp(min=1e-9))[inner].numpy(), np.float32)


def _body(image: Tensor, size: int) -> list[tuple[int, int]]:
    """First and last + 1 voxel along each axis that is not air, at least a patch apart."""
    where = torch.nonzero(image > -1.0)
    spans = []
    for axis, length in enumerate(image.shape):
        low, high = (0, length)
        if len(where):
            low, high = int(where[:, axis].min()), int(where[:, axis].max()) + 1
        low = max(0, min(low, length - size))
        spans.append((low, min(length, max(high, low + size))))
    return spans


def _starts(length: int, size: int, overlap: float) -> list[int]:
    """Where patches begin along one axis, so that they cover it and overlap."""
    if length <= size:
        return [0]
    count = int(np.ceil((length - size) / (size * (1 - overlap)))) + 1
    return [int(s) for s in np.unique(np.linspace(0, length - size, count).round())]
