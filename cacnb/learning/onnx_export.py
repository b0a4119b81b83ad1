"""Trained networks as ONNX files, each checked against PyTorch; it does not know scans.

Needs the extra `onnx`.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cacnb.errors import InputError
from cacnb.files import write_atomically
from cacnb.learning.network_ports import (
    SIDES_MULTIPLE_OF,
    NetworkPort,
    network_ports,
    tissue_with_spots,
)
from cacnb.learning.plain_export import provenance
from cacnb.learning.weights import Weights

#: The oldest operator set that torch's exporter writes without converting.
OPSET = 18

#: Largest difference to PyTorch that is rounding, as a share of the largest value answered.
ROUNDING = 1e-4


@dataclass(frozen=True)
class OnnxFile:
    """One exported network and how far ONNX Runtime's answers lay from PyTorch's.

    `max_abs_difference` is over all `checked_shapes`; `max_abs` is the largest value answered.
    """

    stage: str
    file: str
    sha256: str
    bytes: int
    opset: int
    checked_shapes: list[list[int]]
    max_abs_difference: float
    max_abs: float


def export_onnx(weights: Weights, out: Path) -> list[OnnxFile]:
    """Write heart, slices and decomposition as `STAGE.onnx`, and `onnx.json` beside them.

    The weights are on the CPU. Batch and spatial size are free; sides are multiples of 4. Each file
    is first run by ONNX Runtime on random inputs of two batches and sizes, and written only where
    it answers as PyTorch.

    Raises
    ------
    InputError
        `no_onnx` where the extra is not installed, `onnx_differs` where a file answers otherwise.
    """
    for name in ("onnx", "onnxscript", "onnxruntime"):
        try:
            import_module(name)
        except ImportError as error:
            raise InputError(
                "no_onnx", f"{name} is not installed: pip install 'cacnb[onnx]'"
            ) from error
    written = []
    told: dict[str, Any] = {**provenance(weights), "networks": {}}
    for port in network_ports(weights):
        content = _exported(port)
        shapes, difference, largest = _compared(port, content)
        if not difference <= ROUNDING * largest:  # NaN too
            raise InputError(
                "onnx_differs",
                f"{port.stage} as ONNX lies {difference:.2g} from PyTorch: nothing was written; "
                "try other versions of torch and onnxruntime",
            )
        file = OnnxFile(
            port.stage, f"{port.stage}.onnx", hashlib.sha256(content).hexdigest(), len(content),
            OPSET, shapes, difference, largest,
        )  # fmt: skip
        write_atomically(content, out / file.file)
        written.append(file)
        told["networks"][port.stage] = {**asdict(file), **port.as_card()}
    told["versions"] = {
        name: str(import_module(name).__version__) for name in ("torch", "onnx", "onnxruntime")
    }
    write_atomically(json.dumps(told, indent=2) + "\n", out / "onnx.json")
    return written


def _exported(port: NetworkPort) -> bytes:
    """The network as one ONNX file, weights inside."""
    axes: dict[int, Any] = {0: torch.export.Dim("batch", min=1)}
    for at, axis in enumerate(port.axes):
        if axis in ("z", "y", "x"):
            axes[at] = SIDES_MULTIPLE_OF * torch.export.Dim(f"{axis}_quarter", min=4)
    example = torch.zeros(2, *port.example[1:])  # a batch of 1 would be taken for a constant
    with warnings.catch_warnings(), _quiet("torch.onnx"):
        # The exporter warns of its own insides; what it wrote is checked by running it.
        warnings.simplefilter("ignore")
        program: Any = torch.onnx.export(
            port.network, (example,), dynamo=True, opset_version=OPSET, verbose=False,
            input_names=["input"], output_names=["output"], dynamic_shapes=(axes,),
        )  # fmt: skip
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # where the source lay on the machine that exported it
    file = io.BytesIO()
    program.save(file)
    return file.getvalue()


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Let a logger say errors alone inside the block."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _compared(port: NetworkPort, content: bytes) -> tuple[list[list[int]], float, float]:
    """Shapes tried, the largest difference to PyTorch and the largest value answered."""
    session = import_module("onnxruntime").InferenceSession(
        content, providers=["CPUExecutionProvider"]
    )
    channels, sides = port.example[1], port.example[2:]
    other = [side - SIDES_MULTIPLE_OF * (i + 1) for i, side in enumerate(sides)]
    shapes = [[1, channels, *sides], [3, channels, *other]]
    rng = np.random.default_rng(0)
    difference = largest = 0.0
    for shape in shapes:
        given = tissue_with_spots(rng.random(shape), port)
        (answer,) = session.run(None, {"input": given.numpy()})
        with torch.inference_mode():
            expected: Tensor = port.network(given)
        wanted = expected.numpy()
        difference = float(np.maximum(difference, np.abs(answer - wanted).max()))
        largest = max(largest, float(np.abs(wanted).max()))
    return shapes, difference, largest
