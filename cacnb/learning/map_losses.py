"""Equations 2 to 5: what a CAC map and a critic are judged by; no network, no data."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def adversarial_loss(responses: Tensor, *, real: bool, kind: str) -> Tensor:
    """Equation 2 for one critic's responses (batch, 1, v, u), as a loss to be made small.

    `log`: the responses of an image are averaged to the critic's output, then the log loss.
    `least_squares`: each response's squared distance from 1 (real) or 0 (Mao 2017; a departure).
    A generator calls it with `real=True` on its own images: the non-saturating form (Goodfellow).
    """
    if kind == "log":
        output = responses.mean(dim=(1, 2, 3))
        return F.softplus(-output if real else output).mean()
    return ((responses - float(real)) ** 2).mean()


def cycle_loss(again: Tensor, image: Tensor) -> Tensor:
    """Equation 3: the L1 distance of an image translated there and back from itself."""
    return (again - image).abs().mean()


def map_loss(cac_map: Tensor) -> Tensor:
    """Equations 4 and 5: the L1 norm of a map, per pixel.

    It is the identity loss for an image already in the target domain, and the sparsity loss in the
    source domain.
    """
    return cac_map.abs().mean()
