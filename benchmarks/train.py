"""Samples a second of one CycleGAN training step: ours beside a plain one, in turn, in one run.

Plain is what public implementations do: six passes of the generators, each of one batch (two
translations, two cycles, two identities), critics frozen meanwhile, then a step of each critic with
an optimiser of its own; eager, float32, channels first, every loss term fetched by itself. Both
train networks of the same sizes from the same weights on the same batches of drawn slices. On a GPU
(`--device cuda --recipe paper`) the share of the chip's matrix rate, measured in the same run, and
the hours of the paper's schedule stand beside. Read the ratio, not the seconds. On a CPU the plain
step is also given one thread alone: on some virtual cores that is faster than two that wait for one
another after every layer, and then it is the fairer peer.

    .venv/bin/python benchmarks/train.py [--rounds 5] [--device cpu] [--recipe small] [--json]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn

from cacnb.learning.augmentation import augment_slices
from cacnb.learning.batches import SliceSampler, SliceStore
from cacnb.learning.calcium_cyclegan import CalciumCycleGan
from cacnb.learning.map_losses import adversarial_loss, cycle_loss, map_loss
from cacnb.learning.networks import MapGenerator, NetworkShape, PatchCritic
from cacnb.learning.recipes import RECIPES, DecompositionRecipe

#: Two cores can train it: 96 px, 16 filters, 3 blocks; all else is the paper's.
SMALL = replace(
    DecompositionRecipe(),
    network=NetworkShape(16, 3), critic=NetworkShape(16, 3), store_px=112, crop_px=96,
)  # fmt: skip

#: Batches of 4 in the paper's schedule (section 5).
PAPER_ITERATIONS, PAPER_BATCH = 375_000, 4

Step = Callable[[Tensor, Tensor], object]


class PlainCycleGan:
    """The usual CycleGAN step with the paper's losses, nothing joined and nothing fused."""

    def __init__(self, recipe: DecompositionRecipe, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.plan, self.device = recipe, device
        self.generator = torch.Generator(device).manual_seed(recipe.seed)
        self.remover, self.synthesiser = (MapGenerator(recipe.network).to(device) for _ in range(2))
        self.critics = [PatchCritic(recipe.critic).to(device) for _ in range(2)]
        generators = [*self.remover.parameters(), *self.synthesiser.parameters()]
        self.of_generators = torch.optim.Adam(
            generators, lr=recipe.learning_rate, betas=(0.5, 0.999)
        )
        self.of_critics = [
            torch.optim.Adam(critic.parameters(), lr=recipe.critic_rate, betas=(0.5, 0.999))
            for critic in self.critics
        ]

    def step(self, first: Tensor, second: Tensor) -> dict[str, float]:
        """One batch of slices with CAC and as many without."""
        plan, n = self.plan, len(first)
        images = torch.cat([first, second]).to(self.device)
        images = augment_slices(images, plan.crop_px, plan.turn_deg, self.generator).clamp(0, 1)
        cac, no_cac = images[:n], images[n:]
        critic_cac, critic_no_cac = self.critics
        _freeze(self.critics, frozen=True)
        removed = self.remover(cac)
        added = self.synthesiser(no_cac)
        fake_no_cac, fake_cac = cac - removed, no_cac + added
        cac_again = fake_no_cac + self.synthesiser(fake_no_cac)
        no_cac_again = fake_cac - self.remover(fake_cac)
        terms = {
            "adversarial_no_cac": adversarial_loss(
                critic_no_cac(fake_no_cac), real=True, kind=plan.adversarial
            ),
            "adversarial_cac": adversarial_loss(
                critic_cac(fake_cac), real=True, kind=plan.adversarial
            ),
            "cycle_cac": plan.cycle_weight * cycle_loss(cac_again, cac),
            "cycle_no_cac": plan.cycle_weight * cycle_loss(no_cac_again, no_cac),
            "identity_no_cac": plan.identity_weight * map_loss(self.remover(no_cac)),
            "identity_cac": plan.identity_weight * map_loss(self.synthesiser(cac)),
            "sparsity_cac": plan.sparsity_weight * map_loss(removed),
            "sparsity_no_cac": plan.sparsity_weight * map_loss(added),
        }
        self.of_generators.zero_grad()
        torch.autograd.backward(torch.stack(list(terms.values())).sum())
        self.of_generators.step()
        _freeze(self.critics, frozen=False)
        pairs = ((cac, fake_cac), (no_cac, fake_no_cac))
        for critic, optimiser, (real, fake) in zip(
            self.critics, self.of_critics, pairs, strict=True
        ):
            loss = (
                adversarial_loss(critic(real), real=True, kind=plan.adversarial)
                + adversarial_loss(critic(fake.detach()), real=False, kind=plan.adversarial)
            ) / 2
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            terms[f"critic_{len(terms)}"] = loss
        return {name: term.item() for name, term in terms.items()}


def _freeze(networks: list[PatchCritic], *, frozen: bool) -> None:
    for network in networks:
        network.requires_grad_(not frozen)


def drawn_slices(recipe: DecompositionRecipe) -> SliceSampler:
    """Slices of noise, every second one with a bright square."""
    rng = np.random.default_rng(0)
    size, count = recipe.store_px, 64
    hu = rng.normal(60, 60, (count, size, size)).astype(np.int16)
    labels = np.arange(count) % 2 == 0
    hu[labels, size // 2 : size // 2 + 4, size // 2 : size // 2 + 4] += 400
    where = np.linspace(0, 1, count, dtype=np.float32)
    store = SliceStore(hu, labels, where, np.arange(count, dtype=np.int32) // 16)
    return SliceSampler(store, np.arange(count), recipe.batch, 0, by_position=True)


def make(kind: str, recipe: DecompositionRecipe, device: torch.device) -> Step:
    """The step of `ours` or of `plain`, from the same weights."""
    if kind == "plain":
        return PlainCycleGan(recipe, device).step
    ours = CalciumCycleGan(recipe, device)
    for network in ours.networks.values():
        network.train()
    return lambda first, second: ours.step(first, second, 1)


def seconds_of(step: Step, sampler: SliceSampler, steps: int, device: torch.device) -> float:
    """Wall seconds of some steps, with what it takes to draw their batches."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    for _ in range(steps):
        step(*sampler.draw())
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def peak_mb(kind: str, arguments: argparse.Namespace) -> float:
    """Largest memory of a process that trains by one of the two alone; a GPU's own on a GPU."""
    told = subprocess.run(
        [sys.executable, __file__, "--memory-of", kind, "--device", arguments.device,
         "--recipe", arguments.recipe],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return float(told.stdout)


def tell_memory(kind: str, recipe: DecompositionRecipe, device: torch.device) -> None:
    """Train three steps and print the largest memory in MB."""
    seconds_of(make(kind, recipe, device), drawn_slices(recipe), 3, device)
    if device.type == "cuda":
        print(torch.cuda.max_memory_allocated(device) / 1e6)
    else:
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)


def multiply_adds(recipe: DecompositionRecipe) -> float:
    """Of one step, a sample: each pass forward and, twice that, backward."""
    slices = torch.zeros(1, 1, recipe.crop_px, recipe.crop_px)
    generator, critic = (
        _passed(network, slices)
        for network in (MapGenerator(recipe.network), PatchCritic(recipe.critic))
    )
    # Six passes of a generator; a frozen critic goes back once, a trained one twice.
    return 3 * 6 * generator + 2 * 2 * critic + 3 * 4 * critic


def _passed(network: nn.Module, slices: Tensor) -> float:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(slices)
    return float(counter.get_total_flops()) / 2


def matrix_rate(device: torch.device, kind: torch.dtype) -> float:
    """Multiply–adds a second of a large matrix product."""
    size = 8192 if device.type == "cuda" else 1024
    one = torch.randn(size, size, device=device, dtype=kind)
    best = 1e9
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(10):
            one @ one
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, (time.perf_counter() - start) / 10)
    return size**3 / best


def main() -> None:
    """Print the table, or with --json one object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3, help="steps a round")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--recipe", default="small", choices=["small", "paper", "fast"])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--memory-of", choices=["ours", "plain"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    chosen = SMALL if arguments.recipe == "small" else RECIPES["decomposition"][arguments.recipe]
    if not isinstance(chosen, DecompositionRecipe):
        raise TypeError(f"{arguments.recipe} is no recipe of the decomposition")
    if device.type == "cuda":  # the recipe's arithmetic as fast as the chip does it
        chosen = replace(chosen, precision="bfloat16", compiled=True, on_device=True)
    if arguments.memory_of:
        tell_memory(arguments.memory_of, chosen, device)
        return
    # First of all: a process begins with the largest memory of the one that started it.
    memory = {kind: peak_mb(kind, arguments) for kind in ("ours", "plain")}
    steps = {kind: make(kind, chosen, device) for kind in memory}
    samplers = {kind: drawn_slices(chosen) for kind in steps}
    for kind, step in steps.items():  # compiling, memory and thread pools are not what is measured
        seconds_of(step, samplers[kind], 3, device)
    rates: dict[str, list[float]] = {kind: [] for kind in steps}
    alone: list[float] | None = [] if device.type == "cpu" else None
    for _ in range(arguments.rounds):
        for kind, step in steps.items():
            taken = seconds_of(step, samplers[kind], arguments.steps, device)
            rates[kind].append(arguments.steps * chosen.batch / taken)
        if alone is not None:
            threads = torch.get_num_threads()
            torch.set_num_threads(1)
            taken = seconds_of(steps["plain"], samplers["plain"], arguments.steps, device)
            torch.set_num_threads(threads)
            alone.append(arguments.steps * chosen.batch / taken)
    told: dict[str, object] = {
        kind: {
            "samples_per_second": median(rates[kind]),
            "fastest": max(rates[kind]),
            "peak_mb": memory[kind],
        }
        for kind in steps
    }
    told["ours_to_plain"] = median(o / p for o, p in zip(*rates.values(), strict=True))
    if alone:
        told["plain_one_thread"] = {"samples_per_second": median(alone), "fastest": max(alone)}
        told["ours_to_plain_one_thread"] = median(
            o / p for o, p in zip(rates["ours"], alone, strict=True)
        )
    told["rounds"], told["batch"], told["px"] = arguments.rounds, chosen.batch, chosen.crop_px
    told["device"] = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    told["threads"] = torch.get_num_threads()
    number = torch.bfloat16 if device.type == "cuda" else torch.float32
    of_rate = multiply_adds(chosen) * median(rates["ours"]) / matrix_rate(device, number)
    told["share_of_matrix_rate"] = of_rate
    if arguments.recipe != "small":
        told["hours_of_the_papers_schedule"] = (
            PAPER_ITERATIONS * PAPER_BATCH / median(rates["ours"]) / 3600
        )
    if arguments.json:
        print(json.dumps(told))
        return
    for name in steps:
        row = told[name]
        print(f"{name:6}", json.dumps(row))
    print(f"ours trains {told['ours_to_plain']:.2f} times as many samples a second (median)")
    if alone:
        print(
            f"and {told['ours_to_plain_one_thread']:.2f} times those of plain on one thread alone"
        )
    print(f"{of_rate:.0%} of the measured matrix rate of this {told['device']}")


if __name__ == "__main__":
    main()
