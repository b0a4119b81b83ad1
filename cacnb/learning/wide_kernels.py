"""A 7 × 7 convolution between one channel and many, row by row, for a CPU; it knows no network.

A CPU's convolutions work on eight channels at a time: with one channel in or out they reach a tenth
of the speed that they have between the layers in the middle. One row of the kernel at a time, the
seven rows stand where the channels are. The sum is the same, in another order.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Channels that a CPU's vector registers take at once (AVX2; a multiple of it for wider ones).
LANES = 8


class _ShiftedSum(torch.autograd.Function):
    """The sum of n channels of an image, channel k moved up by k rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, count: int, height: int) -> Tensor:
        ctx.shape, ctx.count, ctx.height = rows.shape, count, height
        total = rows[:, :1, :height].clone()
        for k in range(1, count):
            total += rows[:, k : k + 1, k : k + height]
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        spread = torch.zeros(ctx.shape, dtype=gradient.dtype, device=gradient.device).contiguous(
            memory_format=torch.channels_last
        )
        for k in range(ctx.count):
            spread[:, k : k + 1, k : k + ctx.height] = gradient
        return spread, None, None


class WideKernel(nn.Conv2d):
    """A square convolution with reflection padding and few channels in, or one out.

    In training on a CPU it is done row by row; otherwise as torch does it.
    """

    def forward(self, images: Tensor) -> Tensor:
        """(batch, in, y, x) to (batch, out, y, x)."""
        if not self.training or images.device.type != "cpu":
            return super().forward(images)
        size, reach, height = self.kernel_size[0], int(self.padding[0]), images.shape[2]
        padded = functional.pad(images, (reach,) * 4, mode="reflect")
        rows = self.weight.transpose(1, 2)  # out, row, in, column
        if self.out_channels == 1:
            kernels = functional.pad(rows[0, :, :, None], (0,) * 7 + (-size % LANES,))
            apart = functional.conv2d(padded, kernels)
            found: Tensor = _ShiftedSum.apply(apart, size, height)  # type: ignore[no-untyped-call]
            return found if self.bias is None else found + self.bias[:, None, None]
        many = size * self.in_channels
        kernels = functional.pad(rows.flatten(1, 2)[:, :, None], (0,) * 5 + (-many % LANES,))
        shifted = [padded[:, :, k : k + height] for k in range(size)]
        if -many % LANES:
            empty = padded.new_zeros(len(padded), -many % LANES, height, padded.shape[3])
            shifted.append(empty)
        together = torch.cat(shifted, dim=1).contiguous(memory_format=torch.channels_last)
        return functional.conv2d(together, kernels, self.bias)


def widen(network: nn.Module) -> None:
    """Put the row-by-row form in the place of a network's 7 × 7 layers with one channel in or out.

    Names, values and numbers of parameters stay.

    Example
    -------
    >>> layers = nn.Sequential(nn.Conv2d(1, 8, 7, padding=3, padding_mode="reflect"), nn.ReLU())
    >>> widen(layers)
    >>> layers[0].weight.shape
    torch.Size([8, 1, 7, 7])
    """
    for module in list(network.modules()):
        for name, conv in module.named_children():
            if not isinstance(conv, nn.Conv2d) or conv.kernel_size != (7, 7):
                continue
            if conv.padding_mode == "reflect" and (
                conv.in_channels < LANES or conv.out_channels == 1
            ):
                wide = WideKernel(
                    conv.in_channels, conv.out_channels, 7, 1, 3,
                    bias=conv.bias is not None, padding_mode="reflect", device="meta",
                )  # fmt: skip
                wide.weight, wide.bias = conv.weight, conv.bias
                wide.train(conv.training)
                setattr(module, name, wide)
