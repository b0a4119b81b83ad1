"""What each part of the method buys, on a few scans: its switches off one by one; none is trained.

Results are kept below `out/lessons`, so that a second run asks no network.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from cacnb.ct.grids import SLICE_GRID_MM, resample, resample_onto
from cacnb.ct.volume import Volume
from cacnb.files import write_atomically
from cacnb.lessons.asked_scans import packaged_weights, scan_and_heart
from cacnb.lessons.map_figures import negative_scans
from cacnb.lessons.missing import Missing
from cacnb.lessons.scored import clearest_scan, has_map
from cacnb.lessons.slice_view import LessonCanvas, slice_view
from cacnb.lessons.trainings import lesson_folder

if TYPE_CHECKING:
    from cacnb.studies import Study

#: The paper's switches (Figure 6), heart segmentation and slice classification, then ours.
FULL = "all parts"
SWITCHES: dict[str, dict[str, Any]] = {
    FULL: {},
    "no slice classification": {"use_slices": False},
    "no heart segmentation": {"use_heart": False},
    "neither": {"use_heart": False, "use_slices": False},
    "whole heart, not near arteries": {"near_arteries": False},
    "no least mass of a lesion": {"smallest_lesion_mass_hu_mm3": 0.0},
}

#: Scans without calcium that are taken beside the clearest one.
NEGATIVES = 1


@dataclass(frozen=True, eq=False)
class Switched:
    """One scan by every switch.

    Parameters
    ----------
    name
        The scan's.
    negative
        Whether it is known to show no CAC: then all that is found is false.
    image, heart
        The whole field of view that the networks saw, in HU, and the heart (bool) on that grid.
    maps
        By switch the map in HU on that grid.
    mass_hu_mm3
        By switch the pseudo-mass that is scored.
    """

    name: str
    negative: bool
    image: Volume
    heart: Volume
    maps: dict[str, Volume]
    mass_hu_mm3: dict[str, float]

    def added(self, switch: str) -> NDArray[np.float32]:
        """The map by a switch in HU where all parts show 0; without the heart, off the heart."""
        known = self.maps[FULL].array > 0
        if not SWITCHES[switch].get("use_heart", True):
            known = known | self.heart.array
        return np.where(known, np.float32(0), self.maps[switch].array)

    def added_hu_mm3(self, switch: str) -> float:
        """The pseudo-mass of `added`."""
        return float(self.added(switch).sum(dtype=np.float64)) * self.image.voxel_volume_mm3


@dataclass(frozen=True, eq=False)
class SwitchedScans:
    """A few scans of a study by every switch; `simulated` as the study."""

    scans: tuple[Switched, ...]
    simulated: bool

    @property
    def table(self) -> pd.DataFrame:
        """Pseudo-mass in HU·mm³ by switch and scan."""
        rows = {
            f"{scan.name}, {'no CAC' if scan.negative else 'with CAC or unknown'}": {
                switch: round(mass) for switch, mass in scan.mass_hu_mm3.items()
            }
            for scan in self.scans
        }
        kind = "simulated scan" if self.simulated else "scan"
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis(kind).T

    def show(self, switch: str) -> LessonCanvas | Missing:
        """The scan to which a switch adds most: both maps of it, at the slice with most new.

        A scan without CAC goes before others, since all in it is false.
        """
        added = [(scan.negative, scan.added_hu_mm3(switch), scan) for scan in self.scans]
        added = [each for each in added if each[1] > 0]
        if not added:
            place = "" if SWITCHES[switch].get("use_heart", True) else " off the heart"
            return Missing(f"{switch}: it adds nothing{place} in these {len(self.scans)} scans")
        _, most, scan = max(added, key=itemgetter(0, 1))
        z = int(np.argmax(scan.added(switch).sum(axis=(1, 2))))
        captions = (FULL.capitalize(), switch.capitalize())
        kind = "simulated scan" if self.simulated else "scan"
        return slice_view(
            dict.fromkeys(captions, scan.image),
            cac_map={captions[0]: scan.maps[FULL], captions[1]: scan.maps[switch]},
            labels=_outline(scan.heart),
            start_mm=float(scan.image.axis_mm(0)[z]),
            title=f"{scan.name}{' (simulated)' if self.simulated else ''}",
            alt=(
                f"One slice of the {kind} {scan.name} with the heart's outline and the CAC map, "
                f"with {FULL} and with {switch}: it adds {most:,.0f} HU·mm³ in places where the "
                "whole method shows nothing."
            ),
        )


def switch_parts_off(study: Study, negatives: int = NEGATIVES) -> SwitchedScans:
    """Score the clearest scan, and some without calcium, with each part of the method left out.

    The scans without calcium are those with most in the map, then those where the slice classifier
    was least sure: hard ones, and no sample of all. Where no scan is known to show none, the
    clearest scan stands alone. It takes some ten seconds a scan on a CPU the first time.

    Raises
    ------
    InputError
        `not_scored` where no scan of the study is scored.
    """
    clearest = clearest_scan(study)
    known = set(negative_scans(study))
    hard = [name for name in _hardest(study, known) if name != clearest][:negatives]
    scans = tuple(_switched(study, name, negative=name in known) for name in (clearest, *hard))
    return SwitchedScans(scans, study.simulated)


def _hardest(study: Study, known: Iterable[str]) -> list[str]:
    """Scored scans of some names: most in the map first, then the highest probability of CAC."""
    hard = {}
    for name in known:
        if has_map(study, name):
            file = study.folder / "scores" / f"{name}.json"
            told = json.loads(file.read_text(encoding="utf-8"))
            highest = max((p for p in told["probability_of_cac"] if p is not None), default=0.0)
            hard[name] = (-told["proposed"]["pseudo_mass_hu_mm3"], -highest, name)
    return sorted(hard, key=hard.__getitem__)


def _switched(study: Study, name: str, *, negative: bool) -> Switched:
    """A scan by every switch, from what is kept of it or anew."""
    kept = _kept_file(study, name)
    if not kept.is_file():
        write_atomically(_asked(study, name), kept)
    image = resample(volume := study.scan(name), (SLICE_GRID_MM[0], *volume.spacing_mm[1:]))
    with np.load(kept) as found:
        return Switched(
            name, negative, image, image.with_array(found["heart"]),
            {switch: image.with_array(found[f"map_{i}"]) for i, switch in enumerate(SWITCHES)},
            dict(zip(SWITCHES, found["mass_hu_mm3"].tolist(), strict=True)),
        )  # fmt: skip


def _kept_file(study: Study, name: str) -> Path:
    """Where a scan's maps are kept: others for other weights and for another result of the scan."""
    result = (study.folder / "scores" / f"{name}.json").read_bytes()
    made_with = hashlib.sha256(result + packaged_weights().sha256.encode()).hexdigest()[:8]
    return lesson_folder(study) / "switches" / f"{name}-{made_with}.npz"


def _asked(study: Study, name: str) -> bytes:
    """The maps of a scan by every switch, packed: its heart and its whole field are asked once."""
    from cacnb.evaluation.map_steps import ask_networks, map_steps
    from cacnb.pipeline import Options

    volume, heart = scan_and_heart(study, name)
    answers = {
        use_heart: ask_networks(volume, heart, packaged_weights(), use_heart=use_heart)
        for use_heart in (True, False)
    }
    found = [
        map_steps(answers[options.use_heart], options)
        for options in (Options(**switch) for switch in SWITCHES.values())
    ]
    packed = io.BytesIO()
    np.savez_compressed(
        packed,
        heart=resample_onto(heart, answers[True].image).array,
        mass_hu_mm3=np.array([steps.proposed.pseudo_mass_hu_mm3 for steps in found]),
        **{f"map_{i}": steps.cac_map.array for i, steps in enumerate(found)},  # type: ignore[arg-type]
    )
    return packed.getvalue()


def _outline(heart: Volume) -> Volume:
    """The rim of a mask in each slice, as wide as can be seen."""
    cross = ndimage.generate_binary_structure(3, 1)
    cross[[0, 2]] = False
    inner = ndimage.binary_erosion(heart.array, cross)
    return heart.with_array(heart.array & ~inner)
