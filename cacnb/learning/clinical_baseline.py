"""Learning and telling which bright voxels are coronary calcium, and of which artery.

The trained automatic clinical scoring that the proposed method is compared with, after Lessmann
2018 and van Velzen 2020. It does not know how calcium is scored.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from cacnb.learning.clinical_candidates import (
    WINDOW_HU,
    Candidates,
    cut_views,
    to_clinical_grey,
)
from cacnb.learning.clinical_networks import CLASSES, CalciumNetwork, LabelNetwork
from cacnb.learning.learner import Learner
from cacnb.learning.recipes import ClinicalRecipe
from cacnb.learning.share import WHOLE, Share

#: Share of the second network's loss on voxels that are no calcium which every such voxel gets; the
#: rest goes to those that the first network takes for calcium (the authors draw 10 and 40 %).
ANY_OTHER_SHARE = 0.2


class ClinicalBaseline(nn.Module):
    """Both networks: the first labels, the second throws out what is no calcium."""

    def __init__(self, recipe: ClinicalRecipe) -> None:
        super().__init__()
        self.first = LabelNetwork(recipe.widths, recipe.dilations, recipe.combined, recipe.dropout)
        self.second = CalciumNetwork(
            recipe.second_widths, recipe.second_dense, recipe.second_px, recipe.second_dropout
        )

    def forward(self, views: Tensor) -> Tensor:
        """(batch, 3, field, field) to probabilities (batch, classes) of the middle voxel.

        An artery's is the product of both networks' answers; what the second one denies is other.
        """
        labels = torch.softmax(self.first(views)[0], dim=1)
        calcium = torch.softmax(self.second(_middle(views, self.second.patch_px)), dim=1)[:, 1:]
        arteries = labels[:, 1:] * calcium
        return torch.cat([1 - arteries.sum(dim=1, keepdim=True), arteries], dim=1)


def _middle(views: Tensor, size: int) -> Tensor:
    start = (views.shape[-1] - size) // 2
    return views[..., start : start + size, start : start + size]


class ClinicalLearner(Learner):
    """Trains the first network, then the second on what the first takes for calcium."""

    stage = "clinical"

    def __init__(self, recipe: ClinicalRecipe) -> None:
        super().__init__(recipe)
        torch.manual_seed(recipe.seed)
        self.plan = recipe
        self.both = ClinicalBaseline(recipe)
        self.both.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.networks = {"first": self.both.first, "second": self.both.second}
        self.optimisers = {
            "first": torch.optim.Adam(
                self.both.first.parameters(), recipe.learning_rate,
                weight_decay=recipe.weight_decay,
            ),
            "second": torch.optim.Adam(
                self.both.second.parameters(), recipe.second_learning_rate,
                weight_decay=recipe.second_weight_decay,
            ),
        }  # fmt: skip

    def step(self, first: Tensor, second: Tensor, iteration: int) -> dict[str, float]:
        """One batch of views (batch, 3, n, n) and labels (batch, 3, n', n') around candidates."""
        torch.manual_seed(int(torch.randint(2**62, (1,), generator=self.generator)))  # for dropout
        views = self._varied(first)
        if iteration <= self.plan.first_iterations:
            left = 1 - (iteration - 1) / self.plan.first_iterations
            return self._label(views, second, left)
        done = iteration - 1 - self.plan.first_iterations
        left = 1 - done / (self.plan.iterations - self.plan.first_iterations)
        middle = second.shape[-1] // 2
        views = _middle(views, self.plan.field_px)
        return self._confirm(views, second[:, 0, middle, middle] > 0, left)

    def _label(self, views: Tensor, labels: Tensor, left: float) -> dict[str, float]:
        logits, alone = self.both.first(views)
        middle = labels[:, 0, labels.shape[-1] // 2, labels.shape[-1] // 2]
        main = functional.cross_entropy(logits, middle)
        each = functional.cross_entropy(alone.flatten(0, 1), labels.flatten(0, 1))
        # the authors add the three views' mean losses
        self._descend("first", main + self.plan.view_weight * alone.shape[1] * each, left)
        right = (logits.argmax(dim=1) == middle).float().mean()
        return {
            "labels": float(main.detach()), "views": float(each.detach()),
            "label_accuracy": float(right),
        }  # fmt: skip

    def _confirm(self, views: Tensor, calcium: Tensor, left: float) -> dict[str, float]:
        self.both.first.eval()
        with torch.no_grad():
            taken = 1 - torch.softmax(self.both.first(views)[0], dim=1)[:, 0]
        other = (~calcium).float()
        fooled = taken * other
        # of the joined batch: a process may have no calcium in its share
        whole = self.processes.total
        weight = calcium / whole(calcium.sum()).clamp(min=1)
        weight = weight + ANY_OTHER_SHARE * other / whole(other.sum()).clamp(min=1)
        weight = weight + (1 - ANY_OTHER_SHARE) * fooled / whole(fooled.sum()).clamp(min=1e-6)
        processes, total = self.processes.share.of, whole(weight.sum())
        logits = self.both.second(_middle(views, self.plan.second_px))
        each = functional.cross_entropy(logits, calcium.long(), reduction="none")
        loss = processes * (weight * each).sum() / total
        self._descend("second", loss, left)
        right = (weight * ((logits[:, 1] > logits[:, 0]) == calcium)).sum() * processes / total
        return {"calcium": float(loss.detach()), "calcium_accuracy": float(right)}

    def _descend(self, which: str, loss: Tensor, left: float) -> None:
        optimiser = self.optimisers[which]
        if self.plan.name != "paper":
            rate = {"first": self.plan.learning_rate, "second": self.plan.second_learning_rate}
            optimiser.param_groups[0]["lr"] = rate[which] * min(1.0, 3 * left)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.update(which)

    def _varied(self, views: Tensor) -> Tensor:
        """Other contrast and noise than the scans had; nothing in the paper."""
        if not self.plan.vary:
            return views
        rows = self.processes.share.rows(len(views))
        draw = torch.randn(rows.total, 3, 1, 1, 1, generator=self.generator) * self.plan.vary
        noise = rows.of(torch.randn(rows.total, *views.shape[1:], generator=self.generator))
        draw = rows.of(draw)
        return views * (1 + 0.03 * draw[:, 0]) + 0.006 * draw[:, 1] + 0.006 * draw[:, 2] * noise

    def trained(self) -> nn.Module:
        """Both networks."""
        return self.both


class CandidateSampler:
    """Endless batches of candidate voxels: half coronary calcium, each artery as often; half other.

    `stems` are paths without their endings: `<stem>.image.npy` (int16 HU on the networks' grid),
    `<stem>.candidates.npy` (n, 5) of z, y, x, label, component, and `<stem>.labels.npy` (m, 4) of
    z, y, x, label for every calcium voxel of the grid. A large component is not drawn more often
    than a small one, but for a quarter of the other voxels: bone is most of what is bright.
    """

    def __init__(
        self, stems: list[Path], *, batch: int, size: int, labelled: int, seed: int
    ) -> None:
        self.batch, self.size, self.labelled = batch, size, labelled
        self.share: Share = WHOLE
        self.rng = np.random.default_rng([seed, 13])
        self.images = [np.load(f"{s}.image.npy", mmap_mode="r") for s in stems]
        self.calcium = [np.load(f"{s}.labels.npy") for s in stems]
        tables = [np.load(f"{s}.candidates.npy") for s in stems]
        scan = np.repeat(np.arange(len(stems)), [len(t) for t in tables])
        table = np.concatenate([np.zeros((0, 5), np.int64), *tables])
        order = np.lexsort((table[:, 4], scan, table[:, 3]))  # of each label, scan by scan
        self.scan, self.table = scan[order], table[order]
        key = np.column_stack([self.table[:, 3], self.scan, self.table[:, 4]])
        new = np.ones(len(key), bool)
        new[1:] = (key[1:] != key[:-1]).any(axis=1)
        self.starts = np.append(np.flatnonzero(new), len(key))
        label = self.table[self.starts[:-1], 3]
        groups = [np.flatnonzero(label == number) for number in range(len(CLASSES))]
        self.other, self.arteries = groups[0], [g for g in groups[1:] if len(g)]
        if not (len(self.other) and self.arteries):
            raise ValueError("no candidate of the training set is coronary calcium, or all are")

    def draw(self) -> tuple[Tensor, Tensor]:
        """Grey values (batch, 3, size, size) and labels (batch, 3, labelled, labelled)."""
        rows = []
        for i in range(self.batch):
            if i % 2 == 0:
                pool = self.arteries[int(self.rng.integers(len(self.arteries)))]
                rows.append(self._of_component(int(self.rng.choice(pool))))
            elif i % 8 < 7:
                rows.append(self._of_component(int(self.rng.choice(self.other))))
            else:  # the voxels of no artery come first
                rows.append(int(self.rng.integers(self.starts[self.other[-1] + 1])))
        own = self.share.block(self.batch)
        rows = rows[own.start : own.stop]
        views = np.concatenate([self._views(row) for row in rows])
        return to_clinical_grey(views), torch.from_numpy(np.stack([*map(self._labels, rows)]))

    def _of_component(self, group: int) -> int:
        return int(self.rng.integers(self.starts[group], self.starts[group + 1]))

    def _views(self, row: int) -> NDArray[np.generic]:
        image = self.images[self.scan[row]]
        return cut_views(image, self.table[row : row + 1, :3], self.size, WINDOW_HU[0])

    def _labels(self, row: int) -> NDArray[np.int64]:
        """The labels around a candidate in its three views; its own in the middle."""
        half = self.labelled // 2
        labels = np.zeros((3, self.labelled, self.labelled), np.int64)
        away = self.calcium[self.scan[row]][:, :3] - self.table[row, :3]
        for normal in range(3):
            inside = (np.abs(away) <= half).all(axis=1) & (away[:, normal] == 0)
            at = np.delete(away[inside], normal, axis=1) + half
            labels[normal, at[:, 0], at[:, 1]] = self.calcium[self.scan[row]][inside, 3]
        labels[:, half, half] = self.table[row, 3]
        return labels


@torch.inference_mode()
def label_candidates(
    network: nn.Module,
    found: Candidates,
    recipe: ClinicalRecipe,
    device: torch.device,
    *,
    batch: int = 32,
) -> NDArray[np.float32]:
    """Probabilities (components, classes) of candidate components: the mean over their voxels.

    Of a component at most `recipe.voxels` are looked at, evenly spread over it; None looks at all.
    """
    chosen = spread(found.component, recipe.voxels)
    sums = np.zeros((found.count, len(CLASSES)))
    for start in range(0, len(chosen), batch):
        part = chosen[start : start + batch]
        views = cut_views(found.image.array, found.points[part], recipe.field_px, WINDOW_HU[0])
        answers = network(to_clinical_grey(views).to(device)).cpu().numpy()
        np.add.at(sums, found.component[part], answers)
    looked_at = np.bincount(found.component[chosen], minlength=found.count)
    return np.asarray(sums / np.maximum(looked_at, 1)[:, None], np.float32)


def spread(component: NDArray[np.int64], most: int | None) -> NDArray[np.int64]:
    """Indices of at most `most` voxels of each component, evenly spread in the order of the scan.

    Example
    -------
    >>> spread(np.array([0, 1, 0, 0, 0, 0]), 2).tolist()
    [1, 2, 4]
    """
    if most is None:
        return np.arange(len(component))
    chosen = []
    order = np.argsort(component, kind="stable")
    counts = np.bincount(component)
    for start, count in zip(np.cumsum(counts) - counts, counts, strict=True):
        steps = (np.arange(min(count, most)) + 0.5) * count / min(count, most)
        chosen.append(order[start + steps.astype(np.int64)])
    return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, np.int64)


def artery_labels(
    found: Candidates, probability: NDArray[np.float32], least: float, shape: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """The artery (1 LAD, 2 LCX, 3 RCA) of each voxel of a scan, 0 where there is no calcium.

    A component is coronary where the probabilities of the arteries add up to `least`.
    """
    artery = np.where(
        probability[:, 1:].sum(axis=1) >= least, 1 + probability[:, 1:].argmax(axis=1), 0
    )
    labels = np.zeros(shape, np.uint8)
    labels[tuple(found.voxels.T)] = artery[found.component]
    return labels
