"""Learning and telling whether a heart slice contains visible CAC; it does not know where."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from cacnb.learning.augmentation import augment_slices
from cacnb.learning.batches import require_known_calcium, to_grey
from cacnb.learning.device import CPU, runs_bfloat16
from cacnb.learning.learner import Learner
from cacnb.learning.networks import SliceClassifier
from cacnb.learning.recipes import SliceRecipe
from cacnb.learning.wide_kernels import widen


class SliceLearner(Learner):
    """Trains the network of Table 2, middle, with the cross-entropy loss."""

    stage = "slices"

    def __init__(self, recipe: SliceRecipe, device: torch.device = CPU) -> None:
        super().__init__(recipe)
        self.device = device
        self.generator = torch.Generator(device).manual_seed(recipe.seed)
        torch.manual_seed(recipe.seed)
        self.network = SliceClassifier(recipe.network, inputs=1 + len(recipe.context))
        widen(self.network)
        self.network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if recipe.compiled and device.type == "cuda":
            self.network.compile()
        self._half = recipe.precision == "bfloat16" and runs_bfloat16(device)
        self.networks = {"classifier": self.network}
        self.optimisers = {
            "classifier": torch.optim.Adam(self.network.parameters(), lr=recipe.learning_rate)
        }
        self.sizes = recipe.crop_px, recipe.turn_deg
        self.with_twins, self.context = recipe.twins, recipe.context
        self.anneal = recipe.anneal

    def step(self, first: Tensor, second: Tensor, iteration: int) -> dict[str, float]:
        """One batch of slices with CAC and as many without."""
        optimiser = self.optimisers["classifier"]
        if self.anneal:
            left = 1 - (iteration - 1) / self.recipe.iterations
            optimiser.param_groups[0]["lr"] = self.recipe.learning_rate * min(1.0, 3 * left)
        seen = 1 + len(self.context)
        first, second = first.to(self.device), second.to(self.device)
        share = self.processes.share
        if self.with_twins:
            half, _ = share.rows(len(first)).between(0, len(first) * share.of // 2)
            twins = _without_calcium(first[half], self.context)
            second = torch.cat([twins, second[half.stop :, :seen]])
        first, second = first[:, :seen], second[:, :seen]
        rows = share.rows(len(first), domains=2)
        images = torch.cat([first, second])
        images = augment_slices(images, *self.sizes, self.generator, rows).clamp(0, 1)
        labels = (torch.arange(len(images), device=self.device) < len(first)).long()
        with self.processes.half(self.device, wanted=self._half):
            logits = self.network(images.contiguous(memory_format=torch.channels_last))
        loss = functional.cross_entropy(logits.float() if self._half else logits, labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.update("classifier")
        right = (logits.argmax(dim=1) == labels).float().mean()
        # One wait for the device, for both numbers.
        told = torch.stack([loss.detach(), right]).tolist()
        return dict(zip(("cross_entropy", "accuracy"), told, strict=True))

    def trained(self) -> nn.Module:
        """The classifier."""
        return self.network


def _without_calcium(slices: Tensor, context: tuple[int, ...]) -> Tensor:
    """Slices with known calcium, without it: the hardest slices without CAC."""
    require_known_calcium(slices, context)
    image, calcium = slices.chunk(2, dim=1)
    return image - calcium


@torch.inference_mode()
def probability_of_cac(
    network: nn.Module, hu: NDArray[np.generic], device: torch.device, *, batch: int = 16
) -> NDArray[np.float32]:
    """P(contains CAC) of each slice (n, inputs, y, x) in HU; (n,)."""
    found = [
        torch.softmax(network(to_grey(hu[i : i + batch]).to(device)), dim=1)[:, 1].cpu()
        for i in range(0, len(hu), batch)
    ]
    return torch.cat(found).numpy().astype(np.float32) if found else np.zeros(0, np.float32)
