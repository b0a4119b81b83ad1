"""The adjusted CycleGAN that splits a slice into healthy image and CAC map; no scores."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from cacnb.learning.batches import HU_PER_GREY, augment_slices, to_grey
from cacnb.learning.loop import Learner
from cacnb.learning.networks import MapGenerator, PatchCritic
from cacnb.learning.recipes import DecompositionRecipe


def adversarial_loss(responses: Tensor, *, real: bool, kind: str) -> Tensor:
    """Equation 2 for one critic's responses (batch, 1, v, u), as a loss to be made small.

    `log`: the responses of an image are averaged to the critic's output, then the log loss.
    `least_squares`: each response's squared distance from 1 (real) or 0 (Mao 2017; a departure).
    A generator calls it with `real=True` on its own images: the non-saturating form (Goodfellow).
    """
    if kind == "log":
        output = responses.mean(dim=(1, 2, 3))
        return F.softplus(-output if real else output).mean()
    return ((responses - float(real)) ** 2).mean()


def cycle_loss(again: Tensor, image: Tensor) -> Tensor:
    """Equation 3: the L1 distance of an image translated there and back from itself."""
    return (again - image).abs().mean()


def map_loss(cac_map: Tensor) -> Tensor:
    """Equations 4 and 5: the L1 norm of a map, per pixel.

    It is the identity loss for an image already in the target domain, and the sparsity loss in the
    source domain.
    """
    return cac_map.abs().mean()


def inserted_loss(found: Tensor, drawn: Tensor) -> Tensor:
    """How far the remover's maps are from lesions that were drawn in, per unit of drawn map.

    The Kullback–Leibler divergence of a voxel's grey value taken as a share: its gradient does not
    vanish where the sigmoid is flat, and its minimum is the mean, which keeps the mass of faint
    lesions (an L1 loss would keep their median, nothing). Not in the paper.
    """
    found = found.clamp(1e-6, 1 - 1e-6)
    entropy = -(torch.xlogy(drawn, drawn) + torch.xlogy(1 - drawn, 1 - drawn))
    apart = F.binary_cross_entropy(found, drawn, reduction="none") - entropy
    return apart.sum() / drawn.sum().clamp(min=1e-3)


#: Drawn lesions: how many an image at most, peak in network grey, width (sigma) and smear in px,
#: and how far from the middle of the heart crop they lie at most.
DRAWN_MOST, DRAWN_PEAK, DRAWN_SIGMA_PX, DRAWN_SMEAR_PX, DRAWN_REACH_PX = 3, 0.09, 1.2, 5.0, 56.0

#: Mean grey value of a lesion's surroundings: between fat and muscle, where coronary arteries run.
DRAWN_NEAR = (0.005, 0.085)


@torch.no_grad()
def draw_lesions(images: Tensor, generator: torch.Generator) -> Tensor:
    """Maps of lesions drawn at random where fat meets muscle; (batch, 1, y, x) as the images.

    A lesion is a Gaussian of random width and peak, smeared along a short random path as a moving
    artery's is. It needs no patient's calcium and no simulator.
    """
    n, _, height, width = images.shape
    near = F.avg_pool2d(images, 9, 1, 4, count_include_pad=False)
    y = torch.arange(height, dtype=images.dtype).view(1, 1, -1, 1)
    x = torch.arange(width, dtype=images.dtype).view(1, 1, 1, -1)
    middle = ((y - height / 2) ** 2 + (x - width / 2) ** 2) <= DRAWN_REACH_PX**2
    fit = ((near > DRAWN_NEAR[0]) & (near < DRAWN_NEAR[1]) & middle).float() + 1e-6 * middle
    maps = torch.zeros_like(images)
    for i in range(n):
        count = int(torch.randint(1, DRAWN_MOST + 1, (1,), generator=generator))
        places = torch.multinomial(fit[i].flatten(), count, generator=generator)
        for place in places.tolist():
            draw = torch.randn(3, generator=generator)
            peak = min(DRAWN_PEAK * float(torch.exp(0.9 * draw[0])), 0.8)
            sigma = DRAWN_SIGMA_PX * float(torch.exp(0.3 * draw[1]))
            turn, bend, length = torch.rand(3, generator=generator).tolist()
            smear = DRAWN_SMEAR_PX * abs(float(draw[2])) * length
            t = torch.linspace(-0.5, 0.5, 7)
            angle = 2 * torch.pi * turn + (bend - 0.5) * 2 * t
            dy, dx = smear * t * torch.sin(angle), smear * t * torch.cos(angle)
            spots = torch.exp(
                -0.5 * (y[0] - place // width - dy.view(-1, 1, 1)) ** 2 / sigma**2
            ) * (torch.exp(-0.5 * (x[0] - place % width - dx.view(-1, 1, 1)) ** 2 / sigma**2))
            maps[i, 0] += peak * spots.mean(dim=0)
    return maps.clamp(max=0.9)


class CalciumCycleGan(Learner):
    """Trains G_R (`remover`) and G_S (`synthesiser`) against two critics (section 3, Figure 4)."""

    stage = "decomposition"

    def __init__(self, recipe: DecompositionRecipe) -> None:
        super().__init__(recipe)
        torch.manual_seed(recipe.seed)
        self.plan = recipe
        self.remover = MapGenerator(recipe.network, last_bias=recipe.map_start)
        self.synthesiser = MapGenerator(recipe.network, last_bias=recipe.map_start)
        self.critic_cac = PatchCritic(recipe.critic)
        self.critic_no_cac = PatchCritic(recipe.critic)
        self.average = copy.deepcopy(self.remover).requires_grad_(False)
        self.networks = {
            "remover": self.remover, "synthesiser": self.synthesiser, "average": self.average,
            "critic_cac": self.critic_cac, "critic_no_cac": self.critic_no_cac,
        }  # fmt: skip
        for network in self.networks.values():
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._generators = [*self.remover.parameters(), *self.synthesiser.parameters()]
        self._critics = [*self.critic_cac.parameters(), *self.critic_no_cac.parameters()]
        self.optimisers = {
            "generators": torch.optim.Adam(
                self._generators, lr=recipe.learning_rate, betas=(0.5, 0.999)
            ),
            "critics": torch.optim.Adam(self._critics, lr=recipe.critic_rate, betas=(0.5, 0.999)),
        }

    def step(self, first: Tensor, second: Tensor, iteration: int) -> dict[str, float]:
        """One batch of slices with CAC and as many without: generators, then critics."""
        plan, n = self.plan, len(first)
        if plan.anneal:
            left = min(1.0, 2 * (1 - (iteration - 1) / plan.iterations))
            self.optimisers["generators"].param_groups[0]["lr"] = plan.learning_rate * left
            self.optimisers["critics"].param_groups[0]["lr"] = plan.critic_rate * left
        both = augment_slices(
            torch.cat([first, second]), plan.crop_px, plan.turn_deg, self.generator
        )
        both = both.contiguous(memory_format=torch.channels_last)
        cac, no_cac = both[:n], both[n:]
        if iteration <= plan.warm_up:
            return self._warm_up(no_cac, iteration)
        for parameter in self._critics:
            parameter.requires_grad_(False)
        # Both domains in one batch: the map of the source domain, and of the target (identity).
        drawn = (
            draw_lesions(no_cac[: n // 2], self.generator) if plan.inserted_weight else no_cac[:0]
        )
        seen = torch.cat([both, (no_cac[: len(drawn)] + drawn).clamp(max=1.0)])
        removed, removed_identity, found = self.remover(seen).split([n, n, len(drawn)])
        added, added_identity = self.synthesiser(torch.cat([no_cac, cac])).split(n)
        fake_no_cac, fake_cac = cac - removed, no_cac + added
        cac_again = fake_no_cac + self.synthesiser(fake_no_cac)
        no_cac_again = fake_cac - self.remover(fake_cac)
        adversarial = adversarial_loss(
            self.critic_no_cac(fake_no_cac), real=True, kind=plan.adversarial
        ) + adversarial_loss(self.critic_cac(fake_cac), real=True, kind=plan.adversarial)
        cycle = cycle_loss(cac_again, cac) + cycle_loss(no_cac_again, no_cac)
        identity = map_loss(removed_identity) + map_loss(added_identity)
        sparsity = map_loss(removed) + map_loss(added)
        loss = (
            adversarial
            + plan.cycle_weight * cycle
            + plan.identity_weight * identity
            + plan.sparsity_weight * sparsity
        )
        inserted = inserted_loss(found, drawn) if plan.inserted_weight else torch.zeros(())
        loss = loss + plan.inserted_weight * inserted
        self.optimisers["generators"].zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimisers["generators"].step()
        self._follow(iteration)
        critic = self._train_critics(cac, no_cac, fake_cac.detach(), fake_no_cac.detach())
        return {
            "adversarial": float(adversarial.detach()), "cycle": float(cycle.detach()),
            "identity": float(identity.detach()), "sparsity": float(sparsity.detach()),
            "critic": critic, "inserted": float(inserted.detach()),
        }  # fmt: skip

    def _warm_up(self, no_cac: Tensor, iteration: int) -> dict[str, float]:
        """The remover alone, on lesions drawn into images without CAC: a start for the CycleGAN."""
        drawn = draw_lesions(no_cac, self.generator)
        loss = inserted_loss(self.remover((no_cac + drawn).clamp(max=1.0)), drawn)
        self.optimisers["generators"].zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimisers["generators"].step()
        self._follow(iteration)
        return {"inserted": float(loss.detach())}

    def _train_critics(
        self, cac: Tensor, no_cac: Tensor, fake_cac: Tensor, fake_no_cac: Tensor
    ) -> float:
        """Each critic on real images of its domain and on the generators' images."""
        kind = self.plan.adversarial
        for parameter in self._critics:
            parameter.requires_grad_(True)
        loss = sum(
            adversarial_loss(critic(real), real=True, kind=kind)
            + adversarial_loss(critic(fake), real=False, kind=kind)
            for critic, real, fake in (
                (self.critic_cac, cac, fake_cac),
                (self.critic_no_cac, no_cac, fake_no_cac),
            )
        )
        loss = torch.as_tensor(loss) / 2
        self.optimisers["critics"].zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimisers["critics"].step()
        return float(loss.detach())

    @torch.no_grad()
    def _follow(self, iteration: int) -> None:
        """Let the averaged remover follow the trained one; without averaging it is its copy."""
        decay = min(self.plan.average_decay, (1 + iteration) / (10 + iteration))
        for mean, now in zip(self.average.parameters(), self.remover.parameters(), strict=True):
            mean.lerp_(now, 1 - decay)
        for kept, new in zip(self.average.buffers(), self.remover.buffers(), strict=True):
            if kept.is_floating_point():
                kept.lerp_(new, 1 - decay)
            else:
                kept.copy_(new)

    def trained(self) -> nn.Module:
        """G_R, averaged over the last iterations where the recipe says so."""
        return self.average


@torch.inference_mode()
def cac_map_hu(
    network: nn.Module, hu: NDArray[np.generic], device: torch.device, *, batch: int = 8
) -> NDArray[np.float32]:
    """The CAC map in HU (≥ 0) of each slice (n, y, x) in HU; (n, y, x)."""
    found = [
        network(to_grey(hu[i : i + batch])[:, None].to(device))[:, 0].cpu() * HU_PER_GREY
        for i in range(0, len(hu), batch)
    ]
    return torch.cat(found).numpy() if found else np.zeros(hu.shape, np.float32)
