"""Layers that treat the shares of several processes as one batch; they know no loss and no data."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cacnb.learning.share import Share


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all processes; each one's loss hands its gradient back to all."""

    @staticmethod
    def forward(_: Any, mine: Tensor) -> Tensor:
        return _added(mine)

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return _added(gradient)


class _Gathered(torch.autograd.Function):
    """A tensor of every process, (processes, …), in their order."""

    @staticmethod
    def forward(_: Any, mine: Tensor) -> Tensor:
        everyone = [torch.empty_like(mine) for _ in range(distributed.get_world_size())]
        distributed.all_gather(everyone, mine.contiguous())
        return torch.stack(everyone)

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return _added(gradient)[distributed.get_rank()]


def _added(mine: Tensor) -> Tensor:
    total = mine.clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(total)
    return total


def sum_of_all(mine: Tensor) -> Tensor:
    """A tensor's sum over all processes, through which gradients flow back to each of them.

    A loss of such sums is the same number everywhere. As every process's gradient is that of all
    their losses together, the mean over processes is that of one loss of the joined batch.
    """
    total: Tensor = _Sum.apply(mine)  # type: ignore[no-untyped-call]
    return total


class JoinedBatchNorm(_BatchNorm):
    """Batch norm by mean and variance of the joined batch, on any device (torch's own: GPUs only).

    All processes have equally many values. Outside training it is the usual one, and alone.
    """

    def __init__(self, norm: _BatchNorm, of: int) -> None:
        super().__init__(norm.num_features, norm.eps, norm.momentum, device="meta")
        self.of = of
        self.weight, self.bias = norm.weight, norm.bias
        self.running_mean, self.running_var = norm.running_mean, norm.running_var
        self.num_batches_tracked = norm.num_batches_tracked
        self.train(norm.training)

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002
        """Any number of dimensions."""

    def forward(self, values: Tensor) -> Tensor:
        """(batch, channels, …) to the same shape."""
        if not self.training:
            return super().forward(values)
        dims = [0, *range(2, values.dim())]
        exact = values.float() if values.dtype == torch.bfloat16 else values
        variance, mean = torch.var_mean(exact, dims, correction=0)
        # Of each process its mean and variance, so that no small difference of large sums is lost.
        everyone: Tensor = _Gathered.apply(torch.stack([mean, variance]))  # type: ignore[no-untyped-call]
        means, variances = everyone.unbind(1)
        mean = means.mean(0)
        variance = variances.mean(0) + ((means - mean) ** 2).mean(0)
        self._follow(mean.detach(), variance.detach(), self.of * values.numel() // len(mean))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shape = [1, -1, *[1] * (values.dim() - 2)]
        normal = (exact - mean.view(shape)) * scale.view(shape) + self.bias.view(shape)
        return normal.to(values.dtype)

    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Let the running statistics follow, the variance as that of a sample."""
        if self.running_mean is None or self.running_var is None or self.momentum is None:
            return
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * count / (count - 1), self.momentum)


class SharedDropout(nn.Module):
    """Dropout whose mask is drawn for the joined batch, of which each process keeps its rows."""

    def __init__(self, probability: float, share: Share) -> None:
        super().__init__()
        self.p, self.share = probability, share

    def forward(self, values: Tensor) -> Tensor:
        """(batch, …) to the same shape."""
        if not self.training or self.p == 0:
            return values
        rows = self.share.rows(len(values))
        everyone = values.new_empty(rows.total, *values.shape[1:])
        if values.dim() == 4 and values.is_contiguous(memory_format=torch.channels_last):
            everyone = everyone.contiguous(memory_format=torch.channels_last)
        kept = everyone.bernoulli_(1 - self.p).div_(1 - self.p)
        return values * rows.of(kept)


def join_layers(network: nn.Module, share: Share) -> None:
    """Put joined layers in the place of a network's batch norm and dropout.

    Names, values and numbers of parameters stay, so that checkpoints do.
    """
    for name, layer in list(network.named_children()):
        if isinstance(layer, nn.Dropout):
            setattr(network, name, SharedDropout(layer.p, share))
        elif isinstance(layer, _BatchNorm) and not isinstance(layer, JoinedBatchNorm):
            setattr(network, name, _joined_norm(layer, share))
        else:
            join_layers(layer, share)


def _joined_norm(norm: _BatchNorm, share: Share) -> nn.Module:
    """A batch norm of the joined batch: torch's on a GPU, ours elsewhere."""
    if next(norm.parameters()).device.type != "cuda":
        return JoinedBatchNorm(norm, share.of)
    joined: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(norm)  # type: ignore[no-untyped-call]
    # What is compiled stops before a message to other processes and begins again after it.
    joined.forward = torch.compiler.disable(joined.forward)  # type: ignore[no-untyped-call]
    return joined
