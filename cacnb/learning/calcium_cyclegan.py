"""The adjusted CycleGAN that splits a slice into healthy image and CAC map; no scores."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from cacnb.learning.augmentation import augment_slices
from cacnb.learning.batches import HU_PER_GREY, require_known_calcium, to_grey
from cacnb.learning.device import CPU, runs_bfloat16, side_by_side
from cacnb.learning.loop import Learner
from cacnb.learning.networks import MapGenerator, PatchCritic
from cacnb.learning.recipes import DecompositionRecipe
from cacnb.learning.wide_kernels import widen


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


#: Grey summed over an image that is added to what was inserted before a loss is divided by it, so
#: that a batch of faint lesions does not outweigh the others: half of a usual slice with CAC.
LEAST_INSERTED = 0.5


def inserted_loss(found: Tensor, inserted: Tensor) -> Tensor:
    """How far the remover's maps (batch, …) are from lesions that were put in, for their amount.

    The Kullback–Leibler divergence of a voxel's grey value taken as a share: its gradient does not
    vanish where the sigmoid is flat, and its minimum is the mean, which keeps the mass of faint
    lesions (an L1 loss would keep their median, nothing). Not in the paper.
    """
    found = found.clamp(1e-6, 1 - 1e-6)
    entropy = -(torch.xlogy(inserted, inserted) + torch.xlogy(1 - inserted, 1 - inserted))
    apart = F.binary_cross_entropy(found, inserted, reduction="none") - entropy
    return apart.sum() / (inserted.sum() + LEAST_INSERTED * len(inserted))


#: Spread of the natural log of the gain that known calcium is put back with: fainter and brighter
#: lesions than were there.
GAIN_SPREAD = 0.6


@torch.no_grad()
def insert_calcium(slices: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images with known calcium put back at another strength, and that calcium.

    `slices` (batch, 2 × inputs, y, x): unclipped grey values of slices and those beside them, and
    the calcium in them (simulated, or inserted into a scan that had none). Returns the images as a
    network sees them, (batch, inputs, y, x), and the maps that it should find, (batch, 1, y, x).
    """
    image, calcium = slices.chunk(2, dim=1)
    calcium = calcium.clamp(min=0)
    gain = torch.exp(
        GAIN_SPREAD * torch.randn(len(slices), 1, 1, 1, generator=generator, device=slices.device)
    )
    inserted = gain * calcium
    return (image - calcium + inserted).clamp(0, 1), inserted[:, :1].clamp(max=0.95)


class CalciumCycleGan(Learner):
    """Trains G_R (`remover`) and G_S (`synthesiser`) against two critics (section 3, Figure 4).

    A step's arithmetic is the usual CycleGAN's. What differs is when it is done: identity and
    translation of a generator are one batch, so that batch norm sees both domains; the two cycles,
    which share no network at any moment, run side by side on the cores of a CPU.
    """

    stage = "decomposition"

    def __init__(self, recipe: DecompositionRecipe, device: torch.device = CPU) -> None:
        super().__init__(recipe)
        self.device = device
        self.generator = torch.Generator(device).manual_seed(recipe.seed)
        torch.manual_seed(recipe.seed)
        self.plan = recipe
        self.remover, self.synthesiser = (
            MapGenerator(recipe.network, inputs=1 + len(recipe.context), last_bias=recipe.map_start)
            for _ in range(2)
        )
        self.critic_cac = PatchCritic(recipe.critic)
        self.critic_no_cac = PatchCritic(recipe.critic)
        widen(self.remover)
        widen(self.synthesiser)
        self.average = copy.deepcopy(self.remover).requires_grad_(False)
        self.networks = {
            "remover": self.remover, "synthesiser": self.synthesiser, "average": self.average,
            "critic_cac": self.critic_cac, "critic_no_cac": self.critic_no_cac,
        }  # fmt: skip
        for network in self.networks.values():
            network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            if recipe.compiled and device.type == "cuda" and network is not self.average:
                network.compile()
        self._half = recipe.precision == "bfloat16" and runs_bfloat16(device)
        self._critics = [*self.critic_cac.parameters(), *self.critic_no_cac.parameters()]
        generators = [*self.remover.parameters(), *self.synthesiser.parameters()]
        self.optimisers = {
            name: torch.optim.Adam(parameters, lr=rate, betas=(0.5, 0.999))
            for name, parameters, rate in (
                ("generators", generators, recipe.learning_rate),
                ("critics", self._critics, recipe.critic_rate),
            )
        }

    def step(self, first: Tensor, second: Tensor, iteration: int) -> dict[str, float]:
        """One batch of slices with CAC and as many without: generators, then critics."""
        plan, n = self.plan, len(first)
        self._set_rates(iteration)
        both = augment_slices(
            torch.cat([first, second]).to(self.device), plan.crop_px, plan.turn_deg, self.generator
        )
        known = both[:0]
        if plan.inserted_weight:
            require_known_calcium(both, plan.context)
            known = both if iteration <= plan.warm_up else both[n // 2 : n + n // 2]
        seen, inserted = insert_calcium(known, self.generator) if len(known) else (known, known)
        if iteration <= plan.warm_up:
            return self._warm_up(seen, inserted, iteration)
        both = both[:, : 1 + len(plan.context)].clamp(0, 1)
        both = both.contiguous(memory_format=torch.channels_last)
        (cac, beside_cac), (no_cac, beside_no_cac) = _parted(both[:n]), _parted(both[n:])
        for optimiser in self.optimisers.values():
            optimiser.zero_grad(set_to_none=True)
        for parameter in self._critics:
            parameter.requires_grad_(False)
        # Both domains in one batch: the map of the source domain, and of the target (identity).
        seen = torch.cat([both, seen[:, : both.shape[1]]])
        removal, addition = side_by_side(
            lambda: torch.split(self._run(self.remover, seen), [n, n, len(known)]),
            lambda: torch.split(self._run(self.synthesiser, torch.cat([both[n:], both[:n]])), n),
            self.device,
        )
        fake_no_cac, fake_cac = cac - removal[0], no_cac + addition[0]
        if plan.inserted_weight:  # their maps reach below the window, where fat is black
            fake_no_cac = fake_no_cac.clamp(min=0)
        to_no_cac, to_cac = (fake.detach().requires_grad_() for fake in (fake_no_cac, fake_cac))

        def back_to_cac() -> tuple[Tensor, Tensor]:
            added = self._run(self.synthesiser, torch.cat([to_no_cac, beside_cac], dim=1))
            return self._judged(to_no_cac + added, cac, self.critic_no_cac, to_no_cac)

        def back_to_no_cac() -> tuple[Tensor, Tensor]:
            removed = self._run(self.remover, torch.cat([to_cac, beside_no_cac], dim=1))
            return self._judged(to_cac - removed, no_cac, self.critic_cac, to_cac)

        judged = side_by_side(back_to_cac, back_to_no_cac, self.device)
        for parameter in self._critics:
            parameter.requires_grad_(True)
        missed = inserted_loss(removal[2], inserted) if plan.inserted_weight else cac.new_zeros(())

        def learn_removal() -> Tensor:
            loss = self._weighed(removal[0], removal[1]) + plan.inserted_weight * missed
            torch.autograd.backward([loss, fake_no_cac], [None, to_no_cac.grad])
            return self._criticise(self.critic_no_cac, no_cac, to_no_cac.detach())

        def learn_addition() -> Tensor:
            loss = self._weighed(addition[0], addition[1])
            torch.autograd.backward([loss, fake_cac], [None, to_cac.grad])
            return self._criticise(self.critic_cac, cac, to_cac.detach())

        criticised = side_by_side(learn_removal, learn_addition, self.device)
        for optimiser in self.optimisers.values():
            optimiser.step()
        self._follow(iteration)
        (adversarial, cycle), (adversarial_too, cycle_too) = judged
        return _told(
            adversarial=adversarial + adversarial_too,
            cycle=cycle + cycle_too,
            identity=map_loss(removal[1]) + map_loss(addition[1]),
            sparsity=map_loss(removal[0]) + map_loss(addition[0]),
            critic=sum(criticised, start=cac.new_zeros(())),
            inserted=missed,
        )

    def _set_rates(self, iteration: int) -> None:
        """Both step sizes, falling to 0 in the second half where the recipe says so."""
        plan = self.plan
        if plan.anneal:
            left = min(1.0, 2 * (1 - (iteration - 1) / plan.iterations))
            self.optimisers["generators"].param_groups[0]["lr"] = plan.learning_rate * left
            self.optimisers["critics"].param_groups[0]["lr"] = plan.critic_rate * left

    def _run(self, network: nn.Module, images: Tensor) -> Tensor:
        """What a network answers, in float32 whatever it computes in."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._half):
            answer: Tensor = network(images)
        return answer.float() if self._half else answer

    def _judged(
        self, again: Tensor, image: Tensor, critic: PatchCritic, fake: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Adversarial and cycle loss of one domain, sent back as far as the synthetic image."""
        adversarial = adversarial_loss(
            self._run(critic, fake), real=True, kind=self.plan.adversarial
        )
        cycle = cycle_loss(again, image)
        (adversarial + self.plan.cycle_weight * cycle).backward()  # type: ignore[no-untyped-call]
        return adversarial.detach(), cycle.detach()

    def _weighed(self, source: Tensor, target: Tensor) -> Tensor:
        """Identity and sparsity loss of one generator's maps of both domains."""
        plan = self.plan
        return plan.identity_weight * map_loss(target) + plan.sparsity_weight * map_loss(source)

    def _criticise(self, critic: PatchCritic, real: Tensor, fake: Tensor) -> Tensor:
        """One critic's loss on real images of its domain and on the generators', sent back."""
        kind = self.plan.adversarial
        loss = (
            adversarial_loss(self._run(critic, real), real=True, kind=kind)
            + adversarial_loss(self._run(critic, fake), real=False, kind=kind)
        ) / 2
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _warm_up(self, seen: Tensor, inserted: Tensor, iteration: int) -> dict[str, float]:
        """The remover alone, on known calcium: a start for the CycleGAN."""
        seen = seen.contiguous(memory_format=torch.channels_last)
        loss = inserted_loss(self._run(self.remover, seen), inserted)
        self.optimisers["generators"].zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimisers["generators"].step()
        self._follow(iteration)
        return _told(inserted=loss)

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


def _told(**terms: Tensor) -> dict[str, float]:
    """Loss terms as numbers, fetched from the device all at once: a step waits for it only here."""
    numbers = torch.stack([term.detach() for term in terms.values()]).tolist()
    return dict(zip(terms, numbers, strict=True))


def _parted(slices: Tensor) -> tuple[Tensor, Tensor]:
    """Slices (batch, inputs, y, x) as the slice itself and those beside it."""
    return slices[:, :1], slices[:, 1:]


@torch.inference_mode()
def cac_map_hu(
    network: nn.Module, hu: NDArray[np.generic], device: torch.device, *, batch: int = 8
) -> NDArray[np.float32]:
    """The CAC map in HU (≥ 0) of each slice (n, inputs, y, x) in HU; (n, y, x)."""
    found = [
        network(to_grey(hu[i : i + batch]).to(device))[:, 0].cpu() * HU_PER_GREY
        for i in range(0, len(hu), batch)
    ]
    return torch.cat(found).numpy() if found else np.zeros((0, *hu.shape[2:]), np.float32)
