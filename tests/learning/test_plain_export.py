import ast
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from cacnb.learning.network_ports import NetworkPort, fixed_input, network_ports
from cacnb.learning.networks import NetworkShape, PatchCritic, SliceClassifier
from cacnb.learning.plain_export import export_folder, plain_layers
from cacnb.learning.weights import STAGES, Weights, load_weights

DOCUMENT = Path(__file__).parents[2] / "docs" / "weights.md"

#: `load` of docs/weights.md: a folder and a stage to a function of a batch.
Load = Callable[[Path, str], Callable[[torch.Tensor], torch.Tensor]]


@pytest.fixture(scope="module")
def weights() -> Weights:
    return load_weights("demo")


@pytest.fixture(scope="module")
def folder(weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export") / "plain"
    export_folder(weights, out)
    return out


@pytest.fixture(scope="module")
def code() -> str:
    """The loader as a reader of the document copies it."""
    (block,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    return str(block)


@pytest.fixture(scope="module")
def load(code: str) -> Load:
    names: dict[str, Any] = {}
    exec(compile(code, str(DOCUMENT), "exec"), names)  # noqa: S102
    return names["load"]  # type: ignore[no-any-return]


def port_of(weights: Weights, stage: str) -> NetworkPort:
    return next(port for port in network_ports(weights) if port.stage == stage)


def test_the_documents_loader_needs_torch_and_safetensors_alone(code: str) -> None:
    imported = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            imported |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module).split(".")[0])
    assert imported == {"json", "pathlib", "torch", "safetensors"}


@pytest.mark.parametrize("stage", STAGES)
def test_the_documents_loader_answers_bit_for_bit_as_the_pipelines_network(
    weights: Weights, folder: Path, load: Load, stage: str
) -> None:
    port = port_of(weights, stage)
    given = fixed_input(port)
    with torch.inference_mode():
        expected = port.network(given)
    assert expected.std() > 1e-3, "an answer that says nothing proves nothing"
    assert torch.equal(load(folder, stage)(given), expected)


@pytest.mark.parametrize("stage", STAGES)
def test_another_weight_gives_another_answer(
    weights: Weights, folder: Path, load: Load, tmp_path: Path, stage: str
) -> None:
    from safetensors.torch import save_file

    tensors = load_file(folder / f"{stage}.safetensors")
    first = next(name for name in sorted(tensors) if name.endswith("0.weight"))
    tensors[first] = tensors[first] * 1.01
    save_file(tensors, tmp_path / f"{stage}.safetensors")
    (tmp_path / "networks.json").write_bytes((folder / "networks.json").read_bytes())
    port = port_of(weights, stage)
    with torch.inference_mode():
        expected = port.network(fixed_input(port))
    assert not torch.equal(load(tmp_path, stage)(fixed_input(port)), expected)


def test_networks_json_names_each_files_hash_and_where_the_weights_come_from(
    weights: Weights, folder: Path
) -> None:
    told = json.loads((folder / "networks.json").read_text())
    for stage in (*told["networks"].values(), told["arteries"]):
        content = (folder / stage["file"]).read_bytes()
        assert stage["sha256"] == hashlib.sha256(content).hexdigest()
    assert sorted(told["networks"]) == sorted(STAGES)
    assert told["weights_sha256"] == weights.sha256
    assert "simulated" in told["trained_on"]
    assert told["thresholds"] == weights.card["thresholds"]


def test_the_input_is_told_as_the_pipeline_makes_it(weights: Weights) -> None:
    heart, slices, _ = (port.as_card()["input"] for port in network_ports(weights))
    assert heart["hu_from_to"] == [-400.0, 400.0]
    assert heart["spacing_mm"] == list(weights.heart_recipe.spacing_mm)
    assert slices["hu_from_to"] == [-50.0, 950.0]
    assert slices["spacing_mm"] == [1.5, 1.0, 1.0]
    assert slices["channels_are_slices"] == [0, *weights.slice_recipe.context]


def test_the_atlas_comes_back_from_its_file(weights: Weights, folder: Path) -> None:
    found = load_file(folder / "arteries.safetensors")
    assert sorted(found) == sorted(weights.atlas)
    for name, values in weights.atlas.items():
        np.testing.assert_array_equal(found[name].float().numpy(), values)


@pytest.mark.parametrize(
    "network", [PatchCritic(NetworkShape(4, 2)), SliceClassifier(NetworkShape(4, 1))]
)
def test_a_network_that_is_no_row_of_plain_layers_is_refused(network: nn.Module) -> None:
    with pytest.raises(TypeError, match="is no"):
        plain_layers(network)
