"""The networks of Table 2 and the 70 × 70 PatchGAN; they know no loss, no data and no units."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

#: Discount on the map's logit before training, so that a map starts near empty (PAPER.md).
EMPTY_START = -4.0

#: One at which it starts at 270 HU, brighter than most calcium: where known calcium is learned,
#: what is not calcium is soon darkened, and what is stays where it began until a training is long.
LESION_START = -1.0


@dataclass(frozen=True)
class NetworkShape:
    """How wide and deep a network is; the defaults of each network are Table 2's.

    `width` is the number of channels after the first layer, doubled twice on the way down;
    `blocks` the number of residual blocks.
    """

    width: int
    blocks: int


#: Table 2, left, middle and right.
PAPER_HEART = NetworkShape(width=16, blocks=9)
PAPER_CLASSIFIER = NetworkShape(width=64, blocks=6)
PAPER_GENERATOR = NetworkShape(width=64, blocks=6)

#: First layer's width of Isola's 70 × 70 PatchGAN, and how many strided layers it has.
PAPER_CRITIC = NetworkShape(width=64, blocks=3)


class Residual(nn.Module):
    """Two convolutions with batch norm and ReLU, added to the input (He 2016).

    The block keeps ReLU after every convolution, as the note under Table 2 says of all of them.
    """

    def __init__(self, channels: int, dims: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv_norm_relu(channels, channels, 3, 1, dims),
            *_conv_norm_relu(channels, channels, 3, 1, dims),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, …) to the same shape."""
        added: Tensor = x + self.body(x)
        return added


def _conv_norm_relu(
    inputs: int, outputs: int, kernel: int, stride: int, dims: int
) -> list[nn.Module]:
    """Convolution, batch norm, ReLU; 3-D pads with zeros, 2-D by reflection (Table 2).

    The convolution has no bias: batch norm's shift stands in its place.
    """
    if dims == 3:
        conv: nn.Module = nn.Conv3d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        norm: nn.Module = nn.BatchNorm3d(outputs)
    else:
        conv = nn.Conv2d(
            inputs, outputs, kernel, stride, kernel // 2, bias=False, padding_mode="reflect"
        )
        norm = nn.BatchNorm2d(outputs)
    return [conv, norm, nn.ReLU(inplace=True)]


def _up_norm_relu(inputs: int, outputs: int, dims: int) -> list[nn.Module]:
    """Transposed convolution to twice the size, batch norm, ReLU."""
    if dims == 3:
        up: nn.Module = nn.ConvTranspose3d(inputs, outputs, 3, 2, 1, output_padding=1, bias=False)
        return [up, nn.BatchNorm3d(outputs), nn.ReLU(inplace=True)]
    up = nn.ConvTranspose2d(inputs, outputs, 3, 2, 1, output_padding=1, bias=False)
    return [up, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


def _trunk(shape: NetworkShape, dims: int, inputs: int = 1) -> list[nn.Module]:
    """The way down and the residual blocks, which all three networks share."""
    w = shape.width
    return [
        *_conv_norm_relu(inputs, w, 7, 1, dims),
        *_conv_norm_relu(w, 2 * w, 3, 2, dims),
        *_conv_norm_relu(2 * w, 4 * w, 3, 2, dims),
        *(Residual(4 * w, dims) for _ in range(shape.blocks)),
    ]


class HeartNetwork(nn.Module):
    """Table 2, left: heart segmentation of 3-D patches, two channels (background, heart)."""

    def __init__(self, shape: NetworkShape = PAPER_HEART) -> None:
        super().__init__()
        w = shape.width
        self.layers = nn.Sequential(
            *_trunk(shape, 3),
            *_up_norm_relu(4 * w, 2 * w, 3),
            *_up_norm_relu(2 * w, w, 3),
            nn.Conv3d(w, 2, 7, 1, 3),
        )

    def forward(self, patches: Tensor) -> Tensor:
        """(batch, 1, z, y, x) to logits (batch, 2, z, y, x); sizes are multiples of 4."""
        logits: Tensor = self.layers(patches)
        return logits


class SliceClassifier(nn.Module):
    """Table 2, middle: whether a heart slice contains visible CAC.

    `inputs` is the number of slices it looks at: 1 in the paper, more with those beside.
    """

    def __init__(self, shape: NetworkShape = PAPER_CLASSIFIER, *, inputs: int = 1) -> None:
        super().__init__()
        self.trunk = nn.Sequential(*_trunk(shape, 2, inputs))
        self.head = nn.Linear(4 * shape.width, 2)

    def forward(self, slices: Tensor) -> Tensor:
        """(batch, inputs, y, x) to logits (batch, 2): not containing CAC, containing CAC."""
        logits: Tensor = self.head(self.trunk(slices).mean(dim=(2, 3)))
        return logits


class MapGenerator(nn.Module):
    """Table 2, right: a CAC map between 0 and 1 (1.0 is 1000 HU) from a slice.

    `inputs` is the number of slices it looks at: 1 in the paper, more with those beside.
    `last_bias` sets where the map starts; 0 is the paper's, `EMPTY_START` an almost empty map.
    """

    def __init__(
        self, shape: NetworkShape = PAPER_GENERATOR, *, inputs: int = 1, last_bias: float = 0.0
    ) -> None:
        super().__init__()
        w = shape.width
        last = nn.Conv2d(w, 1, 7, 1, 3, padding_mode="reflect")
        if last_bias and last.bias is not None:
            nn.init.constant_(last.bias, last_bias)
        self.layers = nn.Sequential(
            *_trunk(shape, 2, inputs),
            *_up_norm_relu(4 * w, 2 * w, 2),
            *_up_norm_relu(2 * w, w, 2),
            last,
        )

    def forward(self, slices: Tensor) -> Tensor:
        """(batch, inputs, y, x) in network grey values to a map (batch, 1, y, x) of the first."""
        return torch.sigmoid(self.layers(slices))


class PatchCritic(nn.Module):
    """Isola's PatchGAN: one logit for each overlapping patch, real or synthetic.

    Three strided layers see 70 × 70 pixels, two see 34 × 34. Batch norm on all but the first and
    last layer; leaky ReLU of 0.2. Responses are averaged by the loss.
    """

    def __init__(self, shape: NetworkShape = PAPER_CRITIC) -> None:
        super().__init__()
        w = shape.width
        layers: list[nn.Module] = [nn.Conv2d(1, w, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
        inputs = w
        for i in range(1, shape.blocks + 1):
            outputs, stride = w * min(2**i, 8), 2 if i < shape.blocks else 1
            layers += [
                nn.Conv2d(inputs, outputs, 4, stride, 1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            inputs = outputs
        self.layers = nn.Sequential(*layers, nn.Conv2d(inputs, 1, 4, 1, 1))

    def forward(self, slices: Tensor) -> Tensor:
        """(batch, 1, y, x) to one logit for each patch, (batch, 1, v, u)."""
        logits: Tensor = self.layers(slices)
        return logits


def parameter_count(network: nn.Module) -> int:
    """Number of trained parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
