"""Calcium of known mass along and beside the arteries, as points in mm; no voxels, no scanner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cacnb.simulation.anatomy import Anatomy, PosedHeart
from cacnb.simulation.coronaries import ARTERIES, along, unit

Vector = NDArray[np.float64]

#: HU of calcium hydroxyapatite per mg/cm³ at 120 kVp: the excess over the surroundings that an
#: openly licensed scan of the QRM thorax phantom shows, summed over its 5 mm inserts.
HU_PER_MG_CM3_120KVP = 1.37

#: The same at other tube voltages, relative to 120 kVp (Nakazato 2009; Gräni 2018, rounded).
KVP_FACTOR = {80.0: 1.45, 100.0: 1.20, 120.0: 1.0, 140.0: 0.88}

#: Deposits that are calcium but not coronary calcium: the paper's false positives (section 5.1).
CONFOUNDERS = ("aorta", "valve", "mitral")


def hu_mm3_per_mg(kvp: float) -> float:
    """Pseudo-mass in HU·mm³ that one mg of calcium hydroxyapatite gives at a tube voltage.

    Example
    -------
    >>> round(hu_mm3_per_mg(120.0))
    1370
    """
    factor = np.interp(kvp, list(KVP_FACTOR), list(KVP_FACTOR.values()))
    return float(HU_PER_MG_CM3_120KVP * factor * 1000.0)


@dataclass(frozen=True)
class Burden:
    """How much calcium a population carries; `source` says where the shape comes from.

    `any_share` of people have coronary calcium at all; a carrier has 1 + Poisson(`more_lesions`)
    lesions, with log-normal mass (median mg, spread of the natural log). `other_share` is how many
    have calcium of the aorta: carriers, and people without coronary calcium.
    """

    name: str
    any_share: float
    more_lesions: float
    median_mg: float
    log_spread: float
    source: str
    other_share: tuple[float, float] = (0.55, 0.16)


BURDENS = {
    "rtp": Burden(
        "rtp", 0.44, 0.8, 3.4, 0.6,
        "breast-cancer patients: 88 of 238 scans with visible CAC (van Velzen, section 5.1)",
    ),
    "nlst": Burden(
        "nlst", 0.70, 3.5, 7.0, 1.15, "heavy smokers: high CAC burden (van Velzen, section 2)"
    ),
    "locator": Burden(
        "locator", 0.5, 3.5, 8.0, 1.15, "any: the heart's place does not depend on it"
    ),
    "varied": Burden(
        "varied", 0.8, 1.6, 4.0, 1.0,
        "no clinic's: calcium of every size, and much that is not coronary, for networks to learn",
        other_share=(0.7, 0.7),
    ),
}  # fmt: skip

#: Share of lesions an artery carries: 62, 12 and 28 of 102 in the paper's Table 3A.
ARTERY_SHARE = {"LAD": 0.58, "LCX": 0.15, "RCA": 0.27}

#: How large an artery's lesions are beside the population's median: the paper's readers find 85 %
#: of the visible LAD lesions at 130 HU and 36 % of the RCA's (Table 3A).
ARTERY_SIZE = {"LAD": 4.2, "LCX": 2.3, "RCA": 1.55}


@dataclass(frozen=True)
class Lesion:
    """One calcification: where along its artery, how much, how dense, how long.

    `place` is the artery (or the confounder's site); `share` the position along its centre line
    (0 ostium … 1 end); `mass_mg` of calcium hydroxyapatite; `concentration_mg_cm3`; `pieces` the
    number of rounded pieces in a row that give it its length; `offset_mm` (z, y, x) off the line.
    """

    place: str
    share: float
    mass_mg: float
    concentration_mg_cm3: float
    pieces: int
    offset_mm: tuple[float, float, float]

    @property
    def volume_mm3(self) -> float:
        """True volume in mm³."""
        return self.mass_mg / self.concentration_mg_cm3 * 1000.0

    @property
    def is_coronary(self) -> bool:
        """Whether the calcium counts as CAC."""
        return self.place in ARTERIES


@dataclass(frozen=True)
class Deposit:
    """A rounded piece of calcium: centre (z, y, x) mm, mass in mg, Gaussian sigma in mm."""

    lesion: int
    place: str
    centre: Vector
    mass_mg: float
    sigma_mm: float


def draw_lesions(anatomy: Anatomy, burden: Burden) -> list[Lesion]:
    """The calcium of one person, coronary and not; the same for every scan of that person."""
    rng = np.random.default_rng([anatomy.seed, 3])
    lesions: list[Lesion] = []
    carrier = rng.random() < burden.any_share
    if carrier:
        severity = float(np.exp(rng.normal(0, 0.3)))
        for _ in range(1 + int(rng.poisson(burden.more_lesions * severity))):
            place = str(rng.choice(list(ARTERY_SHARE), p=list(ARTERY_SHARE.values())))
            mass = ARTERY_SIZE[place] * burden.median_mg * severity
            mass *= np.exp(burden.log_spread * rng.normal())
            lesions.append(_lesion(rng, place, float(rng.beta(1.1, 2.4)), float(mass), 0.8))
    older = burden.other_share[0 if carrier else 1]
    for place, chance, spots in (
        ("aorta", older, 4),
        ("valve", 0.35 * older, 3),
        ("mitral", 0.25 * older, 3),
    ):
        if rng.random() < chance:
            for _ in range(int(rng.integers(1, spots + 1))):
                mass = 9.0 * np.exp(rng.normal(0, 0.9))
                lesions.append(_lesion(rng, place, float(rng.random()), float(mass), 0.5))
    return lesions


def _lesion(
    rng: np.random.Generator, place: str, share: float, mass_mg: float, off_mm: float
) -> Lesion:
    mass_mg = float(np.clip(mass_mg, 0.3, 250.0))
    concentration = float(np.clip(250 * np.exp(0.40 * rng.normal()), 100, 1000))
    volume = mass_mg / concentration * 1000.0
    pieces = int(np.clip(round(volume / 12.0 * rng.uniform(0.6, 1.6)), 1, 14))
    z, y, x = rng.normal(0, off_mm, 3)
    return Lesion(place, share, mass_mg, concentration, pieces, (float(z), float(y), float(x)))


def deposit(lesions: list[Lesion], heart: PosedHeart) -> list[Deposit]:
    """Lay the lesions onto a heart as it lies: rounded pieces in a row along the vessel.

    A uniform ball of radius r has the variance r²/5 along each axis, and so has the Gaussian that
    stands for it here; the mass of a lesion is shared among its pieces and is never lost.
    """
    pieces = []
    for number, lesion in enumerate(lesions):
        centre, way = _site(lesion, heart)
        radius = (3 * lesion.volume_mm3 / lesion.pieces / (4 * np.pi)) ** (1 / 3)
        steps = (np.arange(lesion.pieces) - (lesion.pieces - 1) / 2) * 1.3 * radius
        for step in steps:
            at = centre + step * way + np.asarray(lesion.offset_mm)
            if lesion.is_coronary:
                line = heart.arteries[lesion.place]
                length = float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())
                at = along(line, lesion.share + step / length)[0] + np.asarray(lesion.offset_mm)
            pieces.append(
                Deposit(number, lesion.place, at, lesion.mass_mg / lesion.pieces, radius / 5**0.5)
            )
    return pieces


def _site(lesion: Lesion, heart: PosedHeart) -> tuple[Vector, Vector]:
    """Point and direction of a lesion's row of pieces."""
    if lesion.is_coronary:
        return along(heart.arteries[lesion.place], lesion.share)
    turn = 2 * np.pi * lesion.share
    if lesion.place == "aorta":
        # On the wall of the ascending aorta and the arch, up to 60 mm above the root.
        ring = 15.0 * np.array([0.0, np.cos(turn), np.sin(turn)])
        rise = np.array([14.0 + 46.0 * ((7 * lesion.share) % 1), -3.0, -6.0])
        return heart.aortic_root + rise + ring, unit([1.0, 0.0, 0.0])
    frame = heart.frame
    spread, around = (
        (7.0, heart.aortic_root) if lesion.place == "valve" else (13.0, heart.mitral_centre)
    )
    at = around + spread * (np.cos(turn) * frame.front + np.sin(turn) * frame.left)
    return at, unit(-np.sin(turn) * frame.front + np.cos(turn) * frame.left)
