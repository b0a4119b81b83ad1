"""The remover alone, from slices whose calcium is known: no critic, no second generator."""

from __future__ import annotations

import torch
from torch import Tensor

from cacnb.learning.decomposer import Decomposer, Domains
from cacnb.learning.device import CPU
from cacnb.learning.recipes import DecompositionRecipe


class InsertedLesions(Decomposer):
    """Trains G_R to find calcium that was put into slices (`known_calcium`).

    It needs simulated scans, or real ones into which simulated calcium was inserted, and learns
    nothing of slices whose calcium nobody put there.
    """

    def __init__(self, recipe: DecompositionRecipe, device: torch.device = CPU) -> None:
        super().__init__(recipe, device)
        self._ready({"remover": self.remover}, {})

    def learns_known_alone(self, iteration: int) -> bool:
        """Always."""
        del iteration
        return True

    def learn(self, batch: Domains) -> dict[str, Tensor]:
        """Not asked for: every iteration learns from known calcium alone."""
        raise NotImplementedError
