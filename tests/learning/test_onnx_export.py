import hashlib
import importlib.util
import json
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cacnb.errors import InputError
from cacnb.learning import onnx_export
from cacnb.learning.network_ports import network_ports, tissue_with_spots
from cacnb.learning.onnx_export import OPSET, OnnxFile, export_onnx
from cacnb.learning.weights import STAGES, Weights, load_weights

MISSING = [
    name for name in ("onnx", "onnxscript", "onnxruntime") if not importlib.util.find_spec(name)
]
with_onnx = pytest.mark.skipif(
    bool(MISSING), reason=f"the extra onnx is not installed: {', '.join(MISSING)}"
)


@pytest.fixture(scope="module")
def weights() -> Weights:
    return load_weights("demo")


@pytest.fixture(scope="module")
def exported(
    weights: Weights, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[OnnxFile]]:
    out = tmp_path_factory.mktemp("export") / "onnx"
    return out, export_onnx(weights, out)


def test_without_the_extra_the_export_says_what_to_install(
    weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(onnx_export, "import_module", absent)
    with pytest.raises(InputError, match=r"pip install 'cacnb\[onnx\]'") as caught:
        export_onnx(weights, tmp_path / "onnx")
    assert caught.value.code == "no_onnx"
    assert not (tmp_path / "onnx").exists()


@pytest.mark.slow
@with_onnx
@pytest.mark.parametrize("stage", STAGES)
def test_onnx_runtime_answers_as_pytorch_at_a_size_that_was_not_tried(
    weights: Weights, exported: tuple[Path, list[OnnxFile]], stage: str
) -> None:
    port = next(port for port in network_ports(weights) if port.stage == stage)
    sides = (16, 20, 24) if stage == "heart" else (48, 64)
    noise = np.random.default_rng(5).random((5, port.example[1], *sides))
    given = tissue_with_spots(noise, port)
    session = import_module("onnxruntime").InferenceSession(
        exported[0] / f"{stage}.onnx", providers=["CPUExecutionProvider"]
    )
    (answer,) = session.run(None, {"input": given.numpy()})
    with torch.inference_mode():
        expected = port.network(given).numpy()
    assert expected.std() > 1e-3, "an answer that says nothing proves nothing"
    np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.slow
@with_onnx
def test_the_card_of_the_export_says_hash_opset_and_difference(
    weights: Weights, exported: tuple[Path, list[OnnxFile]]
) -> None:
    out, files = exported
    told = json.loads((out / "onnx.json").read_text())
    assert told["weights_sha256"] == weights.sha256
    assert "simulated" in told["trained_on"]
    onnx = import_module("onnx")
    for file in files:
        content = (out / file.file).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file.sha256
        card = told["networks"][file.stage]
        assert card["max_abs_difference"] == file.max_abs_difference < 1e-4 * file.max_abs
        model = onnx.load_from_string(content)
        onnx.checker.check_model(model)
        assert {o.domain: o.version for o in model.opset_import}[""] == OPSET == card["opset"]


@pytest.mark.slow
@with_onnx
def test_no_path_of_the_machine_that_exported_is_in_the_file(
    exported: tuple[Path, list[OnnxFile]],
) -> None:
    home = str(Path(onnx_export.__file__).parents[2]).encode()
    for file in exported[1]:
        content = (exported[0] / file.file).read_bytes()
        assert home not in content
        assert b"site-packages" not in content


@pytest.mark.slow
@with_onnx
def test_a_file_that_answers_otherwise_is_not_written(
    weights: Weights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = network_ports(weights)[1]
    content = onnx_export._exported(port)
    other = load_weights("demo").classifier
    with torch.no_grad():
        head = next(m for m in other.modules() if isinstance(m, nn.Linear))
        head.bias += 0.01
    monkeypatch.setattr(onnx_export, "network_ports", lambda _: (replace(port, network=other),))
    monkeypatch.setattr(onnx_export, "_exported", lambda _: content)
    with pytest.raises(InputError, match="nothing was written") as caught:
        export_onnx(weights, tmp_path / "onnx")
    assert caught.value.code == "onnx_differs"
    assert not (tmp_path / "onnx").exists()
