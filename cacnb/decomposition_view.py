"""What a decomposition makes of a few validation slices: numbers, F1, a picture; no file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from cacnb.learning.batches import HU_PER_GREY, SliceStore, to_grey
from cacnb.learning.decomposer import Decomposer, cac_map_hu
from cacnb.study.relative_difference import relative_difference
from cacnb.training_failures import MAP_HU

#: Slices of each domain that a look sees, and columns of the picture.
LOOK_SLICES, PICTURE_SLICES = 8, 4

#: Slices that are validated on at most, and of one scan.
VALIDATION_SLICES, SLICES_A_SCAN = 160, 20

#: HU from black to white in a map's picture, where faint calcium shall be seen, and above −50 in an
#: image's: soft tissue and calcium.
MAP_WHITE_HU = 150.0
IMAGE_WHITE_HU = 400.0

#: Volume of a map's voxel in mm³ (section 5: 1.5 × 1.0 × 1.0 mm).
VOXEL_MM3 = 1.5


class DecompositionView:
    """Sees a learner's networks on the same slices each time, without augmentation.

    What a method has no network for is left out: one-sided learning has neither cycle nor critic of
    slices with CAC, learning from inserted lesions alone has no critic at all.

    Parameters
    ----------
    learner
        Whose networks are seen.
    store
        Heart slices.
    kept
        (scans,) bool: which are kept for validation. Where none shows both domains, all are used.
    pairs
        (scans,) a number for each pair of scan and rescan.
    simulated
        (scans,) bool: which are simulated, so that it can be said wherever numbers are shown.
    """

    def __init__(
        self,
        learner: Decomposer,
        store: SliceStore,
        kept: NDArray[np.bool_],
        pairs: NDArray[np.int64],
        simulated: NDArray[np.bool_],
    ) -> None:
        self.learner, self.store = learner, store
        self.pairs, self.simulated = pairs, simulated
        indices = store.subset(kept)
        if len(set(store.labels[indices].tolist())) < 2:
            indices = store.subset(np.ones_like(kept))
        labels = store.labels[indices]
        self.cac = _spread(indices[labels], LOOK_SLICES)
        self.no_cac = _spread(indices[~labels], LOOK_SLICES)
        by_scan = [
            indices[store.scans[indices] == scan] for scan in np.unique(store.scans[indices])
        ]
        each = max(2, min(SLICES_A_SCAN, VALIDATION_SLICES // len(by_scan)))
        scans = by_scan[: VALIDATION_SLICES // each]
        self.validated = np.concatenate([_spread(scan, each) for scan in scans])

    def numbers(self) -> dict[str, float]:
        """Amount of the map and its likeness to the image, and what the critics answer.

        `map_share` of the voxels of slices with CAC lie above 10 HU; `map_of_image` is the map's
        sum by the image's (HU above the window's −50); a critic's output goes from 0, synthetic, to
        1, real.
        """
        with self._looking():
            seen = self._slices(np.concatenate([self.cac, self.no_cac]))
            n = len(self.cac)
            cac, no_cac = seen[:n, :1], seen[n:, :1]
            cac_map = self.learner.remover(seen[:n])
            found = {
                "map_mean_hu": _mean(cac_map) * HU_PER_GREY,
                "map_largest_hu": float(cac_map.max()) * HU_PER_GREY,
                "map_share": _mean((cac_map > MAP_HU / HU_PER_GREY).float()),
                "map_of_image": _mean(cac_map) / max(_mean(cac), 1e-9),
                "map_correlation": _correlation(cac_map, cac),
            }
            networks = self.learner.networks
            synthetic = {"no_cac": cac - cac_map}
            if "synthesiser" in networks:
                added = networks["synthesiser"](seen[n:])
                healthy = (cac - cac_map).clamp(min=0)
                again = networks["synthesiser"](torch.cat([healthy, seen[:n, 1:]], dim=1))
                synthetic["cac"] = no_cac + added
                found["added_mean_hu"] = _mean(added) * HU_PER_GREY
                found["cycle_error_hu"] = _mean((again - cac_map).abs()) * HU_PER_GREY
            for domain, real in (("cac", cac), ("no_cac", no_cac)):
                critic = networks.get(f"critic_{domain}")
                if critic is not None and domain in synthetic:
                    found[f"critic_{domain}_real"] = self._answer(critic(real))
                    found[f"critic_{domain}_synthetic"] = self._answer(critic(synthetic[domain]))
            return {**found, **self._device()}

    def validation(self) -> dict[str, float]:
        """Best F1 of any mass threshold over slices, and scan–rescan difference at it (Figure 5).

        A slice's mass is its map's, of voxels above 10 HU. The relative difference is that of pairs
        whose scans both have such a slice; it is left out where there is none.
        """
        with self._looking():
            network = self.learner.trained()
            images = self._hu(self.validated)
            maps = cac_map_hu(network, images, self._where(), batch=16)
        maps[maps < MAP_HU] = 0
        mass = maps.sum(axis=(1, 2), dtype=np.float64) * VOXEL_MM3
        f1, least = best_f1(mass, self.store.labels[self.validated])
        scans = self.store.scans[self.validated]
        found = {
            "f1": f1, "f1_mass_hu_mm3": least, "slices": float(len(mass)),
            "simulated_slices": float(self.simulated[scans].sum()),
        }  # fmt: skip
        of_scan = {int(s): float(mass[(scans == s) & (mass >= least)].sum()) for s in set(scans)}
        both = [
            (of_scan[a], of_scan[b])
            for a in of_scan for b in of_scan if a < b and self.pairs[a] == self.pairs[b]
        ]  # fmt: skip
        if both:
            difference = relative_difference(*zip(*both, strict=True))
            if difference.both_positive is not None:
                found["relative_difference"] = float(difference.both_positive)
                found["pairs"] = float(difference.n_both_positive)
        return found

    def picture(self) -> bytes:
        """A PNG grid: image, CAC map, healthy image, image again; no CAC, synthetic CAC, again.

        Without a synthesiser the last of the first four and the last two are left out, and the
        map of the slice without CAC stands beside it.
        """
        with self._looking():
            remover, synthesiser = self.learner.remover, self.learner.networks.get("synthesiser")
            seen = self._slices(
                np.concatenate([self.cac[:PICTURE_SLICES], self.no_cac[:PICTURE_SLICES]])
            )
            n = len(self.cac[:PICTURE_SLICES])
            cac, no_cac, beside = seen[:n, :1], seen[n:, :1], seen[:, 1:]
            removed = remover(seen[:n])
            healthy = (cac - removed).clamp(min=0)
            columns = [(cac, IMAGE_WHITE_HU), (removed, MAP_WHITE_HU), (healthy, IMAGE_WHITE_HU)]
            if synthesiser is None:
                columns += [(no_cac, IMAGE_WHITE_HU), (remover(seen[n:]), MAP_WHITE_HU)]
            else:
                added = synthesiser(seen[n:])
                with_cac = no_cac + added
                cac_again = healthy + synthesiser(torch.cat([healthy, beside[:n]], dim=1))
                no_cac_again = with_cac - remover(torch.cat([with_cac, beside[n:]], dim=1))
                columns += [
                    (cac_again, IMAGE_WHITE_HU), (no_cac, IMAGE_WHITE_HU), (added, MAP_WHITE_HU),
                    (with_cac, IMAGE_WHITE_HU), (no_cac_again, IMAGE_WHITE_HU),
                ]  # fmt: skip
        rows = max(len(column) for column, _ in columns)
        grid = np.zeros((rows, len(columns), *cac.shape[2:]), np.float32)
        for j, (column, white_hu) in enumerate(columns):
            tiles = column[:, 0].float().cpu().numpy() * (HU_PER_GREY / white_hu)
            grid[: len(tiles), j] = tiles
        whole = grid.transpose(0, 2, 1, 3).reshape(rows * grid.shape[2], -1)
        file = io.BytesIO()
        Image.fromarray((whole.clip(0, 1) * 255).astype(np.uint8)).save(file, "PNG")
        return file.getvalue()

    def _hu(self, indices: NDArray[np.int64]) -> NDArray[np.int16]:
        """Slices with those beside them, the middle of the crop: (n, 1 + context, y, x)."""
        plan = self.learner.plan
        return self.store.middle(indices, plan.context, plan.crop_px)

    def _slices(self, indices: NDArray[np.int64]) -> Tensor:
        return to_grey(self._hu(indices)).to(self._where())

    def _where(self) -> torch.device:
        return next(self.learner.remover.parameters()).device

    def _answer(self, responses: Tensor) -> float:
        """A critic's output between 0 and 1, whichever loss trains it."""
        if self.learner.plan.adversarial == "log":
            return float(torch.sigmoid(responses.mean(dim=(1, 2, 3))).mean())
        return _mean(responses)

    def _device(self) -> dict[str, float]:
        """Memory in use on a GPU, and how busy it is where the driver's library tells."""
        device = self._where()
        if device.type != "cuda":
            return {}
        found = {"gpu_memory_mb": torch.cuda.max_memory_allocated(device) / 2**20}
        try:
            found["gpu_busy"] = torch.cuda.utilization(device) / 100
        except (ModuleNotFoundError, RuntimeError):
            return found
        return found

    @contextmanager
    def _looking(self) -> Iterator[None]:
        """Networks as they are used, not as they are trained; put back whatever happens."""
        networks = self.learner.networks.values()
        training = [network.training for network in networks]
        try:
            for network in networks:
                network.eval()
            with torch.no_grad():
                yield
        finally:
            for network, was in zip(networks, training, strict=True):
                network.train(was)


def best_f1(mass: NDArray[np.float64], shows: NDArray[np.bool_]) -> tuple[float, float]:
    """The best F1 of any threshold on the mass, and the threshold (least mass that is found).

    A mass of 0 is never found.

    Example
    -------
    >>> best_f1(np.array([0.0, 5.0, 9.0, 2.0]), np.array([False, True, True, False]))
    (1.0, 5.0)
    """
    order = np.argsort(-mass, kind="stable")
    hits = np.cumsum(shows[order])
    f1 = 2 * hits / (np.arange(1, len(mass) + 1) + max(int(shows.sum()), 1))
    # Equal masses are found together, so only the last of them is a threshold.
    last = np.append(np.diff(mass[order]) != 0, True) & (mass[order] > 0)
    f1 = np.where(last, f1, 0.0)
    best = int(f1.argmax())
    return float(f1[best]), float(mass[order][best])


def _spread(indices: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """`count` of some indices, from first to last; fewer where there are not as many."""
    if len(indices) <= count:
        return indices
    spread: NDArray[np.int64] = indices[np.linspace(0, len(indices) - 1, count).round().astype(int)]
    return spread


def _mean(values: Tensor) -> float:
    return float(values.mean())


def _correlation(first: Tensor, second: Tensor) -> float:
    """Pearson's r of all voxels; 0 where one of the two is the same everywhere."""
    a, b = (values.double().flatten() - values.double().mean() for values in (first, second))
    norm = float(a.norm() * b.norm())
    return float(a @ b) / norm if norm > 1e-12 else 0.0
