"""A one-sided decomposition: the remover against one critic, without a way back."""

from __future__ import annotations

import torch
from torch import Tensor

from cacnb.learning.decomposer import Decomposer, Domains
from cacnb.learning.device import CPU
from cacnb.learning.map_losses import map_loss
from cacnb.learning.networks import PatchCritic
from cacnb.learning.recipes import DecompositionRecipe


class OneSidedGan(Decomposer):
    """Trains G_R against the critic of healthy slices; no G_S, no cycle, a third of the passes.

    What keeps the image is that a map can only take away, and that identity and sparsity make it
    small. The losses it has are the CycleGAN's.
    """

    def __init__(self, recipe: DecompositionRecipe, device: torch.device = CPU) -> None:
        super().__init__(recipe, device)
        self.critic_no_cac = PatchCritic(recipe.critic)
        self._ready({"remover": self.remover}, {"critic_no_cac": self.critic_no_cac})

    def learn(self, batch: Domains) -> dict[str, Tensor]:
        """The remover, then the critic."""
        plan, n = self.plan, batch.n
        self._hold_critics(still=True)
        source, target, found = torch.split(
            self._run(self.remover, batch.all_slices), [n, n, len(batch.known)]
        )
        healthy = self._healthy(batch.cac, source)
        adversarial = self._fools(self.critic_no_cac, healthy)
        missed = self._missed(found, batch.inserted)
        loss = adversarial + self._weighed(source, target) + plan.inserted_weight * missed
        loss.backward()  # type: ignore[no-untyped-call]
        self._hold_critics(still=False)
        criticised = self._criticise(self.critic_no_cac, batch.no_cac, healthy.detach())
        self.update("generators", "critics")
        return {
            "adversarial": adversarial, "identity": map_loss(target), "sparsity": map_loss(source),
            "critic": criticised, "inserted": missed,
        }  # fmt: skip
