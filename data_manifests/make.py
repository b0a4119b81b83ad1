"""Write the manifests beside this file from the index that comes with idc-index; no network.

    python data_manifests/make.py

The index lists every public series of the Imaging Data Commons with its size, licence and DOI, and
no pixel: what it cannot tell of a series, no row here claims.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import idc_index_data
import pandas as pd

HERE = Path(__file__).parent

#: Columns of every manifest, in this order; README.md says what each means.
COLUMNS = (
    "collection", "patient", "study_uid", "series_uid", "modality", "role", "of_series", "set",
    "pair", "breath_hold", "kernel", "kvp", "slice_thickness_mm", "files", "size_mb", "licence",
    "doi", "url", "note",
)  # fmt: skip

#: How the index calls what we take over as it is.
_FROM_INDEX = {
    "collection_id": "collection", "PatientID": "patient", "StudyInstanceUID": "study_uid",
    "SeriesInstanceUID": "series_uid", "Modality": "modality", "instanceCount": "files",
    "series_size_MB": "size_mb", "license_short_name": "licence", "source_DOI": "doi",
    "series_aws_url": "url",
}  # fmt: skip

#: Subjects of NLST_train (section 2).
NLST_SUBJECTS = 626

#: Of each vendor at least so many: the paper's scans come from all major vendors.
LEAST_OF_A_VENDOR = 30

#: An NLST series describes itself by comma-separated words; these are their meanings, in order
#: (image type "OPA" is original, primary, axial).
NLST_WORDS = (
    "study_year", "image_type", "vendor", "model", "kernel", "field_of_view_mm",
    "slice_thickness_mm", "kvp",
)  # fmt: skip

#: Kernels for soft tissue of each vendor in NLST.
SOFT_KERNELS = {
    "GE": ("STANDARD",), "SE": ("B20f", "B30f", "B31f"), "PH": ("A", "B", "C"),
    "TO": ("FC01", "FC02", "FC10"),
}  # fmt: skip

#: Slice thickness of section 2, mm; tube voltages of section 2, kV.
THICKNESS_MM, KVP = (1.0, 2.5), (120, 140)

#: At least so many slices, and so many mm if they do not overlap: less is not a whole chest.
LEAST_SLICES, LEAST_LENGTH_MM = 80, 160

#: Implicit and explicit little endian: read the same way everywhere.
PLAIN_SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")

#: The original scan–rescan studies of RIDER Lung CT; other studies of the collection are later
#: uploads of the same patients in many reconstructions.
RIDER_REPEATS = "1.3.6.1.4.1.9328."

#: What the series of the breathing collection are, by the start of their description.
BREATHING = {
    "CT Lung": (False, "free breathing, for the PET's attenuation"),
    "Thorax Insp": (True, "deep inspiration"),
    "Thorax Exp": (None, "expiration: no pair, it is neither of the paper's two"),
}


def nlst_train(index: pd.DataFrame) -> pd.DataFrame:
    """One soft-kernel baseline scan of each of 626 NLST subjects, and its TotalSegmentator mask."""
    chosen = drawn_subjects(nlst_candidates(index))
    masks = chosen.assign(
        series_uid=chosen["mask_uid"], modality="SEG", role="heart_mask",
        of_series=chosen["series_uid"], files=1, size_mb=chosen["mask_mb"],
        licence=chosen["mask_licence"], doi=chosen["mask_doi"], url=chosen["mask_url"],
        kernel=None, kvp=None, slice_thickness_mm=None,
        note="TotalSegmentator 1.5.6, one segment of many is the heart's",
    )  # fmt: skip
    scans = chosen.assign(role="scan", note=None)
    return pd.concat([scans, masks]).assign(set="NLST_train", breath_hold=True)


def nlst_candidates(index: pd.DataFrame) -> pd.DataFrame:
    """Every NLST series that could be the subject's one, with the segmentation made of it."""
    nlst = index[index["collection_id"] == "nlst"]
    original = nlst[(nlst["Modality"] == "CT") & nlst["analysis_result_id"].isna()]
    scans = original[original["SeriesDescription"].str.startswith("0,OPA,", na=False)]
    words = scans["SeriesDescription"].str.split(",", expand=True)[[*range(len(NLST_WORDS))]]
    words.columns = pd.Index(NLST_WORDS)
    for name in ("field_of_view_mm", "slice_thickness_mm", "kvp"):
        words[name] = pd.to_numeric(words[name], errors="coerce").astype(float)
    scans = scans.join(words)
    vendor_and_kernel = scans["vendor"].str.cat(scans["kernel"], sep=" ")
    soft = vendor_and_kernel.isin(
        [f"{vendor} {kernel}" for vendor, kernels in SOFT_KERNELS.items() for kernel in kernels]
    )
    scans = scans[
        soft
        & (scans["study_year"] == "0") & (scans["image_type"] == "OPA")
        & scans["kvp"].isin(KVP) & scans["slice_thickness_mm"].between(*THICKNESS_MM)
        & (scans["instanceCount"] >= LEAST_SLICES)
        & (scans["instanceCount"] * scans["slice_thickness_mm"] >= LEAST_LENGTH_MM)
        & scans["TransferSyntaxUID"].isin(PLAIN_SYNTAXES)
        & ~scans["PixelRepresentation"].str.contains(",", na=True)
    ]  # fmt: skip
    masks = nlst[
        (nlst["Modality"] == "SEG")
        & (nlst["analysis_result_id"] == "totalsegmentator_ct_segmentations")
    ]
    made_of = masks["SeriesDescription"].str.extract(r"Segmentation of Series (\d+)$")[0]
    masks = masks.assign(SeriesNumber=made_of)
    same = ["StudyInstanceUID", "SeriesNumber"]
    # a series number that a study has twice does not say which of the two was segmented
    unclear = original[original.duplicated(same, keep=False)]["SeriesInstanceUID"]
    scans = scans[~scans["SeriesInstanceUID"].isin(unclear)]
    masks = masks[~masks.duplicated(same, keep=False)]
    renamed = {
        "SeriesInstanceUID": "mask_uid", "series_size_MB": "mask_mb", "series_aws_url": "mask_url",
        "license_short_name": "mask_licence", "source_DOI": "mask_doi",
    }  # fmt: skip
    return scans.merge(masks[[*same, *renamed]].rename(columns=renamed), on=same).rename(
        columns=_FROM_INDEX
    )


def drawn_subjects(candidates: pd.DataFrame) -> pd.DataFrame:
    """One series of each of 626 subjects, vendors in the share that they have among all subjects.

    Drawn by the hash of the subject's public number: a later index that adds subjects moves few.
    """
    drawn = candidates.assign(
        lot=[_lot(patient) for patient in candidates["patient"]],
        of_series_lot=[_lot(uid) for uid in candidates["series_uid"]],
    )
    drawn = drawn.sort_values(["lot", "of_series_lot"]).drop_duplicates("patient")
    of_vendor = drawn["vendor"].value_counts()
    rare = of_vendor[of_vendor / of_vendor.sum() * NLST_SUBJECTS < LEAST_OF_A_VENDOR].index
    quota = dict.fromkeys(rare, LEAST_OF_A_VENDOR)
    rest, common = NLST_SUBJECTS - sum(quota.values()), of_vendor.drop(rare)
    for vendor, count in (common / common.sum() * rest).round().astype(int).items():
        quota[vendor] = count
    quota[common.index[0]] += NLST_SUBJECTS - sum(quota.values())
    chosen = [rows.head(quota[vendor]) for vendor, rows in drawn.groupby("vendor")]
    return pd.concat(chosen)


def _lot(name: str) -> str:
    return hashlib.sha256(f"cacnb {name}".encode()).hexdigest()


def lctsc(index: pd.DataFrame) -> pd.DataFrame:
    """The 60 planning CTs of LCTSC and their RTSTRUCTs, each with a Heart contour."""
    rows = index[index["collection_id"] == "lctsc"].rename(columns=_FROM_INDEX)
    scans = rows[rows["modality"] == "CT"].set_index("study_uid")["series_uid"]
    is_scan = rows["modality"] == "CT"
    training = rows["patient"].str.startswith("LCTSC-Train")
    return rows.assign(
        role=is_scan.map({True: "scan", False: "heart_mask"}),
        of_series=rows["study_uid"].map(scans).mask(is_scan),
        set=training.map({True: "RTP_trainHS", False: "RTP_testHS"}),
        note=pd.Series("structure Heart", rows.index).mask(is_scan),
    )


def rider_pairs(index: pd.DataFrame) -> pd.DataFrame:
    """RIDER Lung CT: two scans of a patient within 15 minutes, same scanner and settings."""
    rows = index[
        (index["collection_id"] == "rider_lung_ct") & (index["Modality"] == "CT")
        & index["StudyInstanceUID"].str.startswith(RIDER_REPEATS)
    ].rename(columns=_FROM_INDEX)  # fmt: skip
    rows = rows[rows.groupby("patient")["series_uid"].transform("size") == 2]
    counts = rows.groupby("patient")["files"]
    unequal = counts.transform("min") / counts.transform("max") < 0.9
    other_day = rows.groupby("patient")["StudyDate"].transform("nunique") > 1
    notes = unequal.map({True: "slice counts differ by more than 10 %", False: ""}).str.cat(
        other_day.map({True: "dates in the index differ", False: ""}), sep="; "
    )
    return rows.assign(
        role="scan", set="RTP_test2", pair=rows["patient"], breath_hold=True,
        note=notes.str.strip("; ").replace("", None),
    )  # fmt: skip


def breathing_pairs(index: pd.DataFrame) -> pd.DataFrame:
    """CT-vs-PET-Ventilation-Imaging: free breathing and deep inspiration of a patient.

    Its 4D-CTs are left out: five phases of breathing in one series are no volume.
    """
    rows = index[
        (index["collection_id"] == "ct_vs_pet_ventilation_imaging") & (index["Modality"] == "CT")
    ].rename(columns=_FROM_INDEX)
    described = rows["SeriesDescription"].str.extract(r"^(CT Lung|Thorax Insp|Thorax Exp)")[0]
    rows, described = rows[described.notna()], described.dropna()
    hold = described.map({name: hold for name, (hold, _) in BREATHING.items()})
    paired = hold.notna() & (hold.notna().groupby(rows["patient"]).transform("sum") == 2)
    words = rows["SeriesDescription"].str.extract(r"(?P<mm>[\d.]+)\s+(?P<kernel>B\d+\w)")
    return rows.assign(
        role="scan", set="RTP_test2", pair=rows["patient"].where(paired), breath_hold=hold,
        kernel=words["kernel"], slice_thickness_mm=words["mm"].astype(float),
        note=described.map({name: note for name, (_, note) in BREATHING.items()}),
    )  # fmt: skip


#: File name of each manifest and what fills it.
MANIFESTS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "nlst_train.csv": nlst_train,
    "lctsc_heart.csv": lctsc,
    "rider_lung_repeats.csv": rider_pairs,
    "ct_vs_pet_breathing.csv": breathing_pairs,
}


def packaged_index() -> pd.DataFrame:
    """The rows of the index that a manifest may take, as idc-index ships it."""
    wanted = ("nlst", "lctsc", "rider_lung_ct", "ct_vs_pet_ventilation_imaging")
    columns = [
        *_FROM_INDEX, "analysis_result_id", "SeriesNumber", "SeriesDescription", "StudyDate",
        "TransferSyntaxUID", "PixelRepresentation",
    ]  # fmt: skip
    return pd.read_parquet(
        idc_index_data.IDC_INDEX_PARQUET_FILEPATH,
        columns=columns,
        filters=[
            ("collection_id", "in", wanted),
            ("Modality", "in", ("CT", "SEG", "RTSTRUCT")),
        ],
    )


def manifest(name: str, index: pd.DataFrame) -> pd.DataFrame:
    """One manifest with every column, sorted so that two runs give the same file."""
    rows = MANIFESTS[name](index).reindex(columns=[*COLUMNS])
    rows["size_mb"] = rows["size_mb"].astype(float).round(3)
    return rows.sort_values(["patient", "role", "series_uid"], ascending=[True, False, True])


def main() -> None:
    """Write every manifest and say what is in it."""
    index = packaged_index()
    for name in MANIFESTS:
        rows = manifest(name, index)
        rows.to_csv(HERE / name, index=False, lineterminator="\n")
        sys.stdout.write(
            f"{name}: {len(rows)} series of {rows['patient'].nunique()} patients, "
            f"{rows['size_mb'].sum() / 1000:.1f} GB\n"
        )


if __name__ == "__main__":
    main()
