"""A small study of round hearts in air, for tests of what lessons show."""

from pathlib import Path

import numpy as np
import pandas as pd

from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_image
from cacnb.studies import Study, open_study

SPACING_MM = (3.0, 3.0, 3.0)

#: Slices of a scan, and those of them that the heart is on.
SLICES, HEART = 40, range(8, 33)

#: Slices with CAC of the first scan of each patient but the last, near the heart's upper end.
WITH_CAC = range(27, 30)


def write_round_study(folder: Path, *, patients: int = 3, masks: bool = True) -> Study:
    """Two scans a patient; the first shows CAC, but for the last patient's; with known calcium."""
    z, y, x = np.ogrid[-20:20, -24:24, -24:24]
    rows, labels = [], []
    for i in range(2 * patients):
        name, heart = f"p{i // 2}_{i % 2}", z**2 + y**2 + (x - i % 2) ** 2 <= 12**2
        has_cac = i % 2 == 0 and i // 2 < patients - 1
        calcium = np.zeros(heart.shape, np.int16)
        if has_cac:
            calcium[WITH_CAC.start : WITH_CAC.stop, 22:25, 22:25] = 300
        image = Volume(np.where(heart, 40, -800).astype(np.int16) + calcium, SPACING_MM)
        write_image(image, folder / "scans" / f"{name}.nii.gz")
        write_image(image.with_array(calcium), folder / "calcium" / f"{name}.nii.gz")
        if masks:
            mask = image.with_array(heart.astype(np.uint8))
            write_image(mask, folder / "masks" / f"{name}.nii.gz")
        rows.append({"scan": name, "patient": f"p{i // 2}", "path": f"scans/{name}.nii.gz"})
        labels += [
            {"scan": name, "slice": k, "contains_cac": int(has_cac and k in WITH_CAC)}
            for k in range(SLICES)
        ]
    pd.DataFrame(rows).to_csv(folder / "cohort.csv", index=False)
    table = pd.DataFrame(labels).assign(reader="one")
    table.to_csv(folder / "slice_labels.csv", index=False)
    return open_study(folder)
