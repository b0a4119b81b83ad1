"""Slices whose calcium is known, put back at another strength, and what missing it costs.

Simulated calcium, or simulated calcium inserted into real slices: not in the paper.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cacnb.learning.processes import ALONE, Processes
from cacnb.learning.share import Rows

#: Grey summed over an image that is added to what was inserted before a loss is divided by it, so
#: that a batch of faint lesions does not outweigh the others: half of a usual slice with CAC.
LEAST_INSERTED = 0.5


def inserted_loss(found: Tensor, inserted: Tensor, processes: Processes = ALONE) -> Tensor:
    """How far the remover's maps (batch, …) are from lesions that were put in, for their amount.

    The Kullback–Leibler divergence of a voxel's grey value taken as a share: its gradient does not
    vanish where the sigmoid is flat, and its minimum is the mean, which keeps the mass of faint
    lesions (an L1 loss would keep their median, nothing). Not in the paper. Of several processes,
    each has its share of a batch, and the amount is that of all.
    """
    found = found.clamp(1e-6, 1 - 1e-6)
    entropy = -(torch.xlogy(inserted, inserted) + torch.xlogy(1 - inserted, 1 - inserted))
    apart = F.binary_cross_entropy(found, inserted, reduction="none") - entropy
    of = processes.share.of
    return (
        of * apart.sum() / (processes.total(inserted.sum()) + LEAST_INSERTED * of * len(inserted))
    )


#: Spread of the natural log of the gain that known calcium is put back with: fainter and brighter
#: lesions than were there.
GAIN_SPREAD = 0.6


@torch.no_grad()
def insert_calcium(
    slices: Tensor, generator: torch.Generator, rows: Rows | None = None
) -> tuple[Tensor, Tensor]:
    """Images with known calcium put back at another strength, and that calcium.

    `slices` (batch, 2 × inputs, y, x): unclipped grey values of slices and those beside them, and
    the calcium in them (simulated, or inserted into a scan that had none). Returns the images as a
    network sees them, (batch, inputs, y, x), and the maps that it should find, (batch, 1, y, x).
    `rows` says which rows of a joined batch the slices are; without it they are all.
    """
    rows = rows or Rows(len(slices))
    image, calcium = slices.chunk(2, dim=1)
    calcium = calcium.clamp(min=0)
    drawn = torch.randn(rows.total, 1, 1, 1, generator=generator, device=slices.device)
    gain = torch.exp(GAIN_SPREAD * rows.of(drawn))
    inserted = gain * calcium
    return (image - calcium + inserted).clamp(0, 1), inserted[:, :1].clamp(max=0.95)
