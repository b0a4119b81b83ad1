"""A scan with its verdict, map and scores, as handed from pipeline to people; it scores nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cacnb.ct.verdict import Reason, Verdict, verdict_of
from cacnb.ct.volume import Volume
from cacnb.scoring.clinical import ClinicalScores
from cacnb.scoring.proposed import ProposedScores

#: Stages that a scan's time is told for.
STAGES = ("read", "heart", "slices", "map", "scores")

#: Stands for a volume that was let go.
EMPTY = Volume(np.zeros((0, 0, 0), np.int32), (1.0, 1.0, 1.0))


@dataclass(frozen=True, eq=False)
class ScoredImages:
    """The images of a scored scan on the map's grid: the scan's own in-plane, slices 1.5 mm apart.

    `image` and `cac_map` in HU; bool are `heart` and what the clinical score counts.
    """

    image: Volume
    heart: Volume
    cac_map: Volume
    clinical_labels: Volume


@dataclass(frozen=True)
class ScoredScan:
    """A scan, what was found in it, and how long that took.

    `image`, `heart`, `cac_map` share one grid: the scan's own in-plane, slices 1.5 mm apart.
    `probability_of_cac` is one number a slice of it, NaN off the heart. A refused scan has
    reasons and nothing else.
    """

    path: Path
    series_uid: str | None
    reasons: tuple[Reason, ...]
    seconds: dict[str, float]
    weights: dict[str, Any]
    image: Volume | None = None
    heart: Volume | None = None
    probability_of_cac: NDArray[np.float32] | None = None
    cac_map: Volume | None = None
    proposed: ProposedScores | None = None
    clinical: ClinicalScores | None = None
    clinical_labels: Volume | None = None
    name: str = ""

    @property
    def verdict(self) -> Verdict:
        """Usable, warned or refused."""
        return verdict_of(self.reasons)

    def without_images(self) -> ScoredScan:
        """The same result without its volumes, for lists of many scans."""
        return replace(
            self, image=None, heart=None, cac_map=None, clinical_labels=None,
            proposed=self.proposed and replace(self.proposed, lesion_labels=EMPTY),
            clinical=self.clinical and replace(self.clinical, lesion_labels=EMPTY),
        )  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        """One element of `scans` of `cacnb score --json`."""
        out: dict[str, Any] = {
            "path": str(self.path),
            "series_uid": self.series_uid,
            "verdict": self.verdict,
            "reasons": [{"code": r.code, "message": r.message} for r in self.reasons],
            "seconds": {k: round(v, 3) for k, v in self.seconds.items()},
            "weights": self.weights,
        }
        if self.proposed is not None and self.clinical is not None:
            proposed, clinical = self.proposed.as_json(), self.clinical.as_json()
            out["lesions"] = proposed.pop("lesions")
            clinical["lesions"] = clinical.pop("lesions")
            out["proposed"], out["clinical"] = proposed, clinical
        if self.probability_of_cac is not None:
            out["probability_of_cac"] = [
                None if np.isnan(p) else round(float(p), 4) for p in self.probability_of_cac
            ]
        return out
