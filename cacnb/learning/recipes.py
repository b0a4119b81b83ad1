"""How each network is trained: frozen values, the paper's by default; no data, no loop."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self

from cacnb.errors import UsageError
from cacnb.learning.networks import (
    EMPTY_START,
    LESION_START,
    PAPER_CLASSIFIER,
    PAPER_CRITIC,
    PAPER_GENERATOR,
    PAPER_HEART,
    NetworkShape,
)


@dataclass(frozen=True)
class Recipe:
    """What every training has: a name, a length, a batch, a step size, a seed, when to save."""

    name: str = "paper"
    iterations: int = 0
    batch: int = 1
    learning_rate: float = 1e-3
    seed: int = 0
    save_every: int = 1000

    def of_length(self, iterations: int) -> Self:
        """The recipe with another number of iterations, its first part in proportion.

        Raises
        ------
        UsageError
            For fewer than one.
        """
        if iterations < 1:
            raise UsageError(f"{iterations} iterations: ask for at least 1")
        share = iterations / self.iterations
        parts = {
            part: round(share * getattr(self, part))
            for part in ("warm_up", "first_iterations")
            if hasattr(self, part)
        }
        save_every = min(self.save_every, iterations)
        return replace(self, iterations=iterations, save_every=save_every, **parts)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as saved beside a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """A recipe from what `as_dict` gave; raises TypeError for a key that it does not know."""
        known = {f.name: f for f in fields(cls)}
        made: dict[str, Any] = {}
        for key, value in values.items():
            if key not in known:
                raise TypeError(f"{cls.__name__} has no {key!r}")
            if isinstance(value, dict):
                value = NetworkShape(**value)
            made[key] = tuple(value) if isinstance(value, list) else value
        return cls(**made)


@dataclass(frozen=True)
class HeartRecipe(Recipe):
    """Heart segmentation (section 5): 1.5 × 1.5 × 3.0 mm, patches of 64³, Dice loss, Adam 1e-3.

    `window_hu` is mapped to [−1, 1]; the paper gives none. `vary` is domain randomisation: zoom,
    contrast, blur and noise of the patches; 0 in the paper. `overlap` is the share of a patch that
    the next one covers when a scan is segmented. With `anneal` the step size falls to 0 over the
    last third; the paper's stays.
    """

    iterations: int = 250_000
    batch: int = 10
    network: NetworkShape = PAPER_HEART
    spacing_mm: tuple[float, float, float] = (3.0, 1.5, 1.5)
    patch: int = 64
    window_hu: tuple[float, float] = (-400.0, 400.0)
    vary: float = 0.0
    overlap: float = 0.5
    anneal: bool = False


@dataclass(frozen=True)
class SliceRecipe(Recipe):
    """Slice classification (section 5): 224 × 224 at 1.0 mm, cross-entropy, Adam 1e-3.

    With `precision` bfloat16 the layers compute in it where the device has units for it; weights,
    sums and losses stay float32. `compiled` compiles the networks on a GPU; `on_device` keeps the
    prepared slices in its memory where they fit. The defaults are the plain way.

    `store_px` is the size that slices are kept at, `crop_px` the random crop that is trained on,
    `turn_deg` the largest random rotation. Departures from the paper: with `twins`, half of the
    slices without CAC are slices with CAC whose known calcium is taken out; `context` names the
    slices beside that the network sees too, in steps of 1.5 mm; `anneal` is a heart recipe's.
    """

    iterations: int = 1_500_000
    batch: int = 20
    network: NetworkShape = PAPER_CLASSIFIER
    store_px: int = 256
    crop_px: int = 224
    turn_deg: float = 10.0
    twins: bool = False
    anneal: bool = False
    context: tuple[int, ...] = ()
    precision: Literal["float32", "bfloat16"] = "float32"
    compiled: bool = False
    on_device: bool = False


@dataclass(frozen=True)
class DecompositionRecipe(Recipe):
    """The adjusted CycleGAN (sections 3 and 5): λ 10, α 10, β 0.001, Adam 1e-4, batches of 4.

    `method` is the way of learning (`decompositions.METHODS`); the paper's is the CycleGAN.
    `inserted_weight` adds slices whose calcium is known, put back at another strength, which the
    remover has to find; in the first `warm_up` iterations it learns from them alone, with the step
    size `inserted_rate` (0: the same). `map_start` is where maps start, `added_start` where those
    of G_S do (None: there too), which known calcium teaches nothing. With `anneal` step sizes fall
    to 0 over the second half. The values from `adversarial` on are departures from the paper that a
    small network needs
    (PAPER.md); their defaults are the paper's. `precision`, `compiled` and `on_device` are a slice
    recipe's.
    """

    iterations: int = 375_000
    batch: int = 4
    learning_rate: float = 1e-4
    method: Literal["cyclegan", "one_sided", "inserted", "bridge"] = "cyclegan"
    network: NetworkShape = PAPER_GENERATOR
    critic: NetworkShape = PAPER_CRITIC
    store_px: int = 256
    crop_px: int = 224
    turn_deg: float = 10.0
    cycle_weight: float = 10.0
    identity_weight: float = 10.0
    sparsity_weight: float = 0.001
    adversarial: Literal["log", "least_squares"] = "log"
    map_start: float = 0.0
    added_start: float | None = None
    average_decay: float = 0.0
    critic_rate: float = 1e-4
    inserted_weight: float = 0.0
    inserted_rate: float = 0.0
    warm_up: int = 0
    anneal: bool = False
    context: tuple[int, ...] = ()
    precision: Literal["float32", "bfloat16"] = "float32"
    compiled: bool = False
    on_device: bool = False


@dataclass(frozen=True)
class ClinicalRecipe(Recipe):
    """Automatic clinical scoring (Lessmann 2018, van Velzen 2020): the authors' published sizes.

    The first network trains for `first_iterations`, the second for the rest; each has its own step
    size and weight decay. Both see the scan at `spacing_mm` in all directions (the authors' first
    one keeps 1.5 mm between slices). The first sees what `dilations` span, 131 voxels, and learns
    from `labelled_px`² voxels of each view, weighted `view_weight`, beside the middle one; the
    second sees `second_px`. Candidates lie within `reach_mm` of the heart; the authors label the
    whole scan. Beside these, departures are: `vary` re-contrasts the patches and makes them noisy,
    `voxels` of a component at most are looked at in a scan, None for all.
    """

    iterations: int = 160_000
    batch: int = 64
    learning_rate: float = 5e-4
    first_iterations: int = 35_000
    second_learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    second_weight_decay: float = 2e-5
    spacing_mm: float = 0.66
    reach_mm: float = 10.0
    widths: tuple[int, ...] = (32,) * 8
    combined: int = 128
    dilations: tuple[int, ...] = (1, 1, 2, 4, 8, 16, 32, 1)
    dropout: float = 0.35
    labelled_px: int = 25
    view_weight: float = 0.05
    second_widths: tuple[int, ...] = (24, 32, 48, 32)
    second_dense: int = 256
    second_px: int = 65
    second_dropout: float = 0.5
    vary: float = 0.0
    voxels: int | None = None

    @property
    def field_px(self) -> int:
        """What the first network sees around a voxel, in voxels."""
        return 1 + 2 * sum(self.dilations)


#: What the packaged weights come from, about an hour on two cores: fewer channels and blocks, a
#: coarser heart grid, smaller crops.
PACKAGED_HEART = HeartRecipe(
    name="packaged", iterations=1400, batch=4, learning_rate=3e-3, save_every=100,
    network=NetworkShape(width=8, blocks=4), spacing_mm=(6.0, 6.0, 6.0), patch=32, vary=1.0,
    overlap=0.25, anneal=True,
)  # fmt: skip
PACKAGED_SLICES = SliceRecipe(
    name="packaged", iterations=4500, batch=12, learning_rate=1e-3, save_every=100,
    network=NetworkShape(width=12, blocks=3), store_px=160, crop_px=136, twins=True,
    anneal=True, context=(-2, 2),
)  # fmt: skip
PACKAGED_DECOMPOSITION = DecompositionRecipe(
    name="packaged", iterations=5000, learning_rate=8e-4, critic_rate=3e-4, save_every=100,
    network=NetworkShape(width=16, blocks=3), critic=NetworkShape(width=16, blocks=2),
    store_px=160, crop_px=128, adversarial="least_squares", map_start=EMPTY_START,
    average_decay=0.998,
    inserted_weight=4.0, warm_up=4700, anneal=True, context=(-2, 2),
)  # fmt: skip

#: The same in about 20 minutes on two cores for all three stages, heart and slices on one beside
#: the decomposition on the other.
DEMO_HEART = replace(PACKAGED_HEART.of_length(400), name="demo", learning_rate=1e-3)
DEMO_SLICES = replace(PACKAGED_SLICES.of_length(1500), name="demo")
DEMO_DECOMPOSITION = replace(
    PACKAGED_DECOMPOSITION.of_length(3200), name="demo", method="inserted", crop_px=96,
    learning_rate=3e-4, inserted_rate=2e-3, map_start=LESION_START, added_start=EMPTY_START,
    average_decay=0.99, warm_up=0,
)  # fmt: skip

#: At 1.5 mm the first network's 59 voxels are the paper's 86 mm, the second's 29 its 43 mm.
DEMO_CLINICAL = ClinicalRecipe(
    name="demo", iterations=1800, batch=32, learning_rate=2e-3, save_every=100,
    first_iterations=900, second_learning_rate=2e-3, spacing_mm=1.5,
    widths=(8, 8, 8, 16, 16, 16, 16), combined=64, dilations=(1, 1, 2, 4, 8, 12, 1), dropout=0.2,
    labelled_px=1, view_weight=0.2, second_widths=(12, 16, 24, 16), second_dense=64, second_px=29,
    second_dropout=0.3, vary=1.0, voxels=8,
)  # fmt: skip

PACKAGED_CLINICAL = replace(DEMO_CLINICAL, name="packaged")

#: `fast` draws the paper's number of slices in batches so many times as large.
FAST_BATCHES = 4

#: Adam's step size grows with the square root of the batch (Malladi 2022): what a given number of
#: slices does to a weight keeps its spread. Their rule for Adam's betas is not followed: it would
#: take the CycleGAN's 0.5 below 0.
FAST_RATE = FAST_BATCHES**0.5

#: The paper's method in the least wall time on one large GPU: what differs is the batch, the step
#: size by the rule above, and how a device computes; losses, networks, grid and number of slices
#: are the paper's.
FAST_SLICES = SliceRecipe(
    name="fast", iterations=1_500_000 // FAST_BATCHES, batch=20 * FAST_BATCHES,
    learning_rate=1e-3 * FAST_RATE, precision="bfloat16", compiled=True, on_device=True,
)  # fmt: skip
FAST_DECOMPOSITION = DecompositionRecipe(
    name="fast", iterations=375_000 // FAST_BATCHES, batch=4 * FAST_BATCHES,
    learning_rate=1e-4 * FAST_RATE, critic_rate=1e-4 * FAST_RATE,
    precision="bfloat16", compiled=True, on_device=True,
)  # fmt: skip

#: The way of learning that did best of those compared (docs/decompositions.md: `both`, at the size
#: of `demo`), in the paper's networks and number of slices; not trained at this size yet. It learns
#: known calcium for the share of `packaged`, then the CycleGAN beside it, and departs as that does.
DEFAULT_DECOMPOSITION = replace(
    FAST_DECOMPOSITION, name="default", adversarial="least_squares",
    critic=NetworkShape(width=64, blocks=2), map_start=EMPTY_START, average_decay=0.998,
    inserted_weight=PACKAGED_DECOMPOSITION.inserted_weight,
    warm_up=round(0.94 * FAST_DECOMPOSITION.iterations), anneal=True, context=(-2, 2),
)  # fmt: skip

RECIPES: dict[str, dict[str, Recipe]] = {
    "heart": {"paper": HeartRecipe(), "demo": DEMO_HEART, "packaged": PACKAGED_HEART},
    "slices": {
        "paper": SliceRecipe(), "demo": DEMO_SLICES, "packaged": PACKAGED_SLICES,
        "fast": FAST_SLICES,
    },
    "decomposition": {
        "paper": DecompositionRecipe(), "demo": DEMO_DECOMPOSITION,
        "packaged": PACKAGED_DECOMPOSITION, "fast": FAST_DECOMPOSITION,
        "default": DEFAULT_DECOMPOSITION,
    },
    "clinical": {"paper": ClinicalRecipe(), "demo": DEMO_CLINICAL, "packaged": PACKAGED_CLINICAL},
}  # fmt: skip


def recipe(stage: str, name: str) -> Recipe:
    """The recipe of a stage by name; raises UsageError that lists what there is."""
    if stage not in RECIPES:
        raise UsageError(f"no stage {stage!r} to train: choose {', '.join(RECIPES)}")
    if name not in RECIPES[stage]:
        raise UsageError(f"no recipe {name!r} for {stage}: choose {', '.join(RECIPES[stage])}")
    return RECIPES[stage][name]
