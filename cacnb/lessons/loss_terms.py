"""Identity and sparsity loss of a scan's maps, as training weighs them; nothing is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cacnb.lessons.missing import Missing

if TYPE_CHECKING:
    from cacnb.learning.weights import Weights
    from cacnb.lessons.decomposed import Decomposed
    from cacnb.studies import Study

#: Maps of the source domain that are compared: what the remover finds, and two that a training can
#: fall into.
REMOVER, EMPTY, COPY = "the remover's map", "an empty map", "the whole image as map"


def loss_terms(study: Study, weights: Weights, splits: list[Decomposed]) -> pd.DataFrame | Missing:
    """What identity and sparsity loss say of three maps, and how much calcium each leaves behind.

    Identity is taken on slices labelled as not containing CAC, sparsity on those that contain it
    (equations 4 and 5). What is left is what a critic would see: the known calcium that the healthy
    image still shows.

    Parameters
    ----------
    study, splits
        As `decompose_some` split it; the first scan with slices of both labels is taken.
    weights
        The weights α and β are those of their recipe.

    Returns
    -------
    DataFrame
        A row a map: `identity`, `α · identity`, `sparsity`, `β · sparsity` in the network's grey
        (1 is 1000 HU), and `calcium left (%)` where calcium is known.
    """
    import torch

    from cacnb.learning.batches import HU_PER_GREY, to_grey
    from cacnb.learning.map_losses import map_loss

    labelled = ((split, *_by_label(study, split)) for split in splits)
    of_both = next((found for found in labelled if len(found[1]) and len(found[2])), None)
    if of_both is None:
        return Missing(
            "none of these scans has slices of both labels: label slices of one that shows CAC"
        )
    split, shows, shows_not = of_both
    plan, inside = weights.decomposition_recipe, split.heart.array
    image = np.where(inside, split.image.array, np.float32(-50))
    grey = {
        REMOVER: torch.from_numpy(split.cac_map.array / HU_PER_GREY),
        EMPTY: torch.zeros(split.image.shape),
        COPY: to_grey(image),
    }
    rows = []
    for cac_map in grey.values():
        identity, sparsity = (float(map_loss(cac_map[at])) for at in (shows_not, shows))
        row = {
            "identity": identity, "α · identity": plan.identity_weight * identity,
            "sparsity": sparsity, "β · sparsity": plan.sparsity_weight * sparsity,
        }  # fmt: skip
        if split.calcium is not None:
            true = split.calcium.array[shows]
            left = np.clip(true - cac_map[shows].numpy() * HU_PER_GREY, 0, None).sum() / true.sum()
            row["calcium left (%)"] = 100 * float(left)
        rows.append(row)
    name = f"{split.name}{' (simulated)' if split.simulated else ''}"
    return pd.DataFrame(rows, index=pd.Index(list(grey), name=name)).map(lambda x: f"{x:.3g}")


def _by_label(study: Study, split: Decomposed) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The heart's slices on the network's grid, labelled as containing CAC and as not."""
    labels = study.labels
    labels = labels[labels["scan"].astype(str) == split.name]
    if labels.empty:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    image = study.scan(split.name)
    seen = np.full(image.shape[0], -1)
    seen[labels["slice"].to_numpy(int)] = labels["contains_cac"].to_numpy(int)
    at_mm = split.image.axis_mm(0)[split.where]
    nearest = np.rint((at_mm - image.origin_mm[0]) / image.spacing_mm[0]).astype(int)
    said = seen[np.clip(nearest, 0, image.shape[0] - 1)]
    return split.where[said > 0], split.where[said == 0]
