"""Prepared slices and volumes on disk, and balanced batches from them; no network, no loss."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cacnb.ct.grids import NETWORK_WINDOW_HU
from cacnb.errors import InputError
from cacnb.learning.device import CPU
from cacnb.learning.joined_rows import Slices
from cacnb.learning.resident_slices import ResidentSlices
from cacnb.learning.share import WHOLE, Share

#: HU that 1.0 in a network's image or map stands for.
HU_PER_GREY = NETWORK_WINDOW_HU[1] - NETWORK_WINDOW_HU[0]

#: Relative slice position in the heart is balanced in this many equal parts.
POSITION_BINS = 8


def unclipped_grey(hu: Tensor) -> Tensor:
    """HU to grey values that may pass [0, 1]: for images that calcium is still to be put into."""
    return (hu.float() - NETWORK_WINDOW_HU[0]) / HU_PER_GREY


def to_grey(hu: NDArray[np.generic] | Tensor) -> Tensor:
    """HU to the network's grey values: clip to [−50, 950], scale to [0, 1]."""
    values = hu if isinstance(hu, Tensor) else torch.from_numpy(np.asarray(hu, np.float32))
    return (values.float().clamp(*NETWORK_WINDOW_HU) - NETWORK_WINDOW_HU[0]) / HU_PER_GREY


@dataclass
class SliceStore:
    """Heart slices of many scans: HU (n, size, size) int16, label, position in the heart, scan.

    `labels` True where the slice contains CAC; `positions` 0 (lowest heart slice) … 1 (highest);
    `scans` an index into `names`. Where the calcium of the slices is known (simulated, or inserted
    into a real scan), `calcium` holds its excess HU for the slices that show any, and
    `calcium_rows` (n,) a slice's row in it, −1 for none. Where `settled` (n,) is False nobody
    settled the label: such a slice stands beside others and is never drawn itself.
    """

    slices: Slices
    labels: NDArray[np.bool_]
    positions: NDArray[np.float32]
    scans: NDArray[np.int32]
    names: list[str] = field(default_factory=list)
    calcium: Slices | None = None
    calcium_rows: NDArray[np.int64] | None = None
    settled: NDArray[np.bool_] | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the slices and of the calcium in them."""
        return self.slices.nbytes + (0 if self.calcium is None else self.calcium.nbytes)

    def calcium_of(self, indices: NDArray[np.int64]) -> Tensor:
        """The known calcium of some slices in network grey, (n, size, size)."""
        if self.calcium is None or self.calcium_rows is None:
            raise ValueError("the calcium of these slices is not known")
        found = np.zeros((len(indices), *self.slices.shape[1:]), np.float32)
        rows = self.calcium_rows[indices]
        found[rows >= 0] = self.calcium[rows[rows >= 0]]
        return torch.from_numpy(found / HU_PER_GREY)

    def beside(self, indices: NDArray[np.int64], offset: int) -> NDArray[np.int64]:
        """The slices `offset` away from some slices, in the same scans; at its ends the last one.

        A scan's heart slices stand in the store one after another, from foot to head.
        """
        moved = indices + offset
        first = np.searchsorted(self.scans, self.scans[indices], side="left")
        last = np.searchsorted(self.scans, self.scans[indices], side="right") - 1
        return np.clip(moved, first, last)

    def middle(
        self, indices: NDArray[np.int64], context: tuple[int, ...], size: int
    ) -> NDArray[np.int16]:
        """Some slices with those beside, cropped about their middle: (n, 1 + context, y, x)."""
        begin = (self.slices.shape[1] - size) // 2
        there = slice(begin, begin + size)
        beside = [self.beside(indices, offset) for offset in (0, *context)]
        return np.stack([self.slices[each][:, there, there] for each in beside], axis=1)

    def subset(self, keep: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Indices of the slices with a label, of the scans marked in `keep` (by scan index)."""
        kept = keep[self.scans]
        return np.flatnonzero(kept if self.settled is None else kept & self.settled)


def require_known_calcium(slices: Tensor, context: tuple[int, ...] = ()) -> None:
    """Raise where slices (batch, channels, y, x) come without the calcium that is in them.

    Raises
    ------
    InputError
        `no_calcium`.
    """
    if slices.shape[1] != 2 * (1 + len(context)):
        raise InputError(
            "no_calcium",
            "this recipe learns from known calcium and the study has no calcium/ folder: "
            "simulate one, or train the recipe `paper`",
        )


class SliceSampler:
    """Endless batches of slices, half with CAC and half without.

    With `by_position` both halves are drawn from the same parts of the heart, as the CycleGAN's
    batches are (section 5). `context` names the slices beside each that come with it, as further
    channels. The random state can be saved and put back.

    Slices are read from where the store keeps them, a batch at a time, so that a memory map takes
    no more memory than a batch. With `device` and `room_bytes` they are put there once, as int16,
    if they take no more: batches are then gathered on the device, and nothing but their numbers
    goes to it.
    """

    def __init__(
        self,
        store: SliceStore,
        indices: NDArray[np.int64],
        batch: int,
        seed: int,
        *,
        by_position: bool,
        context: tuple[int, ...] = (),
        device: torch.device = CPU,
        room_bytes: int = 0,
    ) -> None:
        self.store, self.batch, self.by_position = store, batch, by_position
        self.context = context
        self.share: Share = WHOLE
        self.rng = np.random.default_rng([seed, 11])
        bins = np.minimum((store.positions * POSITION_BINS).astype(int), POSITION_BINS - 1)
        self.pools: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        parts = range(POSITION_BINS) if by_position else [None]
        for part in parts:
            here = indices if part is None else indices[bins[indices] == part]
            pool = here[store.labels[here]], here[~store.labels[here]]
            if len(pool[0]) and len(pool[1]):
                self.pools.append(pool)
        if not self.pools:
            raise ValueError("no part of the heart has slices with and without CAC")
        # Of each domain: its pools one after another, where each begins, and how much it holds.
        self._domains: list[tuple[NDArray[np.int64], ...]] = []
        for pools in zip(*self.pools, strict=True):
            counts = np.array([len(pool) for pool in pools])
            self._domains.append((np.concatenate(pools), np.cumsum(counts) - counts, counts))
        self.device = device
        self.resident: ResidentSlices | None = None
        if store.nbytes <= room_bytes:
            self.resident = ResidentSlices(store.slices, store.calcium, store.calcium_rows, device)

    def draw(self) -> tuple[Tensor, Tensor]:
        """Grey values of slices with and without CAC, each (batch, 1 + context, size, size).

        A batch of n for the classifier is n/2 of each; for the CycleGAN n of each. Where the
        calcium is known it is as many channels more, and the grey values are not clipped yet.
        Of several processes each gets its share of both.
        """
        pools = self.rng.integers(len(self.pools), size=self.batch)
        drawn = [
            every[begins[pools] + self.rng.integers(counts[pools])]
            for every, begins, counts in self._domains
        ]
        own = self.share.block(self.batch)
        both = self._images(np.concatenate([each[own.start : own.stop] for each in drawn]))
        return both[: len(own)], both[len(own) :]

    def _images(self, indices: NDArray[np.int64]) -> Tensor:
        """(n, channels, size, size) on the sampler's device."""
        beside = [self.store.beside(indices, offset) for offset in (0, *self.context)]
        stack = np.stack(beside, axis=1)
        hu = self._gathered(stack)
        if self.store.calcium is None:
            return to_grey(hu)
        return torch.cat([unclipped_grey(hu), self._calcium(stack)], dim=1)

    def _gathered(self, stack: NDArray[np.int64]) -> Tensor:
        if self.resident is not None:
            return self.resident.hu(stack)
        found = self.store.slices[stack.ravel()].reshape(*stack.shape, *self.store.slices.shape[1:])
        return torch.from_numpy(found).to(self.device)

    def _calcium(self, stack: NDArray[np.int64]) -> Tensor:
        if self.resident is not None:
            return self.resident.calcium_hu(stack).float() / HU_PER_GREY
        found = self.store.calcium_of(stack.ravel())
        return found.view(*stack.shape, *found.shape[1:]).to(self.device)


def with_context(
    slices: NDArray[np.generic],
    where: NDArray[np.int64],
    within: NDArray[np.int64],
    context: tuple[int, ...],
) -> NDArray[np.generic]:
    """Some slices of a stack (z, y, x) with those beside them: (n, 1 + context, y, x).

    Beyond the first and last of the slices `within` (the heart's, which alone were trained on),
    that one stands in.

    Example
    -------
    >>> stack = np.arange(5).reshape(5, 1, 1)
    >>> with_context(stack, np.array([2, 3]), np.array([1, 2, 3]), (-2, 2))[:, :, 0, 0].tolist()
    [[2, 1, 3], [3, 1, 3]]
    """
    beside = [np.clip(where + offset, within.min(), within.max()) for offset in context]
    return np.stack([slices[each] for each in (where, *beside)], axis=1)


@dataclass(frozen=True)
class _Patch:
    """What was drawn for one heart patch, before anything of the scan is read."""

    scan: int
    zoom: float
    start: NDArray[np.int64]
    need: NDArray[np.int64]
    noise: NDArray[np.float32] | None = None
    blurred: bool = False
    gain: float = 1.0
    offset_hu: float = 0.0
    noise_hu: float = 0.0


class PatchSampler:
    """Endless batches of heart patches, half of them around the heart.

    `stems` are paths without their endings: `<stem>.image.npy` (int16 HU) and `<stem>.heart.npy`
    (bool) on the recipe's grid; they are memory-mapped. With `vary` > 0 patches are zoomed,
    re-contrasted, blurred and made noisy (domain randomisation). Of several processes each draws
    all numbers and reads its share of the patches.
    """

    def __init__(
        self,
        stems: list[Path],
        *,
        batch: int,
        patch: int,
        window_hu: tuple[float, float],
        vary: float,
        seed: int,
    ) -> None:
        self.batch, self.patch, self.window_hu, self.vary = batch, patch, window_hu, vary
        self.share: Share = WHOLE
        self.rng = np.random.default_rng([seed, 12])
        self.images = [np.load(f"{s}.image.npy", mmap_mode="r") for s in stems]
        self.hearts = [np.load(f"{s}.heart.npy", mmap_mode="r") for s in stems]
        self.with_heart = [i for i, heart in enumerate(self.hearts) if heart.any()]
        if not self.with_heart:
            raise ValueError("no scan of the training set shows a heart")
        self.boxes = {i: _box(self.hearts[i]) for i in self.with_heart}

    def draw(self) -> tuple[Tensor, Tensor]:
        """Patches in network grey values and heart masks, each (batch, 1, patch, patch, patch)."""
        drawn = [self._drawn(around_heart=i % 2 == 0) for i in range(self.batch)]
        read = [self._read(drawn[i]) for i in self.share.block(self.batch)]
        images, masks = zip(*read, strict=True)
        return torch.stack(images)[:, None], torch.stack(masks)[:, None]

    def _drawn(self, *, around_heart: bool) -> _Patch:
        rng, size = self.rng, self.patch
        which = self.with_heart if around_heart else range(len(self.images))
        scan = int(rng.choice(np.asarray(which)))
        zoom = float(np.exp(0.18 * self.vary * rng.uniform(-1, 1)))
        need = np.full(3, int(np.ceil(size * zoom)) + 2)
        low, high = self.boxes[scan] if around_heart else (0, self.images[scan].shape)
        start = rng.integers(low, high) - need // 2
        if not self.vary:
            return _Patch(scan, zoom, start, need)
        return _Patch(
            scan, zoom, start, need,
            noise=rng.standard_normal((size,) * 3, dtype=np.float32),
            blurred=rng.random() < 0.5,
            gain=float(rng.uniform(0.85, 1.15)), offset_hu=float(rng.normal(0, 15)),
            noise_hu=float(abs(rng.normal(0, 25))),
        )  # fmt: skip

    def _read(self, drawn: _Patch) -> tuple[Tensor, Tensor]:
        size, need = self.patch, drawn.need
        cut = _cut(self.images[drawn.scan], drawn.start, need, -1000)
        mask = _cut(self.hearts[drawn.scan], drawn.start, need, 0)
        hu = torch.from_numpy(cut.astype(np.float32))
        inside = torch.from_numpy(mask.astype(np.float32))
        if self.vary:
            grid = functional.affine_grid(
                torch.eye(3, 4)[None] * (size * drawn.zoom / need[0]), [1, 1, size, size, size],
                align_corners=False,
            )  # fmt: skip
            both = torch.stack([hu, inside])[None]
            hu, inside = functional.grid_sample(
                both, grid, align_corners=False, padding_mode="border"
            )[0]
            hu = _varied(hu, drawn)
        else:
            hu, inside = hu[:size, :size, :size], inside[:size, :size, :size]
        return window(hu, self.window_hu), (inside > 0.5).float()


def _varied(hu: Tensor, drawn: _Patch) -> Tensor:
    """Other contrast, blur and noise than the scan had."""
    if drawn.blurred:
        hu = functional.avg_pool3d(
            functional.pad(hu[None, None], (1,) * 6, mode="replicate"), 3, 1
        )[0, 0]
    hu = hu * drawn.gain + drawn.offset_hu
    return hu if drawn.noise is None else hu + torch.from_numpy(drawn.noise) * drawn.noise_hu


def window(hu: Tensor, window_hu: tuple[float, float]) -> Tensor:
    """HU to [−1, 1] over a window."""
    low, high = window_hu
    return (hu.clamp(low, high) - low) / (high - low) * 2 - 1


def _box(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    where = np.argwhere(mask)
    return where.min(axis=0), where.max(axis=0) + 1


def _cut(
    array: NDArray[np.generic], start: NDArray[np.int64], size: NDArray[np.int64], fill: int
) -> NDArray[np.generic]:
    """A block of an array, filled where it passes the border."""
    out = np.full(tuple(size), fill, dtype=array.dtype)
    low, high = np.maximum(start, 0), np.minimum(start + size, array.shape)
    if (high > low).all():
        to = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
        out[to] = array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    return out
