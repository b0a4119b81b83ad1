"""What every way of learning the remover G_R shares; it knows neither critic nor cycle."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cacnb.learning.augmentation import augment_slices
from cacnb.learning.batches import HU_PER_GREY, require_known_calcium, to_grey
from cacnb.learning.device import CPU, runs_bfloat16
from cacnb.learning.known_calcium import insert_calcium, inserted_loss
from cacnb.learning.learner import Learner
from cacnb.learning.map_losses import adversarial_loss, map_loss
from cacnb.learning.networks import MapGenerator
from cacnb.learning.recipes import DecompositionRecipe
from cacnb.learning.share import Rows
from cacnb.learning.wide_kernels import widen


@dataclass(frozen=True)
class Domains:
    """A batch: `slices` (2 n, inputs, y, x) grey, the first n with CAC, the others without.

    `known` are further slices (k, inputs, y, x) into which the calcium `inserted` (k, 1, y, x) was
    put back; none where the recipe does not learn from them.
    """

    slices: Tensor
    n: int
    known: Tensor
    inserted: Tensor

    @property
    def cac(self) -> Tensor:
        """The slices with CAC themselves, without those beside, (n, 1, y, x)."""
        return self.slices[: self.n, :1]

    @property
    def no_cac(self) -> Tensor:
        """The slices without, (n, 1, y, x)."""
        return self.slices[self.n :, :1]

    @property
    def all_slices(self) -> Tensor:
        """What the remover sees in one batch: both domains, and the known ones."""
        return torch.cat([self.slices, self.known])


class Decomposer(Learner):
    """Trains the remover G_R; a method adds its partners and says what a step learns from.

    A method's `__init__` builds its partners and ends with `_ready`.
    """

    stage = "decomposition"

    def __init__(self, recipe: DecompositionRecipe, device: torch.device = CPU) -> None:
        super().__init__(recipe)
        self.device = device
        self.generator = torch.Generator(device).manual_seed(recipe.seed)
        torch.manual_seed(recipe.seed)
        self.plan = recipe
        self.remover = self._map_generator(recipe.map_start)
        self.average = copy.deepcopy(self.remover).requires_grad_(False)
        self._half = recipe.precision == "bfloat16" and runs_bfloat16(device)
        self._critics: list[nn.Parameter] = []

    def _map_generator(self, start: float) -> nn.Module:
        plan = self.plan
        made = MapGenerator(plan.network, inputs=1 + len(plan.context), last_bias=start)
        widen(made)
        return made

    def _ready(self, generators: Mapping[str, nn.Module], critics: Mapping[str, nn.Module]) -> None:
        """Put all networks on the device and make their optimisers."""
        plan = self.plan
        self.networks = {**generators, "average": self.average, **critics}
        for network in self.networks.values():
            network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
            if plan.compiled and self.device.type == "cuda" and network is not self.average:
                network.compile()
        self._critics = [p for critic in critics.values() for p in critic.parameters()]
        trained = {
            "generators": ([p for g in generators.values() for p in g.parameters()],
                           plan.learning_rate),
            "critics": (self._critics, plan.critic_rate),
        }  # fmt: skip
        self.optimisers = {
            name: torch.optim.Adam(parameters, lr=rate, betas=(0.5, 0.999))
            for name, (parameters, rate) in trained.items()
            if parameters
        }

    def step(self, first: Tensor, second: Tensor, iteration: int) -> dict[str, float]:
        """One batch of slices with CAC and as many without."""
        plan, n = self.plan, len(first)
        self._set_rates(iteration)
        rows = self.processes.share.rows(n, domains=2)
        both = torch.cat([first, second]).to(self.device)
        both = augment_slices(both, plan.crop_px, plan.turn_deg, self.generator, rows)
        alone = self.learns_known_alone(iteration)
        known = both[:0]
        if alone or plan.inserted_weight:
            require_known_calcium(both, plan.context)
            joined = rows.total // 2
            of_each = (0, rows.total) if alone else (joined // 2, joined + joined // 2)
            where, rows = rows.between(*of_each)
            known = both[where]
        seen, inserted = known, known
        if len(known):
            seen, inserted = insert_calcium(known, self.generator, rows)
        for optimiser in self.optimisers.values():
            optimiser.zero_grad(set_to_none=True)
        if alone:
            terms = self._learn_known(seen, inserted, rows)
        else:
            slices = both[:, : 1 + len(plan.context)].clamp(0, 1)
            slices = slices.contiguous(memory_format=torch.channels_last)
            terms = self.learn(Domains(slices, n, seen[:, : slices.shape[1]], inserted))
        self._follow(iteration)
        # Fetched from the device all at once: a step waits for it only here.
        numbers = torch.stack([term.detach() for term in terms.values()]).tolist()
        return dict(zip(terms, numbers, strict=True))

    def learns_known_alone(self, iteration: int) -> bool:
        """Whether an iteration trains the remover alone, on slices whose calcium is known."""
        return iteration <= self.plan.warm_up

    @abstractmethod
    def learn(self, batch: Domains) -> dict[str, Tensor]:
        """Train on a batch of both domains; gradients are zero before. Returns the loss terms."""

    def _learn_known(self, seen: Tensor, inserted: Tensor, rows: Rows) -> dict[str, Tensor]:
        loss = inserted_loss(self._find(seen, inserted, rows), inserted, self.processes)
        loss.backward()  # type: ignore[no-untyped-call]
        self.update("generators")
        return {"inserted": loss}

    def _find(self, seen: Tensor, inserted: Tensor, rows: Rows) -> Tensor:
        """The maps of slices with known calcium; a method may show its remover more than them."""
        del inserted, rows
        return self._run(self.remover, seen.contiguous(memory_format=torch.channels_last))

    def _set_rates(self, iteration: int) -> None:
        """The step sizes of an iteration: by what it learns from, and falling where they anneal."""
        plan = self.plan
        left = min(1.0, 2 * (1 - (iteration - 1) / plan.iterations)) if plan.anneal else 1.0
        alone = plan.inserted_rate and self.learns_known_alone(iteration)
        rates = {
            "generators": plan.inserted_rate if alone else plan.learning_rate,
            "critics": plan.critic_rate,
        }
        for name, optimiser in self.optimisers.items():
            optimiser.param_groups[0]["lr"] = rates[name] * left

    def _run(self, network: nn.Module, images: Tensor) -> Tensor:
        """What a network answers, in float32 whatever it computes in."""
        with self.processes.half(self.device, wanted=self._half):
            answer: Tensor = network(images)
        return answer.float() if self._half else answer

    def _healthy(self, cac: Tensor, cac_map: Tensor) -> Tensor:
        """The synthetic image without CAC (section 3, Figure 4).

        Where known calcium is learned from, maps reach below the window, where fat is black.
        """
        healthy = cac - cac_map
        return healthy.clamp(min=0) if self.plan.inserted_weight else healthy

    def _fools(self, critic: nn.Module, fake: Tensor) -> Tensor:
        """Equation 2 for a generator: what its images lose by a critic."""
        return adversarial_loss(self._run(critic, fake), real=True, kind=self.plan.adversarial)

    def _weighed(self, source: Tensor, target: Tensor) -> Tensor:
        """Sparsity and identity loss of one generator's maps of both domains."""
        plan = self.plan
        return plan.identity_weight * map_loss(target) + plan.sparsity_weight * map_loss(source)

    def _missed(self, found: Tensor, inserted: Tensor) -> Tensor:
        """What the remover missed of known calcium; 0 where the recipe does not look."""
        if not self.plan.inserted_weight:
            return found.new_zeros(())
        return inserted_loss(found, inserted, self.processes)

    def _hold_critics(self, *, still: bool) -> None:
        """While generators learn from them, critics gather no gradient."""
        for parameter in self._critics:
            parameter.requires_grad_(not still)

    def _criticise(self, critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
        """One critic's loss on real images of its domain and on the generators', sent back."""
        kind = self.plan.adversarial
        loss = (
            adversarial_loss(self._run(critic, real), real=True, kind=kind)
            + adversarial_loss(self._run(critic, fake), real=False, kind=kind)
        ) / 2
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

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
    """The CAC map in HU (≥ 0) of each slice (n, inputs, y, x) in HU; (n, y, x)."""
    found = [
        network(to_grey(hu[i : i + batch]).to(device))[:, 0].cpu() * HU_PER_GREY
        for i in range(0, len(hu), batch)
    ]
    return torch.cat(found).numpy() if found else np.zeros((0, *hu.shape[2:]), np.float32)
