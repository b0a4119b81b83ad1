"""A simulated scan–rescan study on disk, with its truth; resumable; it does not train or score."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cacnb.ct.writing import write_dicom_series, write_image
from cacnb.errors import UsageError
from cacnb.files import write_atomically
from cacnb.simulation.coronaries import ARTERIES
from cacnb.simulation.lesions import BURDENS
from cacnb.simulation.scan import FieldOfView, Person, SimulatedScan, simulate_scan
from cacnb.simulation.scanner import PROTOCOLS


@dataclass(frozen=True)
class StudyPlan:
    """What to simulate: `pairs` people from `seed` on, each scanned in breath-hold and without.

    `form` is the file form of the images, "nifti" or "dicom"; `scans_per_person` 1 leaves out the
    rescan; `burden` names the population whose calcium the people carry, the protocol's own if
    None.
    """

    pairs: int
    seed: int
    protocol: str = "rtp"
    field_of_view: FieldOfView = "chest"
    form: str = "nifti"
    scans_per_person: int = 2
    burden: str | None = None

    def __post_init__(self) -> None:
        if self.pairs < 1:
            raise UsageError(f"--pairs is {self.pairs}: ask for at least 1")
        if self.seed < 0:
            raise UsageError(f"--seed is {self.seed}: give a number from 0 on")
        if self.protocol not in PROTOCOLS:
            raise UsageError(f"no protocol {self.protocol!r}: choose {', '.join(PROTOCOLS)}")
        if self.field_of_view not in ("chest", "heart"):
            raise UsageError(f"no field of view {self.field_of_view!r}: choose chest or heart")
        if self.scans_per_person not in (1, 2):
            raise UsageError(f"{self.scans_per_person} scans a person: choose 1 or 2")
        if self.burden is not None and self.burden not in BURDENS:
            raise UsageError(f"no burden {self.burden!r}: choose {', '.join(BURDENS)}")
        if self.form not in ("nifti", "dicom"):
            raise UsageError(f"no form {self.form!r}: choose nifti or dicom")

    def scans(self) -> list[tuple[int, bool]]:
        """Seed and breath-hold of every scan, in order."""
        holds = (True, False)[: self.scans_per_person]
        return [(self.seed + i, hold) for i in range(self.pairs) for hold in holds]


#: The demo's people: twelve from seed 500 on, as they come. Training saw seeds below 500.
DEMO_PLAN = StudyPlan(pairs=12, seed=500, protocol="rtp", field_of_view="heart")


def simulate_study(plan: StudyPlan, out: Path, *, workers: int | None = None) -> Iterator[str]:
    """Write a study folder and yield the name of each scan as it is finished.

    A scan whose record is already there is not simulated again. The tables are written last, from
    the records: `cohort.csv`, `slice_labels.csv`, `truth_scans.csv`, `truth_lesions.csv`.
    """
    prepare_study(out, _toml(plan))
    jobs = []
    for seed, hold in plan.scans():
        name = scan_name(seed, breath_hold=hold)
        if record_file(out, name).exists():
            yield name
        else:
            jobs.append((plan, out, seed, hold))
    count = min(workers or os.cpu_count() or 1, len(jobs))
    if count > 1:
        # Spawned, not forked: the caller may have threads (torch has).
        with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
            yield from pool.map(_one, jobs)
    else:
        yield from map(_one, jobs)
    write_tables(out)


def scan_name(seed: int, *, breath_hold: bool) -> str:
    """The name of a simulated scan, for example `sim00900_bh`."""
    return f"sim{seed:05d}_{'bh' if breath_hold else 'fb'}"


def record_file(out: Path, name: str) -> Path:
    """The file that says a scan is finished, and all that is true of it."""
    return out / "records" / f"{name}.json"


def _one(job: tuple[StudyPlan, Path, int, bool]) -> str:
    plan, out, seed, hold = job
    name = scan_name(seed, breath_hold=hold)
    person = Person.draw(seed, plan.protocol, plan.burden)
    scan = simulate_scan(person, breath_hold=hold, field_of_view=plan.field_of_view)
    write_scan(scan, name, out, form=plan.form, population=plan.protocol)
    return name


def prepare_study(out: Path, text: str) -> None:
    """Make a study's folders and `study.toml`; refuse a folder that holds another study."""
    for folder in (
        "scans", "masks", "lesion_regions", "clinical_lesions", "calcium", "records",
    ):  # fmt: skip
        (out / folder).mkdir(parents=True, exist_ok=True)
    plan_file = out / "study.toml"
    if plan_file.exists() and plan_file.read_text(encoding="utf-8") != text:
        raise UsageError(
            f"{out} holds another study than the one asked for: choose an empty folder, "
            "or repeat the call that made it"
        )
    write_atomically(text, plan_file)


def write_scan(scan: SimulatedScan, name: str, out: Path, *, form: str, population: str) -> None:
    """Write one scan of a study with all that is true of it; its record comes last.

    `name` is `<patient>_<which scan>`; a patient's scans are a pair.
    """
    path = _write_image(scan, name, out, form, population)
    write_image(scan.heart, out / "masks" / f"{name}.nii.gz")
    write_image(scan.regions, out / "lesion_regions" / f"{name}.nii.gz")
    write_image(scan.picked, out / "clinical_lesions" / f"{name}.nii.gz")
    calcium = np.rint(scan.coronary_calcium.array).astype(np.int16)
    write_image(scan.image.with_array(calcium), out / "calcium" / f"{name}.nii.gz")
    patient = name.split("_")[0]
    content = {
        "cohort": {
            "scan": name, "patient": patient, "pair": patient,
            "breath_hold": scan.breath_hold, "set": "simulated", "path": path,
            "kvp": scan.settings.kvp, "slices": scan.image.shape[0],
            "spacing_z_mm": scan.image.spacing_mm[0], "spacing_xy_mm": scan.image.spacing_mm[1],
            "slice_thickness_mm": scan.settings.thickness_mm, "protocol": population,
        },
        "slices": scan.visible.astype(int).tolist(),
        "truth": {"scan": name, "mass_mg": scan.mass_mg, "visible": bool(scan.visible.any())},
        "lesions": _lesion_rows(scan, name),
    }  # fmt: skip
    write_atomically(json.dumps(content), record_file(out, name))


def _write_image(scan: SimulatedScan, name: str, out: Path, form: str, population: str) -> str:
    if form == "nifti":
        write_image(scan.image, out / "scans" / f"{name}.nii.gz")
        return f"scans/{name}.nii.gz"
    shutil.rmtree(out / "scans" / name, ignore_errors=True)  # of a call that was stopped
    write_dicom_series(
        scan.image,
        out / "scans" / name,
        kvp=scan.settings.kvp,
        slice_thickness_mm=scan.settings.thickness_mm,
        patient_pseudonym=name.split("_")[0],
        description=f"cacnb simulated {population}",
        seed=name,
    )
    return f"scans/{name}"


def _lesion_rows(scan: SimulatedScan, name: str) -> list[dict[str, Any]]:
    """One row a coronary lesion: where it truly is, how much it is, and how bright it came out."""
    rows = []
    total = scan.coronary_calcium
    for number, lesion in enumerate(scan.person.lesions):
        if not lesion.is_coronary:
            continue
        centre = scan.centres_mm[number]
        index = np.rint(
            (centre - np.asarray(total.origin_mm)) / np.asarray(total.spacing_mm)
        ).astype(int)
        box = tuple(
            slice(max(0, i - round(9 / s)), max(0, i + round(9 / s) + 1))
            for i, s in zip(index, total.spacing_mm, strict=True)
        )
        here = total.array[box]
        bright = here > max(15.0, 0.5 * float(here.max(initial=0.0)))
        peak = float(scan.image.array[box][bright].max(initial=-1024)) if bright.any() else None
        z, y, x = (float(c) for c in centre)
        rows.append(
            {
                "scan": name,
                "lesion": number,
                "artery": lesion.place,
                "mass_mg": lesion.mass_mg,
                "volume_mm3": lesion.volume_mm3,
                "centre_mm": f"{x:.2f} {y:.2f} {z:.2f}",
                "peak_hu": peak,
            }
        )
    return rows


def write_tables(out: Path) -> None:
    """Write a study's tables from the records of its scans."""
    records = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((out / "records").glob("*.json"))
    ]
    slices = [
        {"scan": r["cohort"]["scan"], "slice": k, "contains_cac": label, "reader": "simulated"}
        for r in records
        for k, label in enumerate(r["slices"])
    ]
    lesions = [row for r in records for row in r["lesions"]]
    tables = {
        "cohort": pd.DataFrame([r["cohort"] for r in records]),
        "slice_labels": pd.DataFrame(slices),
        "truth_scans": pd.DataFrame([r["truth"] for r in records]),
        "truth_lesions": pd.DataFrame(
            lesions,
            columns=["scan", "lesion", "artery", "mass_mg", "volume_mm3", "centre_mm", "peak_hu"],
        ),
    }
    for name, table in tables.items():
        write_atomically(table.to_csv(index=False), out / f"{name}.csv")


def _toml(plan: StudyPlan) -> str:
    return (
        'name = "simulated"\nsimulated = true\n'
        'source = "cacnb simulate: every scan and number here is simulated"\n'
        f'protocol = "{plan.protocol}"\npairs = {plan.pairs}\nseed = {plan.seed}\n'
        f'field_of_view = "{plan.field_of_view}"\nform = "{plan.form}"\n'
        f"scans_per_person = {plan.scans_per_person}\n"
        f'burden = "{plan.burden or plan.protocol}"\n'
        f"arteries = {list(ARTERIES)}\n".replace("'", '"')
    )
