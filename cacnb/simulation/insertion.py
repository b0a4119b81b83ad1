"""Simulated calcium put into a real scan that shows none, as a pair; it finds no heart itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.simulation.anatomy import Anatomy, PosedHeart
from cacnb.simulation.coronaries import ARTERIES, CourseVariation, HeartFrame, courses
from cacnb.simulation.grooves import groove_map, into_grooves
from cacnb.simulation.heart_fit import fit_frame
from cacnb.simulation.host_scanner import HostScanner
from cacnb.simulation.lesions import BURDENS, Deposit, deposit, draw_lesions
from cacnb.simulation.motion import HELD, Breath, HeartBeat
from cacnb.simulation.reader import label_slices, paint_regions, pick_lesions
from cacnb.simulation.scan import BRIGHTEST_HU, Person, SimulatedScan
from cacnb.simulation.scanner import Settings, render_calcium

Vector = NDArray[np.float64]

#: Rotation and table speed of an ordinary chest scan without ECG: what the scan does not tell.
ROTATION_S, TABLE_MM_S = 0.5, 40.0

#: How much noise each scan of a pair gets, as a share of the host's own. At 1 the two scans' noise
#: is independent, see `insert_calcium`.
ADDED_NOISE = 1.0

#: Smoothed HU below which a voxel of a heart mask is lung, and least volume of what is left in cm³.
LUNG_HU, LEAST_HEART_CM3 = -250.0, 100.0


@dataclass(frozen=True)
class Host:
    """A real scan that calcium is put into: HU (z, y, x), its heart mask on the same grid, tube
    voltage in kV and slice thickness in mm (the slices' distance where None).

    Raises
    ------
    InputError
        `different_grid`, or `wrong_heart` where the mask holds too little soft tissue for a heart.
    """

    volume: Volume
    heart: Volume
    kvp: float = 120.0
    slice_thickness_mm: float | None = None

    def __post_init__(self) -> None:
        if not self.heart.same_grid(self.volume):
            raise InputError(
                "different_grid",
                "the heart mask stands on another grid than the scan: draw it on the scan",
            )
        soft_cm3 = self.soft_heart.array.sum() * self.heart.voxel_volume_mm3 / 1000
        if soft_cm3 < LEAST_HEART_CM3:
            raise InputError(
                "wrong_heart",
                f"the heart mask holds {soft_cm3:.0f} cm³ of soft tissue, at least "
                f"{LEAST_HEART_CM3:.0f} were wanted: check that it shows this scan's heart",
            )

    @cached_property
    def soft_heart(self) -> Volume:
        """The mask without the lung that a coarse mask reaches into."""
        step = np.asarray(self.volume.spacing_mm)
        smooth = ndimage.gaussian_filter(self.volume.array.astype(np.float32), 1.0 / step)
        return self.heart.with_array(self.heart.array.astype(bool) & (smooth > LUNG_HU))

    @cached_property
    def frame(self) -> HeartFrame:
        """The heart's frame, fitted to the mask."""
        return fit_frame(self.soft_heart)

    @cached_property
    def grooves(self) -> Volume:
        """Where the scan looks like a coronary groove, 0–1."""
        return groove_map(self.volume, self.soft_heart)

    @cached_property
    def scanner(self) -> HostScanner:
        """Noise and point spread as the scan shows them."""
        return HostScanner.measure(self.volume, self.soft_heart)

    def arteries(self, course: CourseVariation) -> PosedHeart:
        """The heart with a person's arteries, each bent into the grooves that the scan shows."""
        lines = {
            name: into_grooves(line, self.grooves) if name in ARTERIES else line
            for name, line in courses(self.frame, course).items()
        }
        # Root and mitral annulus carry no calcium here.
        return PosedHeart(self.frame, lines, self.frame.centre, self.frame.centre)


def insert_calcium(
    host: Host, person: Person, *, repeat: int, added_noise: float = ADDED_NOISE
) -> SimulatedScan:
    """One scan of a pair (`repeat` 0 or 1): the host with the person's lesions.

    Both scans have the same lesions at the same places. Each has its own heart beat, its own shift
    of the calcium against the voxels (at most half of one), and the second a breath that carries
    the calcium up and down. The host's anatomy does not move.

    What is added beside calcium: one noise field n of the host's own level and texture, drawn from
    the seed, as + n to the first scan and − n to the second. The host's own noise h is in both, so
    that the scans have h + n and h − n: of equal variance, (1 + `added_noise`²) times the host's,
    and with `added_noise` 1 uncorrelated, as two scans of half the dose are. With 0 both keep the
    host's noise as it is.
    """
    volume, heart = host.volume, host.heart
    rng = np.random.default_rng([person.anatomy.seed, 6, repeat])
    settings = _settings(host, rng, breathing=repeat > 0)
    shift = rng.uniform(-0.5, 0.5, 3) * np.asarray(volume.spacing_mm)
    posed = host.arteries(person.anatomy.course)
    deposits = [
        replace(piece, centre=piece.centre + shift)
        for piece in deposit(list(person.lesions), posed)
    ]
    calcium = {
        artery: render_calcium([d for d in deposits if d.place == artery], posed, settings, volume)
        for artery in ARTERIES
    }
    total = np.asarray(sum(calcium.values()), np.float32)
    image = volume.array.astype(np.float32) + total
    if added_noise:
        shared = np.random.default_rng([person.anatomy.seed, 7])
        sign = added_noise if repeat == 0 else -added_noise
        image += np.float32(sign) * host.scanner.noise(volume, shared)
    stored = np.clip(np.rint(image), -1024, BRIGHTEST_HU).astype(np.int16)
    scan = volume.with_array(stored)
    by_artery = {name: volume.with_array(values) for name, values in calcium.items()}
    seen = label_slices(scan, volume.with_array(total), heart, rng)
    return SimulatedScan(
        person, repeat == 0, settings, scan, heart, by_artery, seen,
        paint_regions(by_artery, seen), pick_lesions(scan, volume.with_array(total)),
        _centres(deposits, settings.breath, volume),
    )  # fmt: skip


def carrier(seed: int, burden: str) -> Person:
    """A person with coronary calcium and no other, from a seed: the lesions that are inserted."""
    anatomy = Anatomy.draw(seed)
    always = replace(BURDENS[burden], any_share=1.0, other_share=(0.0, 0.0))
    return Person(anatomy, tuple(draw_lesions(anatomy, always)), "inserted")


def _centres(deposits: list[Deposit], breath: Breath, volume: Volume) -> dict[int, Vector]:
    """Centre (z, y, x) in mm of each lesion where it lies in the image, the heart at rest."""
    z_mm = volume.axis_mm(0)
    seen_mm = breath.seen_mm(z_mm)
    centres = {}
    for lesion in sorted({d.lesion for d in deposits}):
        z, y, x = np.mean([d.centre for d in deposits if d.lesion == lesion], axis=0)
        centres[lesion] = np.array([np.interp(z, seen_mm, z_mm), y, x])
    return centres


def _settings(host: Host, rng: np.random.Generator, *, breathing: bool) -> Settings:
    z, y, _ = host.volume.spacing_mm
    beat = HeartBeat.draw(rng, rotation_s=ROTATION_S, table_mm_s=TABLE_MM_S)
    breath = Breath.draw(rng, table_mm_s=TABLE_MM_S) if breathing else HELD
    return Settings(
        host.kvp, y, host.slice_thickness_mm or z, z, host.scanner.blur_mm,
        float(np.median(host.scanner.level_hu)), beat, breath,
    )  # fmt: skip
