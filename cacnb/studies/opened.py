"""One study for notebooks: its tables as frames, its scans and pictures; it changes nothing in it.

Everything is read when it is asked for, and only then is anything heavy imported; torch never is.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from cacnb.ct.volume import Volume
    from cacnb.studies.contact_sheet import ContactSheet
    from cacnb.studies.status import StudyStatus
    from cacnb.studies.table1 import Table1

#: The name that opens the embedded demo study, and where `cacnb demo` puts it.
DEMO, DEMO_OUT = "demo", Path("out") / "demo" / "study"

#: How many folders above the current one are looked into for it: notebooks run in one of their own.
FOLDERS_ABOVE = 3


@dataclass(frozen=True)
class Study:
    """A study folder, opened.

    Tables that a study does not have are empty frames.

    Parameters
    ----------
    folder
        With a `cohort.csv`.
    """

    folder: Path

    @property
    def name(self) -> str:
        """As `study.toml` says, else the folder's name."""
        from cacnb.labels.place import study_key

        return study_key(self.folder)

    @property
    def simulated(self) -> bool:
        """Whether its scans are simulated: say so with every number of it."""
        from cacnb.labels.place import study_toml

        return bool(study_toml(self.folder).get("simulated", False))

    @property
    def cohort(self) -> pd.DataFrame:
        """One row a scan, as `cohort.csv` has it, checked."""
        from cacnb.study.cohort import read_cohort

        return read_cohort(self.folder)

    @property
    def labels(self) -> pd.DataFrame:
        """Settled slice labels: `scan`, `slice`, `contains_cac`, `reader`."""
        from cacnb.labels.agreed import slice_labels

        return slice_labels(self.folder)

    @property
    def pairs(self) -> pd.DataFrame:
        """One row a pair: `pair`, `patient`, `first`, `second`, the second in breath-hold."""
        import pandas as pd

        cohort = self.cohort
        columns = ["pair", "patient", "first", "second"]
        if "pair" not in cohort:
            return pd.DataFrame(columns=columns)
        order = [name for name in ("breath_hold", "scan") if name in cohort]
        rows = [
            (pair, scans["patient"].iloc[0], *scans.sort_values(order)["scan"])
            for pair, scans in cohort.groupby("pair")
            if len(scans) == 2
        ]
        return pd.DataFrame(rows, columns=columns)

    @property
    def scores(self) -> pd.DataFrame:
        """One row a scored scan: `scan`, `verdict`, `reasons`, and each method's scores.

        For example `proposed_pseudo_mass_hu_mm3`, `clinical_agatston`; missing where refused.
        """
        import pandas as pd

        rows = []
        for scan in self.cohort["scan"].astype(str):
            file = self.folder / "scores" / f"{scan}.json"
            if file.is_file():
                rows.append(_score_row(scan, file))
        return pd.DataFrame(rows, columns=None if rows else ["scan", "verdict", "reasons"])

    @property
    def truth(self) -> pd.DataFrame:
        """What is true of each simulated scan: `scan`, `mass_mg`, `visible`."""
        return self._table("truth_scans.csv", ["scan", "mass_mg", "visible"])

    @property
    def true_lesions(self) -> pd.DataFrame:
        """What is true of each simulated lesion: `scan`, `lesion`, `artery`, `mass_mg` and more."""
        return self._table("truth_lesions.csv", ["scan", "lesion", "artery", "mass_mg"])

    def _table(self, file: str, columns: list[str]) -> pd.DataFrame:
        import pandas as pd

        path = self.folder / file
        if not path.is_file():
            return pd.DataFrame(columns=columns)
        return pd.read_csv(path, dtype={"scan": str})

    def scan(self, name: str) -> Volume:
        """A scan in HU on patient axes; raises InputError `missing` where there is none such."""
        from cacnb.ct.reading import read_scan

        _, volume = read_scan(self._path(name))
        return volume

    def heart(self, name: str) -> Volume | None:
        """A scan's heart mask on the scan's own grid; None where the study has none.

        Raises
        ------
        InputError
            `missing`, and as `read_mask`.
        """
        from cacnb.ct.reading import read_mask

        file = self.folder / "masks" / f"{name}.nii.gz"
        volume = self.scan(name)
        return read_mask(file, volume, may_be_empty=True) if file.is_file() else None

    def _path(self, name: str) -> Path:
        from cacnb.errors import InputError

        cohort = self.cohort.set_index("scan")
        if name not in cohort.index:
            raise InputError("missing", f"the study has no scan {name!r}: see its table `cohort`")
        return self.folder / str(cohort.loc[name, "path"])

    def status(self) -> StudyStatus:
        """What is there, what is missing, and which command fills it."""
        from cacnb.studies.status import study_status

        return study_status(self.folder)

    def table1(self) -> Table1:
        """Table 1 A, B and C of the paper for this study."""
        from cacnb.studies.table1 import table1

        return table1(self.folder)

    def contact_sheet(self, scans: list[str] | None = None, columns: int = 6) -> ContactSheet:
        """One heart slice of each scan with its verdict: some scans by name, or as many as fit."""
        from cacnb.studies.contact_sheet import contact_sheet

        return contact_sheet(self, scans, columns)


def open_study(folder: str | Path) -> Study:
    """Open a study folder, or with `"demo"` the embedded demo study (simulated).

    The demo study is the one that `cacnb demo` left under `out/demo` of the current folder or of
    one of the three above it, else it is simulated on first use, in about a minute, and kept in the
    user's cache folder.

    Raises
    ------
    InputError
        `no_study`, and as `read_cohort`.
    """
    from cacnb.study.cohort import read_cohort

    place = _demo_study() if str(folder) == DEMO else Path(folder)
    read_cohort(place)
    return Study(place)


def _demo_study() -> Path:
    for up in range(FOLDERS_ABOVE + 1):
        place = Path(*[".."] * up) / DEMO_OUT
        if (place / "cohort.csv").is_file():
            return place
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    study = cache / "cacnb" / "demo" / "study"
    if not (study / "cohort.csv").is_file():
        from cacnb.simulation.cohort import DEMO_PLAN, simulate_study

        # one process: a script without a main guard would start itself again in each other
        for _ in simulate_study(DEMO_PLAN, study, workers=1):
            pass
    return study


def _score_row(scan: str, file: Path) -> dict[str, object]:
    """A score file as one row: the scalars of each method, under the method's name."""
    found = json.loads(file.read_text(encoding="utf-8"))
    row: dict[str, object] = {
        "scan": scan, "verdict": found["verdict"],
        "reasons": "; ".join(reason["code"] for reason in found["reasons"]),
    }  # fmt: skip
    for method in ("proposed", "clinical"):
        for key, value in found.get(method, {}).items():
            if isinstance(value, int | float | str):
                row[f"{method}_{key}"] = value
    return row
