"""A diffusion bridge from slices with known calcium to the same without: no critic."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cacnb.learning.bridge_remover import BridgeRemover, bridge_state, bridge_time, with_state
from cacnb.learning.decomposer import Decomposer, Domains
from cacnb.learning.device import CPU
from cacnb.learning.recipes import DecompositionRecipe
from cacnb.learning.share import Rows
from cacnb.learning.wide_kernels import widen


class DiffusionBridge(Decomposer):
    """Trains a denoiser to name the healthy image from any state of the bridge to it.

    After Lawry Aguila 2025 (arXiv 2510.13684): x_0 is the healthy image, x_T the image into which
    disease was put, here calcium (`known_calcium`). The denoiser names x_0 as x_T less a map, so
    the error of one is that of the other. It is weighed by `inserted_loss` and not by a squared
    error over the image: a faint lesion is twenty pixels of thousands, and where a map is nearly
    empty the squared error's gradient vanishes with the sigmoid's. Both have the mean as their
    minimum, which is what a bridge's denoiser has to give. Every time weighs the same.
    """

    def __init__(self, recipe: DecompositionRecipe, device: torch.device = CPU) -> None:
        super().__init__(recipe, device)
        self._ready({"remover": self.remover}, {})
        self._denoiser = self.remover.get_submodule("denoiser")
        if recipe.compiled and device.type == "cuda":
            self._denoiser.compile()

    def _map_generator(self, start: float) -> nn.Module:
        plan = self.plan
        made = BridgeRemover(plan.network, inputs=1 + len(plan.context), last_bias=start)
        widen(made)
        return made

    def learns_known_alone(self, iteration: int) -> bool:
        """Always."""
        del iteration
        return True

    def learn(self, batch: Domains) -> dict[str, Tensor]:
        """Not asked for: every iteration learns from known calcium alone."""
        raise NotImplementedError

    def _find(self, seen: Tensor, inserted: Tensor, rows: Rows) -> Tensor:
        """The maps named from states at times drawn for each image."""
        draw, device = self.generator, seen.device
        way = torch.rand(rows.total, 1, 1, 1, generator=draw, device=device)
        noise = torch.randn(rows.total, *inserted.shape[1:], generator=draw, device=device)
        image, time = seen[:, :1], bridge_time(rows.of(way))
        # Below the window too, where an image is cut off: what was inserted lies between the two.
        state = bridge_state(image - inserted, image, time, rows.of(noise))
        shown = with_state(seen, image - state, time)
        return self._run(self._denoiser, shown.contiguous(memory_format=torch.channels_last))
