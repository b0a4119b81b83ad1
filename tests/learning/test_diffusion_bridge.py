"""The bridge between a slice with calcium and the same without, and what crosses it."""

import hashlib
import importlib.util
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cacnb.learning.bridge_remover import (
    NOISE,
    STEPS,
    BridgeRemover,
    bridge_state,
    bridge_time,
)
from cacnb.learning.decompositions import by_method
from cacnb.learning.diffusion_bridge import DiffusionBridge
from cacnb.learning.known_calcium import inserted_loss
from cacnb.learning.network_ports import fixed_input, network_ports
from cacnb.learning.networks import HeartNetwork, SliceClassifier
from cacnb.learning.onnx_export import export_onnx
from cacnb.learning.plain_export import export_folder
from cacnb.learning.share import Rows, Share
from cacnb.learning.weights import Weights, load_weights, save_weights
from cacnb.learning.weights_check import check_weights

from .conftest import TINY, TINY_DEPARTED, TINY_HEART, TINY_SLICES, start_decomposition

TINY_BRIDGE = by_method(TINY_DEPARTED, "bridge")
DOCUMENT = Path(__file__).parents[2] / "docs" / "weights.md"
MISSING = [
    name for name in ("onnx", "onnxscript", "onnxruntime") if not importlib.util.find_spec(name)
]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def at(time: float) -> Tensor:
    return torch.full((1, 1, 1, 1), time)


class Knows(nn.Module):
    """A perfect denoiser: it names the map whatever it is shown, and keeps what it was shown."""

    def __init__(self, cac_map: Tensor) -> None:
        super().__init__()
        self.cac_map, self.shown = cac_map, []

    def forward(self, shown: Tensor) -> Tensor:
        self.shown.append(shown)
        return self.cac_map


@pytest.fixture(scope="module")
def remover() -> BridgeRemover:
    """With running statistics that are not a batch norm's first ones, and lesions in its map."""
    torch.manual_seed(0)
    made = BridgeRemover(TINY, inputs=3, last_bias=-1.0).train()
    with torch.no_grad():
        made.denoiser.layers[0].weight.normal_(std=0.1)
        for module in made.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.3, 0.3)
        for _ in range(3):
            made.denoiser(torch.rand(2, 5, 32, 32))
    return made.eval()


def test_the_bridge_ends_at_the_healthy_image_and_at_the_one_with_calcium() -> None:
    healthy, image, noise = (drawn(2, 1, 8, 8, seed=i) for i in range(3))
    assert torch.equal(bridge_state(healthy, image, at(0.0), noise), healthy)
    assert torch.equal(bridge_state(healthy, image, at(1.0), noise), image)


@pytest.mark.parametrize("time", [0.1, 0.5, 0.9])
def test_between_its_ends_the_bridge_has_the_mean_and_variance_of_zhou(time: float) -> None:
    healthy, image = 0.1, 0.6
    noise = torch.randn(1, 1, 400, 400, generator=torch.Generator().manual_seed(0))
    states = bridge_state(
        torch.full_like(noise, healthy), torch.full_like(noise, image), at(time), noise
    )
    # For a variance-exploding diffusion alpha is 1 and SNR_t is 1 / sigma_t².
    variance, last = NOISE**2 * time, NOISE**2
    ratio = variance / last
    mean = ratio * image + (1 - ratio) * healthy
    spread = (variance * (1 - ratio)) ** 0.5
    count = noise.numel()
    assert float(states.mean()) == pytest.approx(mean, abs=4 * spread / count**0.5)
    assert float(states.std()) == pytest.approx(spread, rel=4 / (2 * count) ** 0.5)


def test_time_runs_from_the_image_with_calcium_to_the_healthy_one() -> None:
    times = BridgeRemover(TINY).times
    assert (times[0], times[-1], len(times)) == (1.0, 0.0, STEPS + 1)
    assert list(times) == sorted(times, reverse=True)
    even = torch.linspace(0, 1, STEPS + 1, dtype=torch.float64)
    assert list(times) == bridge_time(even).tolist()


def test_a_perfect_denoiser_gives_exactly_the_healthy_image() -> None:
    slices, cac_map = drawn(2, 3, 8, 8), drawn(2, 1, 8, 8, seed=1)
    remover = BridgeRemover(TINY, inputs=3)
    remover.denoiser = Knows(cac_map)
    found = remover(slices)
    assert torch.equal(found, cac_map)
    assert torch.equal(slices[:, :1] - found, slices[:, :1] - cac_map)


def test_on_the_way_a_perfect_denoiser_is_shown_the_means_of_the_bridge() -> None:
    slices, cac_map = drawn(2, 3, 8, 8), drawn(2, 1, 8, 8, seed=1)
    remover = BridgeRemover(TINY, inputs=3)
    remover.denoiser = knows = Knows(cac_map)
    remover(slices)
    image = slices[:, :1]
    assert len(knows.shown) == STEPS
    for shown, time in zip(knows.shown, remover.times, strict=False):
        assert torch.equal(shown[:, :3], slices)
        state = bridge_state(image - cac_map, image, at(time), torch.zeros_like(image))
        torch.testing.assert_close(image - shown[:, 3:4], state)
        assert torch.equal(shown[:, 4:], torch.full_like(image, time))


def test_the_map_is_never_negative_nor_above_1000_hu(remover: BridgeRemover) -> None:
    with torch.inference_mode():
        for slices in (drawn(2, 3, 32, 32), torch.zeros(1, 3, 32, 32), torch.ones(1, 3, 32, 32)):
            found = remover(slices)
            assert found.shape == slices[:, :1].shape
            assert float(found.min()) >= 0 and float(found.max()) <= 1


def test_the_same_slice_gives_the_same_map_whatever_was_drawn_between(
    remover: BridgeRemover,
) -> None:
    slices = drawn(2, 3, 32, 32)
    with torch.inference_mode():
        first = remover(slices)
        torch.rand(7)
        again, alone = remover(slices), remover(slices[:1])
    assert first.std() > 1e-3
    assert torch.equal(first, again)
    torch.testing.assert_close(alone, first[:1], rtol=0, atol=1e-6)


def test_the_first_map_is_of_the_slice_alone_and_later_steps_change_it(
    remover: BridgeRemover,
) -> None:
    slices = drawn(1, 3, 32, 32)
    empty, one = torch.zeros(1, 1, 32, 32), torch.ones(1, 1, 32, 32)
    with torch.inference_mode():
        first = remover.denoiser(torch.cat([slices, empty, one], dim=1))
        assert not torch.allclose(remover(slices), first, atol=1e-4)


def test_what_is_learned_from_is_the_bridges_state_and_its_time() -> None:
    learner = DiffusionBridge(TINY_BRIDGE)
    learner._denoiser = knows = Knows(drawn(4, 1, 32, 32, seed=2))
    seen, inserted = drawn(4, 3, 32, 32), drawn(4, 1, 32, 32, seed=1)
    found = learner._find(seen, inserted, Rows(4))
    assert torch.equal(found, knows.cac_map)
    (shown,) = knows.shown
    taken, time = shown[:, 3:4], shown[:, 4:, :1, :1]
    assert torch.equal(shown[:, :3], seen)
    assert torch.equal(shown[:, 4:], time.expand(4, 1, 32, 32))
    assert len(set(time.flatten().tolist())) == 4
    noise = ((1 - time) * inserted - taken) / (NOISE * (time * (1 - time)).sqrt())
    assert noise.mean((1, 2, 3)).abs().max() < 4 / 32
    torch.testing.assert_close(noise.std((1, 2, 3)), torch.ones(4), rtol=0, atol=0.1)


def test_two_shares_draw_the_times_and_noise_of_the_whole_batch() -> None:
    seen, inserted = drawn(4, 3, 32, 32), drawn(4, 1, 32, 32, seed=1)

    def shown(rows: Rows) -> Tensor:
        learner = DiffusionBridge(TINY_BRIDGE)
        learner._denoiser = knows = Knows(inserted)
        learner._find(rows.of(seen), rows.of(inserted), rows)
        return knows.shown[0]

    whole = shown(Rows(4))
    for rank in range(2):
        rows = Share(rank, 2).rows(1, domains=2)
        assert torch.equal(shown(rows), rows.of(whole))


def test_a_bridge_learns_to_find_what_was_put_in_where_nothing_is_known_yet() -> None:
    recipe = replace(TINY_BRIDGE, learning_rate=3e-3, anneal=False)
    learner, sampler = start_decomposition(recipe)
    losses = [learner.step(*sampler.draw(), i)["inserted"] for i in range(1, 121)]
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    image = sampler.store.slices[::2, None].astype(np.float32)
    grey = torch.from_numpy(((image + 50) / 1000).clip(0, 1)).repeat(1, 3, 1, 1)
    square = torch.zeros(len(grey), 1, 40, 40)
    square[:, :, 18:22, 18:22] = 0.4
    with torch.inference_mode():
        found = learner.trained().eval()(grey)
    assert inserted_loss(found, square) < 0.5 * inserted_loss(torch.zeros_like(found), square)
    assert found[square > 0].mean() > 5 * found[square == 0].mean()


@pytest.fixture(scope="module")
def folder(remover: BridgeRemover, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights whose remover is a bridge."""
    networks = {
        "heart": HeartNetwork(TINY), "slices": SliceClassifier(TINY), "decomposition": remover
    }  # fmt: skip
    recipes = {
        "heart": TINY_HEART.as_dict(), "slices": TINY_SLICES.as_dict(),
        "decomposition": TINY_BRIDGE.as_dict(),
    }  # fmt: skip
    atlas = {"mean": np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)}
    out = tmp_path_factory.mktemp("weights") / "bridge"
    save_weights(out, networks, recipes, atlas, {"name": "bridge", "thresholds": {}})
    return out


@pytest.fixture(scope="module")
def weights(folder: Path) -> Weights:
    return load_weights(str(folder))


def test_a_bridge_comes_back_from_its_weights_with_its_answers(
    folder: Path, weights: Weights, remover: BridgeRemover
) -> None:
    slices = drawn(2, 3, 32, 32)
    with torch.inference_mode():
        found, wanted = weights.remover(slices), remover(slices)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    assert sorted(check_weights(str(folder)).files)[-1] == "slices"


def test_the_documents_loader_crosses_the_bridge_bit_for_bit(
    weights: Weights, tmp_path: Path
) -> None:
    export_folder(weights, tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, str(DOCUMENT), "exec"), names)  # noqa: S102
    given = fixed_input(network_ports(weights)[2])
    with torch.inference_mode():
        expected = weights.remover(given)
    assert expected.std() > 1e-3, "an answer that says nothing proves nothing"
    assert torch.equal(names["load"](tmp_path, "decomposition")(given), expected)


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=f"the extra onnx is not installed: {', '.join(MISSING)}")
def test_onnx_runtime_crosses_the_bridge_as_pytorch(
    weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = network_ports(weights)[2:]
    monkeypatch.setattr("cacnb.learning.onnx_export.network_ports", lambda _: ports)
    (file,) = export_onnx(weights, tmp_path)
    assert file.max_abs_difference < 1e-5 < file.max_abs
    digest = hashlib.sha256((tmp_path / "decomposition.onnx").read_bytes()).hexdigest()
    assert digest == file.sha256
