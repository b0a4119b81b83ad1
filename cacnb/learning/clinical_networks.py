"""The two networks of automatic clinical scoring; they know no loss, no data and no units.

After Lessmann 2018 (IEEE TMI 37(2), 615–625) and van Velzen 2020 (Radiology 295(1), 66–79); layer
sizes are those of the authors' published code.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: What a bright voxel may be, in the order of the networks' answers; the arteries' numbers are
#: those of a study's `lesion_regions/`. The authors also tell aorta and valves apart.
CLASSES = ("other", "LAD", "LCX", "RCA")

#: Axial, coronal and sagittal: the plane's normal is array axis 0, 1, 2.
VIEWS = 3


class LabelNetwork(nn.Module):
    """The first network: which artery's calcium a voxel is, or other, from far around it.

    One branch a view, each with its own weights: 3 × 3 convolutions without padding, as wide as
    `widths` and dilated as `dilations` say, then a 1 × 1. A branch has its own answer too, which is
    trained on more than the middle voxel (deep supervision).
    """

    def __init__(
        self,
        widths: tuple[int, ...],
        dilations: tuple[int, ...],
        combined: int,
        dropout: float,
    ) -> None:
        super().__init__()
        width = widths[-1]
        self.branches = nn.ModuleList(_dilated(widths, dilations) for _ in range(VIEWS))
        self.heads = nn.ModuleList(
            nn.Sequential(nn.Dropout(dropout), nn.Conv2d(width, len(CLASSES), 1))
            for _ in range(VIEWS)
        )
        self.combiner = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(VIEWS * width, combined), nn.ELU(),
            nn.Dropout(dropout), nn.Linear(combined, len(CLASSES)),
        )  # fmt: skip

    def forward(self, views: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, 3, n, n) to logits of the middle voxel and of each view around it.

        The first are (batch, classes), the others (batch, 3, classes, n', n') with
        n' = n + 1 − field.
        """
        seen = [branch(views[:, i : i + 1]) for i, branch in enumerate(self.branches)]
        middle = seen[0].shape[-1] // 2
        logits: Tensor = self.combiner(torch.cat([f[:, :, middle, middle] for f in seen], dim=1))
        alone = [head(features) for head, features in zip(self.heads, seen, strict=True)]
        return logits, torch.stack(alone, dim=1)


def _dilated(widths: tuple[int, ...], dilations: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    inputs = 1
    for width, dilation in zip(widths, dilations, strict=True):
        layers += [nn.Conv2d(inputs, width, 3, dilation=dilation), nn.ELU(inplace=True)]
        inputs = width
    layers += [nn.Conv2d(inputs, inputs, 1), nn.ELU(inplace=True)]
    for layer in layers:
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


class CalciumNetwork(nn.Module):
    """The second network: whether what the first called calcium is, from what is close by.

    One branch for all three views, without dilation; pooling drops an odd last row and column.
    `widths` are the channels of its four convolutions.
    """

    def __init__(self, widths: tuple[int, ...], dense: int, patch_px: int, dropout: float) -> None:
        super().__init__()
        a, b, c, d = widths
        self.patch_px = patch_px
        self.branch = nn.Sequential(
            *_conv_norm_elu(1, a, 5), nn.MaxPool2d(2),
            *_conv_norm_elu(a, b, 3), nn.MaxPool2d(2),
            *_conv_norm_elu(b, c, 3), nn.MaxPool2d(2),
            *_conv_norm_elu(c, d, 1), nn.Flatten(),
        )  # fmt: skip
        side = (((patch_px - 4) // 2 - 2) // 2 - 2) // 2
        self.head = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(VIEWS * d * side**2, dense, bias=False),
            nn.BatchNorm1d(dense), nn.ELU(inplace=True),
            nn.Dropout(dropout), nn.Linear(dense, 2),
        )  # fmt: skip

    def forward(self, views: Tensor) -> Tensor:
        """(batch, 3, patch, patch) to logits (batch, 2): no calcium, calcium."""
        seen = [self.branch(views[:, i : i + 1]) for i in range(VIEWS)]
        logits: Tensor = self.head(torch.cat(seen, dim=1))
        return logits


def _conv_norm_elu(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, kernel, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ELU(inplace=True),
    ]
