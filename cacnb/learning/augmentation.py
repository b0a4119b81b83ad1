"""Noise down and up, rotation and crop of slices, on the device they are on; no files, no loss."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cacnb.learning.share import Rows


def augment_slices(
    images: Tensor,
    crop_px: int,
    turn_deg: float,
    generator: torch.Generator,
    rows: Rows | None = None,
) -> Tensor:
    """Noise down or up, random rotation and random crop (section 3), the same for both domains.

    A third of the images are smoothed (σ = 0.5 px), a third get their own noise added
    (image + (image − smoothed)), a third stay. Every channel is treated alike, so that an image and
    the calcium in it stay together. (batch, channels, size, size) → (batch, channels, crop, crop);
    what gets louder may pass [0, 1]. Everything happens on the images' device, whose random
    generator `generator` is. `rows` says which rows of a joined batch the images are; without it
    they are all.
    """
    device = images.device
    n, channels, size, _ = images.shape
    rows = rows or Rows(n)
    everyone = rows.total
    smooth = _smooth(images)
    choice = rows.of(torch.randint(3, (everyone, 1, 1, 1), generator=generator, device=device))
    louder = 2 * images - smooth
    images = torch.where(choice == 0, smooth, torch.where(choice == 1, louder, images))
    angle = rows.of(2 * torch.rand(everyone, generator=generator, device=device) - 1)
    angle = angle * float(np.deg2rad(turn_deg))
    room = (size - crop_px) / size
    shift = rows.of(2 * torch.rand(everyone, 2, generator=generator, device=device) - 1) * room
    scale = crop_px / size
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack(
        [torch.stack([cos, -sin, shift[:, 0]], 1), torch.stack([sin, cos, shift[:, 1]], 1)], 1
    )
    grid = functional.affine_grid(
        theta.to(images.dtype), [n, channels, crop_px, crop_px], align_corners=False
    )
    return functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="border", align_corners=False
    )


def _smooth(images: Tensor, sigma: float = 0.5) -> Tensor:
    """A Gaussian filter of 0.5 pixels (section 3)."""
    reach = torch.arange(-2, 3, dtype=images.dtype, device=images.device)
    weights = torch.exp(-0.5 * (reach / sigma) ** 2)
    weights = weights / weights.sum()
    planes = images.flatten(0, 1)[:, None]
    padded = functional.pad(planes, (2, 2, 2, 2), mode="reflect")
    rows = functional.conv2d(padded, weights.view(1, 1, 5, 1))
    return functional.conv2d(rows, weights.view(1, 1, 1, 5)).view_as(images)
