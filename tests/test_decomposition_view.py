import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cacnb.decomposition_view import DecompositionView
from cacnb.learning.batches import SliceStore
from cacnb.learning.decompositions import METHODS, by_method, decomposer
from cacnb.learning.networks import EMPTY_START, NetworkShape
from cacnb.learning.recipes import DecompositionRecipe
from cacnb.training_failures import LOOKS_IN_A_ROW, failures_now

CROP = 32
RECIPE = replace(
    DecompositionRecipe(),
    network=NetworkShape(4, 1), critic=NetworkShape(4, 2), store_px=40, crop_px=CROP, batch=2,
    map_start=EMPTY_START, adversarial="least_squares",
)  # fmt: skip


@pytest.fixture(params=METHODS)
def view(request: pytest.FixtureRequest) -> DecompositionView:
    """A view of each method's untrained networks on slices of noise."""
    hu = np.random.default_rng(0).normal(40, 30, (16, 40, 40)).astype(np.int16)
    scans = np.arange(16, dtype=np.int32) // 4
    store = SliceStore(hu, np.arange(16) % 2 == 0, np.linspace(0, 1, 16), scans, list("abcd"))
    learner = decomposer(by_method(RECIPE, request.param))
    return DecompositionView(
        learner, store, np.ones(4, bool), np.array([0, 0, 1, 1]), np.ones(4, bool)
    )


def test_every_method_is_seen_by_the_networks_it_has(view: DecompositionView) -> None:
    found = view.numbers()
    networks = view.learner.networks
    assert all(np.isfinite(value) for value in found.values())
    assert ("cycle_error_hu" in found) == ("synthesiser" in networks)
    for domain in ("cac", "no_cac"):
        assert (f"critic_{domain}_real" in found) == (f"critic_{domain}" in networks)


def test_looking_at_a_method_without_critics_tells_no_critic_that_won(
    view: DecompositionView,
) -> None:
    looks = [view.numbers()] * LOOKS_IN_A_ROW
    assert "critic_won" not in failures_now([], [], looks)


def test_a_picture_has_a_column_for_each_image_that_a_method_makes(view: DecompositionView) -> None:
    columns = 8 if "synthesiser" in view.learner.networks else 5
    assert Image.open(io.BytesIO(view.picture())).size == (columns * CROP, 4 * CROP)
