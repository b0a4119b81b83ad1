"""Real scans that a reader may have: the QRM phantom and public series; none come with us."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from cacnb.ct.reading import read_scan
from cacnb.lessons.inspected import inspected
from cacnb.lessons.missing import Missing
from cacnb.scoring.clinical import score_clinically
from cacnb.scoring.conventions import convention
from cacnb.simulation.lesions import hu_mm3_per_mg

#: The environment variable that names the folder of real scans, and where it is looked for without.
DATA_VARIABLE, DATA_FOLDER = "CACNB_DATA", Path("data")

#: So much of a file's place is shown.
LONGEST = 48

#: The folder of the QRM thorax phantom's scan in it (MolloiLab's, MIT licence), its calcium
#: slices, and each insert's centre (row, column) and the radius looked at in pixels, by diameter
#: in mm and mg/cm³ of hydroxyapatite. A cylinder is as long as it is wide.
PHANTOM, CALCIUM_SLICES = "qrm_thorax_phantom", slice(20, 25)
INSERTS = {
    (5, 800): (220, 180, 12), (5, 400): (151, 291, 12), (5, 200): (281, 299, 12),
    (3, 800): (221, 206, 9), (3, 400): (173, 280, 9), (3, 200): (260, 285, 9),
    (1, 800): (220, 231, 5), (1, 400): (195, 268, 5), (1, 200): (239, 271, 5),
}  # fmt: skip


def real_data() -> Path | Missing:
    """The folder of real scans: that of `CACNB_DATA`, else `data` beside the notebooks."""
    named = os.environ.get(DATA_VARIABLE)
    folder = Path(named) if named else DATA_FOLDER
    if folder.is_dir():
        return folder
    looked = f"the folder that {DATA_VARIABLE} names" if named else f"{DATA_FOLDER}/ beside this"
    return Missing(
        f"no real scan is here: looked for {looked}. Fetch public series with `cacnb fetch "
        f"data_manifests/lctsc_heart.csv --out data/lctsc`, or set {DATA_VARIABLE} to their folder"
    )


def inspected_public() -> pd.DataFrame | Missing:
    """Every series in the folder of real scans: `where`, `slices`, `verdict` and `code`."""
    folder = real_data()
    if isinstance(folder, Missing):
        return folder
    found = inspected(folder)
    where = found["where"].where(
        found["where"].str.len() <= LONGEST, found["where"].str[:LONGEST] + "…"
    )
    return found.assign(where=where)[["where", "slices", "verdict", "code"]]


def phantom_scores() -> pd.DataFrame | Missing:
    """The clinical scores of the QRM phantom's nine inserts, beside what they are made of.

    Returns
    -------
    DataFrame
        A row an insert: `diameter_mm`, `mg_cm3`, `true_mg`, and its `agatston`, `volume_mm3`,
        `true_mm3`, `peak_hu` and `clinical_mg` by the literature convention.
    """
    folder = real_data()
    if isinstance(folder, Missing):
        return folder
    if not (folder / PHANTOM).is_dir():
        return Missing(f"the QRM phantom is not here: its series was looked for in {PHANTOM}/")
    series, volume = read_scan(folder / PHANTOM)
    rows, columns = np.ogrid[: volume.shape[1], : volume.shape[2]]
    found = []
    for (diameter, density), (row, column, radius) in INSERTS.items():
        region = np.zeros(volume.shape, dtype=bool)
        region[CALCIUM_SLICES] = (rows - row) ** 2 + (columns - column) ** 2 <= radius**2
        scores = score_clinically(
            volume,
            volume.with_array(region),
            convention(),
            slice_thickness_mm=series.slice_thickness_mm,
            calibration_mg_per_hu_mm3=1 / hu_mm3_per_mg(series.kvp or 120.0),
        )
        true_mm3 = np.pi / 4 * diameter**3
        found.append({
            "diameter_mm": diameter, "mg_cm3": density, "true_mg": true_mm3 * density / 1000,
            "true_mm3": true_mm3, "agatston": scores.agatston, "volume_mm3": scores.volume_mm3,
            "peak_hu": float(volume.array[region].max()), "clinical_mg": scores.mass_mg,
        })  # fmt: skip
    return pd.DataFrame(found).round(1)
