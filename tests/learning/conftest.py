from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cacnb.learning.batches import PatchSampler, SliceSampler, SliceStore
from cacnb.learning.decompositions import by_method, decomposer
from cacnb.learning.heart_segmenter import HeartLearner
from cacnb.learning.learner import Learner, Sampler
from cacnb.learning.networks import EMPTY_START, NetworkShape
from cacnb.learning.recipes import DecompositionRecipe, HeartRecipe, SliceRecipe
from cacnb.learning.slice_classifier import SliceLearner

TINY = NetworkShape(width=4, blocks=1)

TINY_HEART = replace(HeartRecipe(), network=TINY, patch=16, batch=2, iterations=6, save_every=3)
TINY_SLICES = replace(
    SliceRecipe(), network=TINY, store_px=40, crop_px=32, batch=4, iterations=6, save_every=3
)
TINY_DECOMPOSITION = replace(
    DecompositionRecipe(),
    network=TINY, critic=NetworkShape(4, 2), store_px=40, crop_px=32, batch=2, iterations=6,
    save_every=3,
)  # fmt: skip
#: With everything that departs from the paper.
TINY_DEPARTED = replace(
    TINY_DECOMPOSITION, name="departed", adversarial="least_squares", map_start=EMPTY_START,
    average_decay=0.9, anneal=True, inserted_weight=1.0, warm_up=2, context=(-2, 2),
)  # fmt: skip

#: A fresh learner and sampler, as a new process would make them.
Start = Callable[[], tuple[Learner, Sampler]]


def slices_of_known_number(labels: np.ndarray, positions: np.ndarray, size: int = 8) -> SliceStore:
    """A store whose slice i is i HU everywhere, so that a drawn slice can be told."""
    count = len(labels)
    hu = np.broadcast_to(np.arange(count, dtype=np.int16)[:, None, None], (count, size, size))
    scans = np.arange(count, dtype=np.int32) // 10
    return SliceStore(hu.copy(), labels, positions.astype(np.float32), scans)


def speckled_store(size: int = 40, *, known: bool = False) -> SliceStore:
    """Slices with and without a bright square; `known` tells the square as their calcium."""
    rng = np.random.default_rng(0)
    hu = rng.normal(60, 60, (40, size, size)).astype(np.int16)
    labels = np.arange(40) % 2 == 0
    square = np.zeros((size, size), np.int16)
    square[size // 2 - 2 : size // 2 + 2, size // 2 - 2 : size // 2 + 2] = 400
    hu[labels] += square
    positions = np.linspace(0, 1, 40, dtype=np.float32)
    store = SliceStore(hu, labels, positions, np.arange(40, dtype=np.int32) // 10)
    if known:
        store.calcium = square[None]
        store.calcium_rows = np.where(labels, 0, -1)
    return store


def write_heart(stem: Path, shape: tuple[int, int, int], low: int, high: int) -> Path:
    """A cube of soft tissue in lung, and its mask."""
    heart = np.zeros(shape, bool)
    heart[low:high, low:high, low:high] = True
    rng = np.random.default_rng(0)
    image = np.where(heart, 40, -800) + rng.normal(0, 20, shape)
    np.save(f"{stem}.image.npy", image.astype(np.int16))
    np.save(f"{stem}.heart.npy", heart)
    return stem


def start_heart(stem: Path, recipe: HeartRecipe = TINY_HEART) -> tuple[Learner, Sampler]:
    sampler = PatchSampler(
        [stem], batch=recipe.batch, patch=recipe.patch, window_hu=recipe.window_hu, vary=1.0, seed=0
    )
    return HeartLearner(recipe), sampler


def start_slices(recipe: SliceRecipe = TINY_SLICES) -> tuple[Learner, Sampler]:
    store = speckled_store(known=recipe.twins)
    return SliceLearner(recipe), SliceSampler(
        store,
        np.arange(len(store.labels)),
        recipe.batch // 2,
        0,
        by_position=False,
        context=recipe.context,
    )


def start_decomposition(
    recipe: DecompositionRecipe = TINY_DECOMPOSITION,
) -> tuple[Learner, Sampler]:
    known = recipe.inserted_weight > 0 or recipe.method in ("inserted", "bridge")
    store = speckled_store(known=known)
    return decomposer(recipe), SliceSampler(
        store,
        np.arange(len(store.labels)),
        recipe.batch,
        0,
        by_position=True,
        context=recipe.context,
    )


@pytest.fixture(
    params=[
        "heart",
        "slices",
        "twins",
        "decomposition",
        "departed",
        "one_sided",
        "inserted",
        "bridge",
    ]
)
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Start:
    """Each of the learners in its paper's form, the CycleGAN also with its departures."""
    starts: dict[str, Start] = {
        "heart": lambda: start_heart(write_heart(tmp_path / "chest", (24, 24, 24), 6, 18)),
        "slices": start_slices,
        "twins": lambda: start_slices(replace(TINY_SLICES, twins=True, context=(-1, 1))),
        "decomposition": start_decomposition,
        "departed": lambda: start_decomposition(TINY_DEPARTED),
        "one_sided": lambda: start_decomposition(by_method(TINY_DEPARTED, "one_sided")),
        "inserted": lambda: start_decomposition(by_method(TINY_DEPARTED, "inserted")),
        "bridge": lambda: start_decomposition(by_method(TINY_DEPARTED, "bridge")),
    }
    return starts[request.param]
