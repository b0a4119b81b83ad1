"""Table 1 and the state of a study as tables of a lesson, beside the paper's; it counts nothing."""

from __future__ import annotations

import pandas as pd

from cacnb.studies.status import StudyStatus
from cacnb.studies.table1 import Table1
from cacnb.studies.table1_words import ALL, sections

#: Table 1 A and B as the paper prints them: patients, scans in breath-hold and without, and which
#: annotations every scan of the set has. NLST scans are of one breath-hold each.
PAPER_SETS = {
    "NLST_train": (626, 626, 0, ("Per-slice CAC",)),
    "RTP_train": (514, 0, 514, ("Per-slice CAC",)),
    "RTP_trainHS": (120, 0, 120, ("Heart segm.",)),
    "RTP_val": (100, 100, 100, ("Per-slice CAC",)),
    "RTP_testHS": (79, 0, 79, ("Heart segm.",)),
    "RTP_test1": (119, 119, 119, ("Per-slice CAC",)),
    "RTP_testlesions": (34, 34, 34, ("Per-slice CAC", "Lesion regions")),
    "RTP_test2": (1543, 1543, 1543, ()),
}

#: Headings of parts A and B that are shown.
ANNOTATIONS = ("Heart segm.", "Per-slice CAC", "Lesion regions", "Clinical lesions")


def table1_frame(table: Table1) -> pd.DataFrame:
    """Table 1 of a study, a row a set, its lettered parts side by side over the columns."""
    parts = []
    for section in sections(table):
        cells = {name: row for rows in section.parts.values() for name, row in rows}
        heads = [heading.replace("\n", ", ") for heading in section.headings]
        columns = pd.MultiIndex.from_product([[f"{section.letter}. {section.title}"], heads])
        parts.append(pd.DataFrame(list(cells.values()), index=list(cells), columns=columns))
    said = " (simulated)" if table.simulated and "simulated" not in table.study else ""
    return pd.concat(parts, axis=1).rename_axis(f"study {table.study}{said}")


def paper_table1() -> pd.DataFrame:
    """Table 1 A and B as the paper prints them, a row a set."""
    rows = {
        name: {
            "Patients": f"{patients:,}", "Scans": f"{held + free:,}",
            "BH": f"{held:,}" if held else "", "nonBH": f"{free:,}" if free else "",
            **{kind: ALL if kind in has else "" for kind in ANNOTATIONS[:3]},
        }
        for name, (patients, held, free, has) in PAPER_SETS.items()
    }  # fmt: skip
    return pd.DataFrame(rows).T.rename_axis("paper, Table 1")


def status_frame(status: StudyStatus) -> pd.DataFrame:
    """What a study has, stage by stage, and which command fills what is missing."""
    rows = [
        {
            "stage": stage.name, "done": stage.done, "of": stage.of,
            "first missing": ", ".join(stage.missing[:2]), "command": stage.command,
        }
        for stage in status.stages
    ]  # fmt: skip
    return pd.DataFrame(rows).set_index("stage")
