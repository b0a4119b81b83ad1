"""Trained networks as a folder of safetensors and a card; nothing is unpickled, nothing fetched."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save
from torch import nn

from cacnb.errors import InputError
from cacnb.files import write_atomically
from cacnb.learning.clinical_baseline import ClinicalBaseline
from cacnb.learning.decompositions import remover
from cacnb.learning.device import open_device
from cacnb.learning.networks import HeartNetwork, SliceClassifier
from cacnb.learning.recipes import (
    ClinicalRecipe,
    DecompositionRecipe,
    HeartRecipe,
    SliceRecipe,
)

#: The files of a weights folder, beside `card.json`.
STAGES = ("heart", "slices", "decomposition")

#: The file of the trained clinical baseline, which a folder may lack.
CLINICAL = "clinical"


#: Names a folder of weights folders of one's own, which are then found by name.
FOLDER_VARIABLE = "CACNB_WEIGHTS"


@dataclass(frozen=True)
class Weights:
    """Everything that was learned and a scan's pipeline needs, on one device.

    `card` holds what `card.json` says: training data, recipes, thresholds chosen on validation,
    metrics, limits. `sha256` is one hash over all files and thresholds. `atlas` holds the artery
    atlas's arrays. `clinical`, both networks of the baseline in one, is None where a folder has no
    such file.
    """

    name: str
    sha256: str
    card: dict[str, Any]
    device: torch.device
    heart: nn.Module
    heart_recipe: HeartRecipe
    classifier: nn.Module
    slice_recipe: SliceRecipe
    remover: nn.Module
    decomposition_recipe: DecompositionRecipe
    atlas: dict[str, NDArray[np.float32]]
    clinical: nn.Module | None = None
    clinical_recipe: ClinicalRecipe | None = None

    def threshold(self, name: str) -> float:
        """A threshold that the validation set chose, from the card."""
        return float(self.card["thresholds"][name])


def weights_places(folder: Path | None = None) -> tuple[Path, ...]:
    """Where weights are found by name: in the package, then in a folder or `$CACNB_WEIGHTS`."""
    own = folder or os.environ.get(FOLDER_VARIABLE)
    packaged = Path(str(files("cacnb"))) / "weights"
    return (packaged, Path(own)) if own else (packaged,)


def weights_folder(name: str) -> Path:
    """The folder of packaged weights, of weights in `$CACNB_WEIGHTS`, or the folder `name` itself.

    Raises
    ------
    InputError
        `no_weights` where there is none.
    """
    for folder in (*(place / name for place in weights_places()), Path(name)):
        if (folder / "card.json").is_file():
            return folder
    raise InputError(
        "no_weights",
        f"no weights {name!r}: neither packaged, nor in ${FOLDER_VARIABLE}, nor a folder with a "
        "card.json; `--weights demo` is always there, `make demo-weights` trains it anew",
    )


def load_weights(name: str = "demo", device: str = "cpu") -> Weights:
    """Load weights by packaged name or folder, check their hashes, ready to score.

    Raises
    ------
    InputError
        `no_weights`, `bad_weights` where a file is missing, damaged or not the card's, `no_device`.
    """
    folder = weights_folder(name)
    target = open_device(device)
    try:
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        contents = {stage: (folder / f"{stage}.safetensors").read_bytes() for stage in STAGES}
        contents["arteries"] = (folder / "arteries.safetensors").read_bytes()
        if CLINICAL in card["files"]:
            contents[CLINICAL] = (folder / f"{CLINICAL}.safetensors").read_bytes()
        _check_hashes(contents, card)
        plans = {stage: card["files"][stage]["recipe"] for stage in STAGES}
        heart_plan = HeartRecipe.from_dict(plans["heart"])
        slice_plan = SliceRecipe.from_dict(plans["slices"])
        map_plan = DecompositionRecipe.from_dict(plans["decomposition"])
        networks = [
            _filled(network, contents[stage], target)
            for network, stage in (
                (HeartNetwork(heart_plan.network), "heart"),
                (
                    SliceClassifier(slice_plan.network, inputs=1 + len(slice_plan.context)),
                    "slices",
                ),
                (remover(map_plan), "decomposition"),
            )
        ]
        clinical, clinical_plan = None, None
        if CLINICAL in contents:
            clinical_plan = ClinicalRecipe.from_dict(card["files"][CLINICAL]["recipe"])
            clinical = _filled(ClinicalBaseline(clinical_plan), contents[CLINICAL], target)
        atlas = {k: v.float().numpy() for k, v in load_tensors(contents["arteries"]).items()}
        # Thresholds too: with others the same networks give other scores.
        thresholds = json.dumps(card.get("thresholds", {}), sort_keys=True).encode()
        own_name = str(card["name"])
    except (
        OSError, KeyError, TypeError, ValueError, AttributeError, RuntimeError, SafetensorError,
    ) as error:  # fmt: skip
        why = str(error).splitlines()[0]
        raise InputError(
            "bad_weights", f"the weights {name!r} cannot be used ({why}): install them anew"
        ) from error
    digest = hashlib.sha256(
        b"".join([*(contents[key] for key in sorted(contents)), thresholds])
    ).hexdigest()
    return Weights(
        own_name, digest, card, target, networks[0], heart_plan, networks[1], slice_plan,
        networks[2], map_plan, atlas, clinical, clinical_plan,
    )  # fmt: skip


def _check_hashes(contents: dict[str, bytes], card: dict[str, Any]) -> None:
    """Refuse a file that is not the one that the card names."""
    for stage, content in contents.items():
        if hashlib.sha256(content).hexdigest() != card["files"][stage]["sha256"]:
            raise ValueError(f"{stage}.safetensors is not the file that the card names")


def _filled(network: nn.Module, content: bytes, device: torch.device) -> nn.Module:
    """A network with its weights, batch norm folded into the convolutions, ready on a device."""
    network.load_state_dict(load_tensors(content))
    network = folded(network.eval())
    layout = torch.channels_last_3d if isinstance(network, HeartNetwork) else torch.channels_last
    return network.to(device, memory_format=layout)  # type: ignore[call-overload,no-any-return]


def folded(network: nn.Module) -> nn.Module:
    """A copy in which each batch norm is folded into the convolution before it; same outputs."""
    network = copy.deepcopy(network)
    for module in list(network.modules()):
        if not isinstance(module, nn.Sequential):
            continue
        layers = list(module)
        for i, (conv, norm) in enumerate(pairwise(layers)):
            if isinstance(norm, nn.BatchNorm2d | nn.BatchNorm3d):
                transposed = isinstance(conv, nn.ConvTranspose2d | nn.ConvTranspose3d)
                module[i] = torch.nn.utils.fusion.fuse_conv_bn_eval(conv, norm, transposed)  # type: ignore[type-var]
                module[i + 1] = nn.Identity()
    return network


def save_weights(
    folder: Path,
    networks: dict[str, nn.Module],
    recipes: dict[str, dict[str, Any]],
    atlas: dict[str, NDArray[np.float32]],
    card: dict[str, Any],
) -> None:
    """Write networks, atlas and card as a weights folder; the card gains each file's hash."""
    tensors = {stage: network.state_dict() for stage, network in networks.items()}
    tensors["arteries"] = {k: torch.from_numpy(v).half() for k, v in atlas.items()}
    listed: dict[str, Any] = {}
    for stage, values in tensors.items():
        content = save({k: v.detach().cpu().clone().contiguous() for k, v in values.items()})
        write_atomically(content, folder / f"{stage}.safetensors")
        listed[stage] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        if stage in recipes:
            listed[stage]["recipe"] = recipes[stage]
    write_atomically(json.dumps({**card, "files": listed}, indent=2) + "\n", folder / "card.json")
