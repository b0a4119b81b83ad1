"""What a training loop is given: a learner with its networks and step, a sampler of batches.

Neither knows a folder, a log or a checkpoint.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from cacnb.errors import UsageError
from cacnb.learning.joined import join_layers
from cacnb.learning.processes import ALONE, Processes
from cacnb.learning.recipes import Recipe
from cacnb.learning.share import Share


class Sampler(Protocol):
    """Anything that draws joined batches from one random generator, and reads its share of them."""

    rng: np.random.Generator
    batch: int
    share: Share

    def draw(self) -> tuple[Tensor, Tensor]:
        """The own rows of the next batch."""
        ...


class Learner(ABC):
    """Networks, their optimisers and one step; what is saved is what `state` names."""

    stage: str

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.processes = ALONE
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.networks: dict[str, nn.Module] = {}
        self.optimisers: dict[str, torch.optim.Adam] = {}

    @abstractmethod
    def step(self, first: Tensor, second: Tensor, iteration: int) -> dict[str, float]:
        """Train on one batch; returns the loss terms."""

    @abstractmethod
    def trained(self) -> nn.Module:
        """The network that the pipeline uses, as it stands now."""

    def update(self, *names: str) -> None:
        """Let these optimisers step by the mean of the gradients of all processes."""
        if self.processes.several:
            groups = [group for name in names for group in self.optimisers[name].param_groups]
            parameters = [parameter for group in groups for parameter in group["params"]]
            self.processes.average([p.grad for p in parameters if p.grad is not None])
        for name in names:
            self.optimisers[name].step()


def share_work(learner: Learner, sampler: Sampler, processes: Processes) -> None:
    """Let a learner and its sampler take their share of every batch, with the other processes.

    Raises
    ------
    UsageError
        Where the processes cannot share a batch equally.
    """
    of, batch = processes.share.of, sampler.batch
    if batch % of:
        able = ", ".join(str(n) for n in range(1, batch + 1) if batch % n == 0)
        raise processes.once(
            UsageError(
                f"{of} processes cannot share a batch of {learner.recipe.batch}, of which {batch} "
                f"are drawn at a time: start {able}"
            )
        )
    learner.processes, sampler.share = processes, processes.share
    if processes.several:
        for network in learner.networks.values():
            join_layers(network, processes.share)
