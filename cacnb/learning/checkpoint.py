"""A training's state as one safetensors file, whole or not at all; not when it is saved."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from cacnb.errors import InputError
from cacnb.files import write_atomically
from cacnb.learning.learner import Learner, Sampler

#: Name of the checkpoint in a run's folder; there is one, always whole.
CHECKPOINT = "last.safetensors"


def save_checkpoint(learner: Learner, sampler: Sampler, iteration: int, path: Path) -> None:
    """Write weights, optimisers and random states to one safetensors file, whole or not at all.

    Every process of a training draws the same numbers, so its random states are one for all, and
    the file does not depend on how many there are.
    """
    tensors: dict[str, Tensor] = {"random.torch": learner.generator.get_state()}
    for name, network in learner.networks.items():
        for key, value in network.state_dict().items():
            tensors[f"network.{name}.{key}"] = value
    for name, optimiser in learner.optimisers.items():
        for index, state in optimiser.state_dict()["state"].items():
            for key, value in state.items():
                tensors[f"optimiser.{name}.{index}.{key}"] = value
    _write(tensors, learner, iteration, path, sampler=json.dumps(sampler.rng.bit_generator.state))


def save_network(learner: Learner, iteration: int, path: Path) -> None:
    """Write the trained network alone, as `load_network` reads it."""
    state = learner.trained().state_dict()
    _write({f"trained.{key}": value for key, value in state.items()}, learner, iteration, path)


def _write(
    tensors: dict[str, Tensor], learner: Learner, iteration: int, path: Path, sampler: str = ""
) -> None:
    metadata = {
        "stage": learner.stage,
        "iteration": str(iteration),
        "recipe": json.dumps(learner.recipe.as_dict()),
        "sampler": sampler,
    }
    contiguous = {key: value.detach().clone().contiguous() for key, value in tensors.items()}
    write_atomically(save(contiguous, metadata), path)


def load_checkpoint(learner: Learner, sampler: Sampler, path: Path) -> int:
    """Put a checkpoint's state back; returns its iteration. Nothing is unpickled.

    Raises
    ------
    InputError
        `bad_checkpoint` where the file is damaged, or is no checkpoint of this learner.
    """
    try:
        return _put_back(learner, sampler, load_file(path), read_metadata(path))
    except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
        raise InputError(
            "bad_checkpoint", f"{path} cannot be opened as a checkpoint: delete it to start anew"
        ) from error


def _put_back(
    learner: Learner, sampler: Sampler, tensors: dict[str, Tensor], metadata: dict[str, str]
) -> int:
    learner.generator.set_state(tensors["random.torch"])
    for name, network in learner.networks.items():
        load_network(network, tensors, f"network.{name}.")
    for name, optimiser in learner.optimisers.items():
        prefix = f"optimiser.{name}."
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith(prefix):
                index, what = key.removeprefix(prefix).split(".", 1)
                state.setdefault(int(index), {})[what] = value
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": state, "param_groups": groups})
    sampler.rng.bit_generator.state = json.loads(metadata["sampler"])
    return int(metadata["iteration"])


def load_network(network: nn.Module, tensors: dict[str, Tensor], prefix: str = "trained.") -> None:
    """Put what a file holds of a network under a prefix into it, or raise as torch does."""
    network.load_state_dict(
        {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    )


def read_metadata(path: Path) -> dict[str, str]:
    """The text that stands at the head of a safetensors file."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})
