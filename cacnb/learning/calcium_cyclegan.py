"""The adjusted CycleGAN that splits a slice into healthy image and CAC map; no scores."""

from __future__ import annotations

import torch
from torch import Tensor

from cacnb.learning.decomposer import Decomposer, Domains
from cacnb.learning.device import CPU, side_by_side
from cacnb.learning.map_losses import cycle_loss, map_loss
from cacnb.learning.networks import PatchCritic
from cacnb.learning.recipes import DecompositionRecipe


class CalciumCycleGan(Decomposer):
    """Trains G_R (`remover`) and G_S (`synthesiser`) against two critics (section 3, Figure 4).

    A step's arithmetic is the usual CycleGAN's. What differs is when it is done: identity and
    translation of a generator are one batch, so that batch norm sees both domains; the two cycles,
    which share no network at any moment, run side by side on the cores of a CPU.
    """

    def __init__(self, recipe: DecompositionRecipe, device: torch.device = CPU) -> None:
        super().__init__(recipe, device)
        start = recipe.map_start if recipe.added_start is None else recipe.added_start
        self.synthesiser = self._map_generator(start)
        self.critic_cac = PatchCritic(recipe.critic)
        self.critic_no_cac = PatchCritic(recipe.critic)
        self._ready(
            {"remover": self.remover, "synthesiser": self.synthesiser},
            {"critic_cac": self.critic_cac, "critic_no_cac": self.critic_no_cac},
        )

    def learn(self, batch: Domains) -> dict[str, Tensor]:
        """Generators, then critics."""
        plan, n, cac, no_cac = self.plan, batch.n, batch.cac, batch.no_cac
        beside_cac, beside_no_cac = batch.slices[:n, 1:], batch.slices[n:, 1:]
        self._hold_critics(still=True)
        # Both domains in one batch: the map of the source domain, and of the target (identity).
        swapped = torch.cat([batch.slices[n:], batch.slices[:n]])
        removal, addition = side_by_side(
            lambda: torch.split(
                self._run(self.remover, batch.all_slices), [n, n, len(batch.known)]
            ),
            lambda: torch.split(self._run(self.synthesiser, swapped), n),
            self.device,
        )
        fake_no_cac, fake_cac = self._healthy(cac, removal[0]), no_cac + addition[0]
        to_no_cac, to_cac = (fake.detach().requires_grad_() for fake in (fake_no_cac, fake_cac))

        def back_to_cac() -> tuple[Tensor, Tensor]:
            added = self._run(self.synthesiser, torch.cat([to_no_cac, beside_cac], dim=1))
            return self._judged(to_no_cac + added, cac, self.critic_no_cac, to_no_cac)

        def back_to_no_cac() -> tuple[Tensor, Tensor]:
            removed = self._run(self.remover, torch.cat([to_cac, beside_no_cac], dim=1))
            return self._judged(to_cac - removed, no_cac, self.critic_cac, to_cac)

        judged = side_by_side(back_to_cac, back_to_no_cac, self.device)
        self._hold_critics(still=False)
        missed = self._missed(removal[2], batch.inserted)

        def learn_removal() -> Tensor:
            loss = self._weighed(removal[0], removal[1]) + plan.inserted_weight * missed
            torch.autograd.backward([loss, fake_no_cac], [None, to_no_cac.grad])
            return self._criticise(self.critic_no_cac, no_cac, to_no_cac.detach())

        def learn_addition() -> Tensor:
            loss = self._weighed(addition[0], addition[1])
            torch.autograd.backward([loss, fake_cac], [None, to_cac.grad])
            return self._criticise(self.critic_cac, cac, to_cac.detach())

        criticised = side_by_side(learn_removal, learn_addition, self.device)
        self.update("generators", "critics")
        (adversarial, cycle), (adversarial_too, cycle_too) = judged
        return {
            "adversarial": adversarial + adversarial_too,
            "cycle": cycle + cycle_too,
            "identity": map_loss(removal[1]) + map_loss(addition[1]),
            "sparsity": map_loss(removal[0]) + map_loss(addition[0]),
            "critic": criticised[0] + criticised[1],
            "inserted": missed,
        }

    def _judged(
        self, again: Tensor, image: Tensor, critic: PatchCritic, fake: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Adversarial and cycle loss of one domain, sent back as far as the synthetic image."""
        adversarial = self._fools(critic, fake)
        cycle = cycle_loss(again, image)
        (adversarial + self.plan.cycle_weight * cycle).backward()  # type: ignore[no-untyped-call]
        return adversarial.detach(), cycle.detach()
