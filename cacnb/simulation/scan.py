"""One simulated scan from a person and a seed, with everything that is true of it; no files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cacnb.ct.volume import Volume
from cacnb.simulation.anatomy import (
    Anatomy,
    Pose,
    pose_heart,
)
from cacnb.simulation.chest import paint_chest, paint_heart_mask
from cacnb.simulation.coronaries import ARTERIES
from cacnb.simulation.lesions import BURDENS, Lesion, deposit, draw_lesions
from cacnb.simulation.reader import label_slices, paint_regions, pick_lesions
from cacnb.simulation.scanner import (
    CONTRAST_CHANCE,
    NO_HEART_CHANCE,
    PROTOCOLS,
    Settings,
    blur,
    noise,
    render_calcium,
)
from cacnb.simulation.shapes import Canvas

FieldOfView = Literal["chest", "heart"]

#: Brightest value a 12-bit scanner stores, in HU.
BRIGHTEST_HU = 3071


@dataclass(frozen=True)
class Person:
    """Somebody who is scanned twice: an anatomy and the calcium that it carries."""

    anatomy: Anatomy
    lesions: tuple[Lesion, ...]
    protocol: str

    @classmethod
    def draw(cls, seed: int, protocol: str = "rtp", burden: str | None = None) -> Person:
        """Draw a person of a protocol's population; the same seed gives the same person.

        `burden` names another population's calcium than the protocol's own.
        """
        stream = seed * 10 + list(PROTOCOLS).index(protocol)
        anatomy = Anatomy.draw(stream, spread=1.8 if protocol == "locator" else 1.0)
        return cls(anatomy, tuple(draw_lesions(anatomy, BURDENS[burden or protocol])), protocol)


@dataclass(frozen=True)
class SimulatedScan:
    """A scan and its truth, all on one grid (z, y, x).

    `image` HU int16; `heart` bool; `calcium` the excess HU of coronary calcium alone, without
    noise, by artery; `visible` per slice, what the simulated reader says; `regions` the painted
    lesion regions (1 LAD, 2 LCX, 3 RCA); `picked` the voxels a clinical reader counts;
    `centres_mm` of the lesions (z, y, x) in patient millimetres; `settings` the scanner's.
    """

    person: Person
    breath_hold: bool
    settings: Settings
    image: Volume
    heart: Volume
    calcium: dict[str, Volume]
    visible: NDArray[np.bool_]
    regions: Volume
    picked: Volume
    centres_mm: dict[int, NDArray[np.float64]]

    @property
    def coronary_calcium(self) -> Volume:
        """Excess HU of all coronary calcium, without noise."""
        total = sum(volume.array for volume in self.calcium.values())
        return self.image.with_array(np.asarray(total, np.float32))

    @property
    def mass_mg(self) -> float:
        """True mass of the person's coronary calcium in mg."""
        return float(sum(lesion.mass_mg for lesion in self.person.lesions if lesion.is_coronary))


def simulate_scan(
    person: Person, *, breath_hold: bool, field_of_view: FieldOfView = "chest", repeat: int = 0
) -> SimulatedScan:
    """Scan a person once: pose, settings, heart beat and noise are drawn from person and repeat.

    The breath-hold and the free-breathing scan of a person share anatomy and calcium and nothing
    else, as the two planning scans of the paper do.
    """
    anatomy = person.anatomy
    rng = np.random.default_rng([anatomy.seed, 4, int(breath_hold), repeat])
    protocol = PROTOCOLS[person.protocol]
    pose = Pose.draw(rng, breath_hold=breath_hold)
    settings = Settings.draw(protocol, rng, breath_hold=breath_hold)
    grid = _grid(anatomy, pose, settings, field_of_view)
    if person.protocol == "locator":
        anatomy, grid = _vary(anatomy, pose, grid, rng)
    edge_mm = max(1.0, settings.pixel_mm)
    z_mm, y_mm, x_mm = (grid.axis_mm(i) for i in range(3))
    seen_mm = settings.breath.seen_mm(z_mm)
    canvas = Canvas(seen_mm, y_mm, x_mm, edge_mm=edge_mm, background=-1000.0)
    heart = paint_chest(canvas, anatomy, pose)
    sac = Canvas(seen_mm, y_mm, x_mm, edge_mm=edge_mm, background=0.0)
    paint_heart_mask(sac, heart)
    lesions = list(person.lesions)
    deposits = deposit(lesions, heart)
    image = blur(canvas.values, settings, edge_mm)
    calcium = {
        artery: render_calcium([d for d in deposits if d.place == artery], heart, settings, grid)
        for artery in ARTERIES
    }
    other = [d for d in deposits if d.place not in ARTERIES]
    image += sum(calcium.values()) + render_calcium(other, heart, settings, grid)
    image += noise(grid.shape, settings, rng, z_mm=z_mm)
    stored = np.clip(np.rint(image), -1024, BRIGHTEST_HU).astype(np.int16)
    on_table = _on_table(grid, pose)
    volume = on_table.with_array(stored)
    mask = on_table.with_array(sac.values > 0.5)
    by_artery = {name: on_table.with_array(values) for name, values in calcium.items()}
    total = on_table.with_array(np.asarray(sum(calcium.values()), np.float32))
    seen = label_slices(volume, total, mask, rng)
    centres = {}
    for i in range(len(lesions)):
        z, y, x = np.mean([d.centre for d in deposits if d.lesion == i], axis=0)
        at_rest = np.array([np.interp(z, seen_mm, z_mm), y, x])
        centres[i] = at_rest + pose.table_mm
    return SimulatedScan(
        person, breath_hold, settings, volume, mask, by_artery, seen,
        paint_regions(by_artery, seen), pick_lesions(volume, total), centres,
    )  # fmt: skip


def _grid(anatomy: Anatomy, pose: Pose, settings: Settings, field: FieldOfView) -> Volume:
    """The grid of a scan in the person's coordinates: the chest, or the heart with a margin."""
    frame = pose_heart(anatomy, pose).frame
    if field == "heart":
        centre = frame.centre + np.array([4.0, 0.0, -3.0])
        half = np.array([78.0, 105.0, 105.0])
    else:
        centre = np.array([10.0, anatomy.spine_y - 52.0, anatomy.midline_x])
        half = np.array(
            [118.0, anatomy.half_depth + 0.6 * anatomy.breasts_mm + 28, anatomy.half_width + 28]
        )
    step = np.array([settings.spacing_mm, settings.pixel_mm, settings.pixel_mm])
    count = np.ceil(2 * half / step).astype(int)
    origin = centre - step * (count - 1) / 2
    return Volume(np.empty(tuple(count), np.int16), tuple(step.tolist()), tuple(origin.tolist()))


def _vary(
    anatomy: Anatomy, pose: Pose, grid: Volume, rng: np.random.Generator
) -> tuple[Anatomy, Volume]:
    """Give some people contrast medium and cut the scan anywhere, now and then below the heart."""
    if rng.random() < CONTRAST_CHANCE:
        tissues = replace(anatomy.tissues, contrast=float(rng.uniform(60, 350)))
        anatomy = replace(anatomy, tissues=tissues)
    frame = pose_heart(anatomy, pose).frame
    z, y, x = frame.centre
    low, high = z - rng.uniform(50, 330), z + rng.uniform(60, 230)
    if rng.random() < NO_HEART_CHANCE:
        low, high = z - 400, z - rng.uniform(60, 120)
    step = np.asarray(grid.spacing_mm)
    origin = np.asarray(grid.origin_mm)
    far = origin + step * (np.asarray(grid.shape) - 1)
    if rng.random() < 0.35:  # a small field of view around the heart
        near = np.array([y, x]) + rng.normal(0, 12, 2)
        reach = rng.uniform(85, 160, 2)
        origin[1:], far[1:] = (
            np.maximum(origin[1:], near - reach),
            np.minimum(far[1:], near + reach),
        )
    else:  # a wide one, with the table and much air
        margin = rng.uniform(-25, 130, 2)
        origin[1:], far[1:] = origin[1:] - margin, far[1:] + margin
    origin[0], far[0] = low, high
    count = np.maximum(np.ceil((far - origin) / step).astype(int), 8)
    return anatomy, Volume(
        np.empty(tuple(count), np.int16), grid.spacing_mm, tuple(origin.tolist())
    )


def _on_table(grid: Volume, pose: Pose) -> Volume:
    """The grid in the scanner's coordinates."""
    return Volume(
        grid.array,
        grid.spacing_mm,
        tuple((np.asarray(grid.origin_mm) + pose.table_mm).tolist()),
    )
