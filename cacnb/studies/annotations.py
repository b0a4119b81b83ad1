"""What a study's scans have by now, scan by scan; it does not know what they still need."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cacnb.labels.agreed import slice_labels

#: Which image of a scan each folder holds.
IMAGES = {"heart": "masks", "regions": "lesion_regions", "clinical": "clinical_lesions"}

#: Networks of the pipeline, as `cacnb train` names them.
NETWORKS = ("heart", "slices", "decomposition", "clinical")


def annotated_scans(study: Path, cohort: pd.DataFrame) -> pd.DataFrame:
    """Which annotations and results each scan has.

    Parameters
    ----------
    study
        A study folder.
    cohort
        As `read_cohort` gives it.

    Returns
    -------
    DataFrame
        By scan, in the cohort's order, bool: `on_disk` (its files are there), `heart` (a mask),
        `labelled` (settled slice labels), `regions`, `clinical` (images of painted regions, of
        picked lesions), `scored`; and `visible`: a slice shows CAC, missing where not labelled.

    Raises
    ------
    InputError
        As `slice_labels`.
    """
    scans = cohort["scan"].astype(str).tolist()
    paths = cohort["path"].astype(str).tolist()
    found = pd.DataFrame(index=pd.Index(scans, name="scan", dtype=str))
    found["on_disk"] = [(study / path).exists() for path in paths]
    for name, folder in IMAGES.items():
        found[name] = [(study / folder / f"{scan}.nii.gz").is_file() for scan in scans]
    labels = slice_labels(study)
    seen = labels.groupby(labels["scan"].astype(str))["contains_cac"].max()
    found["labelled"] = found.index.isin(seen.index)
    found["visible"] = (seen.reindex(found.index) > 0).astype("boolean").where(found["labelled"])
    found["scored"] = [(study / "scores" / f"{scan}.json").is_file() for scan in scans]
    return found


def with_annotations(study: Path, cohort: pd.DataFrame) -> pd.DataFrame:
    """The cohort with the columns of `annotated_scans`, in the place of any of those names."""
    has = annotated_scans(study, cohort)
    return cohort.drop(columns=[name for name in has if name in cohort]).join(has, on="scan")
