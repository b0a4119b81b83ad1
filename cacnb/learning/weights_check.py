"""Whether weights are those of their card, load, and answer as when they were made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cacnb.errors import InputError
from cacnb.learning.clinical_baseline import ClinicalBaseline
from cacnb.learning.clinical_networks import VIEWS
from cacnb.learning.network_ports import fixed_input, fixed_noise, network_ports
from cacnb.learning.recipes import ClinicalRecipe
from cacnb.learning.weights import (
    CLINICAL,
    Weights,
    load_weights,
    weights_folder,
    weights_places,
)

#: In how many parts a card keeps the mean of each network's answer.
PARTS = 32

#: Other processors round otherwise: by less than this share of the largest value kept.
ROUNDING = 1e-3


@dataclass(frozen=True)
class ListedWeights:
    """A weights folder as it was found; `sha256` is None, and `problem` says why, where it is bad.

    `bytes` counts its safetensors files.
    """

    name: str
    folder: Path
    verified: bool
    bytes: int
    sha256: str | None
    trained_on: str | None
    problem: str | None


@dataclass(frozen=True)
class CheckedWeights:
    """What `check_weights` found good: each file's bytes and SHA-256, each network's answer.

    `difference` is, for each network, the largest to the answer in the card, as a share of the
    largest value there; None where the card keeps no answers.
    """

    name: str
    sha256: str
    files: dict[str, dict[str, Any]]
    difference: dict[str, float] | None


def list_weights(folder: Path | None = None) -> Iterator[ListedWeights]:
    """All weights that are packaged and those in a folder (`$CACNB_WEIGHTS` where none is given).

    Raises
    ------
    InputError
        `no_folder` where the folder does not exist.
    """
    packaged, *own = weights_places(folder)
    for place in own:
        if not place.is_dir():
            raise InputError("no_folder", f"{place} is no folder: name one with weights folders")
    cards = [card for place in (packaged, *own) for card in sorted(place.glob("*/card.json"))]
    for card in cards:
        yield _listed(card.parent)


def _listed(folder: Path) -> ListedWeights:
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    try:
        found = load_weights(str(folder))
    except InputError as error:
        return ListedWeights(folder.name, folder, False, size, None, None, str(error))
    told = str(found.card.get("trained_on", "not told"))
    return ListedWeights(folder.name, folder, True, size, found.sha256, told, None)


def check_weights(name: str) -> CheckedWeights:
    """Load weights, hold each file against the card's hash and each network against its answers.

    Raises
    ------
    InputError
        `no_weights`; `bad_weights` where a file is missing or altered, the card is damaged, or a
        network's answer to a fixed input is not finite or not the card's.
    """
    weights = load_weights(name)
    answers = network_answers(weights)
    for stage, values in answers.items():
        if not np.isfinite(values).all():
            raise InputError(
                "bad_weights", f"the {stage} network of {name!r} answers no numbers: train it anew"
            )
    listed = {
        stage: {"bytes": told.get("bytes"), "sha256": told["sha256"]}
        for stage, told in weights.card["files"].items()
    }
    for stage, told in listed.items():
        file = weights_folder(name) / f"{stage}.safetensors"
        if not file.is_file() or file.stat().st_size != told["bytes"]:
            raise InputError(
                "bad_weights",
                f"{file.name} of {name!r} is missing or not as long as the card says: "
                "install them anew",
            )
    return CheckedWeights(
        weights.name, weights.sha256, listed, _differences(name, weights.card, answers)
    )


def _differences(
    name: str, card: dict[str, Any], answers: dict[str, NDArray[np.float32]]
) -> dict[str, float] | None:
    if "check" not in card:
        return None
    found = {}
    for stage, values in answers.items():
        try:
            kept = np.array(card["check"][stage], np.float32)
            found[stage] = float(np.abs(values - kept).max() / np.abs(kept).max())
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                "bad_weights", f"the card of {name!r} is damaged at check: install it anew"
            ) from error
        if not found[stage] <= ROUNDING:
            raise InputError(
                "bad_weights",
                f"the {stage} network of {name!r} does not answer as its card says: "
                "it is not the network that was checked, or this torch computes otherwise",
            )
    return found


@torch.inference_mode()
def network_answers(weights: Weights) -> dict[str, NDArray[np.float32]]:
    """What each network answers to a fixed input: means of its parts, (PARTS,) or fewer."""
    answers = {
        port.stage: port.network(fixed_input(port).to(weights.device))
        for port in network_ports(weights)
    }
    if isinstance(weights.clinical, ClinicalBaseline) and weights.clinical_recipe is not None:
        answers[CLINICAL] = _clinical_logits(
            weights.clinical, weights.clinical_recipe, weights.device
        )
    found = {}
    for stage, answer in answers.items():
        values = answer.flatten().cpu().numpy()
        parts = np.array_split(values, min(PARTS, len(values)))
        found[stage] = np.array([part.mean() for part in parts], np.float32)
    return found


def _clinical_logits(both: ClinicalBaseline, plan: ClinicalRecipe, device: torch.device) -> Tensor:
    """Both networks before their probabilities: those are 0 or 1 of almost any input."""
    sides = plan.field_px, plan.second_px
    far, near = (
        torch.from_numpy(fixed_noise((1, VIEWS, side, side)).astype(np.float32)).to(device)
        for side in sides
    )
    return torch.cat([both.first(far)[0].flatten(), both.second(near).flatten()])
