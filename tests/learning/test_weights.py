import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cacnb.errors import InputError
from cacnb.learning.networks import HeartNetwork, MapGenerator, SliceClassifier
from cacnb.learning.weights import STAGES, folded, load_weights, save_weights, weights_folder

from .conftest import TINY, TINY_DECOMPOSITION, TINY_HEART, TINY_SLICES

CARD = {"name": "tiny", "thresholds": {"slice": 0.25}}


class Opened:
    """A pickle that touches a file when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


def trained_a_little(network: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """With running statistics that are not a batch norm's first ones."""
    network.train()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.uniform_(-0.3, 0.3)
        for _ in range(3):
            network(torch.rand(2, *shape))
    return network.eval()


@pytest.fixture
def networks() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {
        "heart": trained_a_little(HeartNetwork(TINY), (1, 16, 16, 16)),
        "slices": trained_a_little(SliceClassifier(TINY), (1, 32, 32)),
        "decomposition": trained_a_little(MapGenerator(TINY), (1, 32, 32)),
    }


@pytest.fixture
def folder(networks: dict[str, nn.Module], tmp_path: Path) -> Path:
    recipes = {
        "heart": TINY_HEART.as_dict(),
        "slices": TINY_SLICES.as_dict(),
        "decomposition": TINY_DECOMPOSITION.as_dict(),
    }
    atlas = {"mean": np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)}
    save_weights(tmp_path / "tiny", networks, recipes, atlas, CARD)
    return tmp_path / "tiny"


def refusal(folder: Path | str) -> InputError:
    with pytest.raises(InputError) as caught:
        load_weights(str(folder))
    assert "\n" not in str(caught.value)
    return caught.value


def batch(stage: str) -> torch.Tensor:
    shape = (2, 1, 16, 16, 16) if stage == "heart" else (2, 1, 32, 32)
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("stage", STAGES)
def test_a_folded_network_gives_what_the_unfolded_one_gives(
    networks: dict[str, nn.Module], stage: str
) -> None:
    network = networks[stage]
    light = folded(network)
    with torch.inference_mode():
        torch.testing.assert_close(light(batch(stage)), network(batch(stage)), atol=1e-5, rtol=1e-5)
    norms = [m for m in light.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm3d)]
    assert not norms
    assert any(isinstance(m, nn.BatchNorm2d | nn.BatchNorm3d) for m in network.modules())


def test_weights_come_back_from_their_folder(folder: Path, networks: dict[str, nn.Module]) -> None:
    weights = load_weights(str(folder))
    loaded = {
        "heart": weights.heart, "slices": weights.classifier, "decomposition": weights.remover
    }  # fmt: skip
    with torch.inference_mode():
        for stage, network in loaded.items():
            assert not network.training
            torch.testing.assert_close(
                network(batch(stage)), networks[stage](batch(stage)), atol=1e-5, rtol=1e-5
            )
    assert weights.name == "tiny"
    assert weights.threshold("slice") == 0.25
    assert weights.heart_recipe == TINY_HEART
    assert weights.slice_recipe == TINY_SLICES
    assert weights.decomposition_recipe == TINY_DECOMPOSITION
    np.testing.assert_allclose(
        weights.atlas["mean"], np.linspace(0, 1, 12).reshape(3, 4), atol=1e-3
    )


def test_the_hash_of_weights_is_that_of_what_is_in_them(folder: Path) -> None:
    one = load_weights(str(folder)).sha256
    assert load_weights(str(folder)).sha256 == one
    whole = b"".join(
        (folder / f"{name}.safetensors").read_bytes() for name in sorted([*STAGES, "arteries"])
    )
    card = json.loads((folder / "card.json").read_text())
    thresholds = json.dumps(card.get("thresholds", {}), sort_keys=True).encode()
    assert one == hashlib.sha256(whole + thresholds).hexdigest()


def test_the_same_networks_with_another_threshold_are_other_weights(folder: Path) -> None:
    one = load_weights(str(folder)).sha256
    card = json.loads((folder / "card.json").read_text())
    card["thresholds"] = {"slice_probability": 0.123}
    (folder / "card.json").write_text(json.dumps(card))
    assert load_weights(str(folder)).sha256 != one


def test_the_card_names_the_hash_and_size_of_every_file(folder: Path) -> None:
    listed = json.loads((folder / "card.json").read_text())["files"]
    assert sorted(listed) == sorted([*STAGES, "arteries"])
    for name, told in listed.items():
        content = (folder / f"{name}.safetensors").read_bytes()
        assert told["sha256"] == hashlib.sha256(content).hexdigest()
        assert told["bytes"] == len(content)


@pytest.mark.parametrize("name", [*STAGES, "arteries"])
def test_a_file_that_was_tampered_with_is_refused(folder: Path, name: str) -> None:
    path = folder / f"{name}.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    found = refusal(folder)
    assert found.code == "bad_weights"
    assert f"{name}.safetensors is not the file that the card names" in str(found)


@pytest.mark.parametrize("name", ["heart.safetensors", "arteries.safetensors"])
def test_a_file_that_is_missing_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert refusal(folder).code == "bad_weights"


def test_weights_that_there_are_not_are_refused_in_one_line(tmp_path: Path) -> None:
    for name in ("nobody", str(tmp_path)):
        found = refusal(name)
        assert found.code == "no_weights"
        assert "`--weights demo` is always there" in str(found)


def test_a_folder_of_weights_is_found_by_its_path(folder: Path) -> None:
    assert weights_folder(str(folder)) == folder


@pytest.mark.parametrize("damage", ["{", "{}", '{"files": {}}', "[]"])
def test_a_card_that_is_no_card_is_refused(folder: Path, damage: str) -> None:
    (folder / "card.json").write_text(damage)
    assert refusal(folder).code == "bad_weights"


def test_a_device_that_is_not_there_is_told(folder: Path) -> None:
    with pytest.raises(InputError, match="try --device cpu") as caught:
        load_weights(str(folder), device="abacus")
    assert caught.value.code == "no_device"


def test_a_pickle_called_safetensors_is_refused_and_never_opened(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    path, trace = folder / "decomposition.safetensors", folder / "opened"
    torch.save({"layers.0.weight": Opened(trace)}, path)
    torch.load(io.BytesIO(path.read_bytes()), weights_only=False)
    assert trace.exists(), "the pickle does what it says when it is opened"
    trace.unlink()
    card = json.loads((folder / "card.json").read_text())
    card["files"]["decomposition"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "card.json").write_text(json.dumps(card))
    assert refusal(folder).code == "bad_weights"
    assert not trace.exists()


def test_a_card_of_another_width_than_the_file_is_bad_weights(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    card["files"]["slices"]["recipe"]["network"]["width"] += 4
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    assert refusal(folder).code == "bad_weights"
