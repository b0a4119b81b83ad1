"""The ways of learning the decomposition by name; each is a file of its own."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from cacnb.errors import UsageError
from cacnb.learning.bridge_remover import BridgeRemover
from cacnb.learning.calcium_cyclegan import CalciumCycleGan
from cacnb.learning.decomposer import Decomposer
from cacnb.learning.device import CPU
from cacnb.learning.diffusion_bridge import DiffusionBridge
from cacnb.learning.inserted_lesions import InsertedLesions
from cacnb.learning.networks import MapGenerator
from cacnb.learning.one_sided import OneSidedGan
from cacnb.learning.recipes import DecompositionRecipe

LEARNERS: dict[str, type[Decomposer]] = {
    "cyclegan": CalciumCycleGan, "one_sided": OneSidedGan, "inserted": InsertedLesions,
    "bridge": DiffusionBridge,
}  # fmt: skip

#: Weight of known calcium beside the adversarial losses, where a method learns from both.
INSERTED_WEIGHT = 4.0

#: What each method of `--method` sets in a recipe. `both` is the CycleGAN with inserted lesions: it
#: begins with them alone for the share `BOTH_WARM_UP` of its iterations.
METHODS: dict[str, tuple[str, float]] = {
    "cyclegan": ("cyclegan", 0.0),
    "one_sided": ("one_sided", 0.0),
    "inserted": ("inserted", INSERTED_WEIGHT),
    "both": ("cyclegan", INSERTED_WEIGHT),
    "bridge": ("bridge", INSERTED_WEIGHT),
}
BOTH_WARM_UP = 0.88


def decomposer(recipe: DecompositionRecipe, device: torch.device = CPU) -> Decomposer:
    """An untrained learner of the recipe's method."""
    return LEARNERS[recipe.method](recipe, device)


def remover(recipe: DecompositionRecipe) -> nn.Module:
    """The network that the recipe's method trains, untrained, for weights to be put into."""
    network = BridgeRemover if recipe.method == "bridge" else MapGenerator
    return network(recipe.network, inputs=1 + len(recipe.context))


def by_method(recipe: DecompositionRecipe, method: str) -> DecompositionRecipe:
    """A recipe with another method and all else as it is; raises UsageError that lists them."""
    if method not in METHODS:
        raise UsageError(f"no method {method!r} to decompose: choose {', '.join(METHODS)}")
    learner, weight = METHODS[method]
    warm_up = round(BOTH_WARM_UP * recipe.iterations) if method == "both" else 0
    return replace(recipe, method=learner, inserted_weight=weight, warm_up=warm_up)  # type: ignore[arg-type]
