"""One of several processes that train tiny networks together, as a module: `… FOLDER`.

`FOLDER/jobs.json` lists what to train in turn; the environment says which process this is.
"""

import json
import os
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cacnb.learning.clinical_baseline import CandidateSampler, ClinicalLearner
from cacnb.learning.decompositions import by_method
from cacnb.learning.learner import Learner, Sampler, share_work
from cacnb.learning.loop import Run, train
from cacnb.learning.processes import ALONE, Processes, open_processes
from cacnb.learning.recipes import ClinicalRecipe
from cacnb.learning.share import WHOLE, Share

from . import conftest as tiny

TINY_CLINICAL = replace(
    ClinicalRecipe(), batch=8, iterations=4, first_iterations=2, save_every=3, widths=(4,) * 4,
    combined=8, dilations=(1, 2, 4, 8), dropout=0.3, labelled_px=3, second_widths=(4, 4, 4, 4),
    second_dense=8, second_px=29, second_dropout=0.3, vary=1.0,
)  # fmt: skip


@dataclass
class InDouble:
    """A sampler's batches in float64, so that only an error of method is left to be seen."""

    of: Sampler
    share: Share = WHOLE

    def __post_init__(self) -> None:
        self.rng, self.batch = self.of.rng, self.of.batch

    def draw(self) -> tuple[Tensor, Tensor]:
        self.of.share = self.share
        first, second = self.of.draw()
        return first.double(), second.double() if second.is_floating_point() else second


def starts(folder: Path) -> dict[str, tuple[Learner, Sampler]]:
    """What can be trained, as a new process makes it."""
    folder.mkdir(exist_ok=True)
    cube = tiny.write_heart(folder / "chest", (24, 24, 24), 6, 18)
    slices, split = replace(tiny.TINY_SLICES, batch=8), replace(tiny.TINY_DECOMPOSITION, batch=4)
    departed = replace(tiny.TINY_DEPARTED, batch=4)
    return {
        "heart": tiny.start_heart(cube),
        "slices": tiny.start_slices(slices),
        "twins": tiny.start_slices(replace(slices, batch=12, twins=True, context=(-1, 1))),
        "decomposition": tiny.start_decomposition(split),
        "departed": tiny.start_decomposition(departed),
        "one_sided": tiny.start_decomposition(by_method(departed, "one_sided")),
        "inserted": tiny.start_decomposition(by_method(departed, "inserted")),
        "bridge": tiny.start_decomposition(by_method(departed, "bridge")),
        "clinical": start_clinical(folder),
    }


def start_clinical(folder: Path) -> tuple[Learner, Sampler]:
    """Candidates of noise, each artery's among them."""
    rng = np.random.default_rng(0)
    np.save(folder / "scan.image.npy", rng.normal(100, 200, (40, 40, 40)).astype(np.int16))
    points = rng.integers(2, 38, (60, 3))
    labels = np.arange(60) % 4
    np.save(folder / "scan.candidates.npy", np.column_stack([points, labels, np.arange(60)]))
    np.save(folder / "scan.labels.npy", np.column_stack([points, labels])[labels > 0])
    recipe = TINY_CLINICAL
    size = recipe.field_px + recipe.labelled_px - 1
    sampler = CandidateSampler(
        [folder / "scan"], batch=recipe.batch, size=size, labelled=recipe.labelled_px, seed=0
    )
    return ClinicalLearner(recipe), sampler


def run(job: dict[str, object], folder: Path, processes: Processes = ALONE) -> None:
    """Train one of them; `die_after` a step it kills itself, all of its processes at once."""
    learner, sampler = starts(folder / f"data{processes.share.rank}")[str(job["learner"])]
    if job.get("double"):
        sampler = InDouble(sampler)
        for network in learner.networks.values():
            network.double()
    share_work(learner, sampler, processes)
    out = folder / str(job["out"])
    losses = []
    for step in train(learner, sampler, Run(out, resume=bool(job.get("resume")))):
        losses.append(step.losses)
        if step.iteration == job.get("die_after"):
            os.kill(os.getpid(), signal.SIGKILL)
    if processes.first:
        trained = {
            f"{name}.{key}": value.detach().numpy()
            for name, network in learner.networks.items()
            for key, value in network.state_dict().items()
        }
        gradients = {
            f"gradient.{name}.{i}": parameter.grad.numpy()
            for name, network in learner.networks.items()
            for i, parameter in enumerate(network.parameters())
            if parameter.grad is not None
        }
        np.savez(out / "found.npz", losses=json.dumps(losses), **trained, **gradients)


def main() -> None:
    """All jobs in turn."""
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    if "lightning_fabric" in sys.modules:
        sys.exit("Fabric takes seconds to import: only what opens processes may")
    with open_processes("cpu", 2) as processes:
        for job in json.loads((folder / "jobs.json").read_text()):
            run(job, folder, processes)


if __name__ == "__main__":
    main()
