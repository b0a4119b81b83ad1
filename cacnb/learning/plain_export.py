"""Trained networks as lists of plain layers: safetensors and numbers that need no cacnb to load.

Batch norms are folded into the convolutions before them, as the pipeline runs them. The clinical
baseline, which is no list of layers, does not come with it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from cacnb.files import write_atomically
from cacnb.learning.bridge_remover import BridgeRemover
from cacnb.learning.network_ports import network_ports
from cacnb.learning.networks import HeartNetwork, MapGenerator, Residual, SliceClassifier
from cacnb.learning.weights import Weights

#: Keys of a weights card that go with the networks wherever they go.
TOLD = ("name", "trained_on", "limits", "thresholds", "validation")


def export_folder(weights: Weights, out: Path) -> dict[str, Any]:
    """Write each network as `STAGE.safetensors`, the artery atlas, and `networks.json`.

    Returns what `networks.json` says: for each network its file, SHA-256, input, output, memory
    format and layers, from first to last.
    """
    told = provenance(weights)
    told["networks"] = {}
    for port in network_ports(weights):
        content = save({k: v.cpu().contiguous() for k, v in port.network.state_dict().items()})
        write_atomically(content, out / f"{port.stage}.safetensors")
        told["networks"][port.stage] = {
            "file": f"{port.stage}.safetensors",
            "sha256": hashlib.sha256(content).hexdigest(),
            **port.as_card(),
            "memory_format": _memory_format(port.network),
            "layers": plain_layers(port.network),
        }
    atlas = save({k: torch.from_numpy(v).half() for k, v in weights.atlas.items()})
    write_atomically(atlas, out / "arteries.safetensors")
    told["arteries"] = {
        "file": "arteries.safetensors", "sha256": hashlib.sha256(atlas).hexdigest()
    }  # fmt: skip
    write_atomically(json.dumps(told, indent=2) + "\n", out / "networks.json")
    return told


def provenance(weights: Weights) -> dict[str, Any]:
    """Where exported networks come from: parts of the weights' card, and the weights' hash."""
    told = {key: weights.card[key] for key in TOLD if key in weights.card}
    return {**told, "weights_sha256": weights.sha256}


def plain_layers(network: nn.Module) -> list[dict[str, Any]]:
    """A network's layers from first to last; `tensors` is the beginning of their names.

    Raises
    ------
    TypeError
        For a network or layer that no list of plain layers can say.

    Example
    -------
    >>> from cacnb.learning.networks import HeartNetwork, NetworkShape
    >>> from cacnb.learning.weights import folded
    >>> layers = plain_layers(folded(HeartNetwork(NetworkShape(width=4, blocks=1)).eval()))
    >>> [layer["layer"] for layer in layers][:3], layers[0]["kernel"], layers[-1]["tensors"]
    (['convolution', 'relu', 'convolution'], 7, 'layers.16')
    """
    if isinstance(network, HeartNetwork):
        return _row(network.layers, "layers")
    if isinstance(network, SliceClassifier):
        linear = {"layer": "linear", "tensors": "head"}
        return [*_row(network.trunk, "trunk"), {"layer": "mean"}, linear]
    if isinstance(network, BridgeRemover):
        body = _row(network.denoiser.layers, "denoiser.layers")
        crossed = [*body, {"layer": "sigmoid"}]
        return [{"layer": "bridge", "times": list(network.times), "body": crossed}]
    if isinstance(network, MapGenerator):
        return [*_row(network.layers, "layers"), {"layer": "sigmoid"}]
    raise TypeError(f"{type(network).__name__} is no row of layers")


def _row(layers: nn.Sequential, prefix: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, layer in layers.named_children():
        tensors = f"{prefix}.{name}"
        if isinstance(layer, nn.Identity):  # a batch norm was here before it was folded
            continue
        if isinstance(layer, nn.ReLU):
            found.append({"layer": "relu"})
        elif isinstance(layer, Residual):
            found.append({"layer": "residual", "body": _row(layer.body, f"{tensors}.body")})
        elif isinstance(layer, nn.ConvTranspose2d | nn.ConvTranspose3d):
            sizes = {**_sizes(layer, tensors), "output_padding": layer.output_padding[0]}
            found.append({"layer": "transposed", **sizes})
        elif isinstance(layer, nn.Conv2d | nn.Conv3d):
            sizes = {**_sizes(layer, tensors), "padding_mode": layer.padding_mode}
            found.append({"layer": "convolution", **sizes})
        else:
            raise TypeError(f"{type(layer).__name__} is no plain layer: fold batch norms first")
    return found


def _sizes(
    layer: nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d, tensors: str
) -> dict[str, Any]:
    """A convolution's numbers; every side is alike in Table 2."""
    return {
        "tensors": tensors, "dims": len(layer.kernel_size),
        "inputs": layer.in_channels, "outputs": layer.out_channels,
        "kernel": layer.kernel_size[0], "stride": layer.stride[0],
        "padding": int(layer.padding[0]),
    }  # fmt: skip


def _memory_format(network: nn.Module) -> str:
    """How the pipeline lays out the weights; another layout rounds the last digit differently."""
    weight: Tensor = next(p for p in network.parameters() if p.dim() > 2)
    return "channels_last_3d" if weight.dim() == 5 else "channels_last"
