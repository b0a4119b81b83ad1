"""Figure 6 on many simulated scans: the ablation of docs/evidence.md beside the paper's."""

from __future__ import annotations

from typing import Any

import pandas as pd

from cacnb.export.chart_ablation import SETTINGS, ablation_detection_chart
from cacnb.lessons.evidence import evidence
from cacnb.lessons.figure import Figure

#: How the heading of the ablation's table begins.
TABLE = "Figure 6"

#: The paper's share of scans without visible CAC in which something is found, by heart
#: segmentation and slice classification; section 5.4 prints these three (RTP_test1).
PAPER_FALSE_POSITIVE_RATE = {(True, True): 0.14, (True, False): 1.00, (False, False): 0.57}


def ablation_beside_paper() -> pd.DataFrame:
    """Detection with and without each of the paper's two parts, simulated, beside the paper's."""
    rows = _rows()
    table = pd.DataFrame(
        {
            "parts": [SETTINGS[row["heart"], row["slices"]][0] for row in rows],
            "simulated scans": [row["n_scans"] for row in rows],
            "sensitivity": [row["sensitivity"] for row in rows],
            "F1": [row["f1"] for row in rows],
            "false positive rate": [row["false_positive_rate"] for row in rows],
            "paper, false positive rate": [
                PAPER_FALSE_POSITIVE_RATE.get((row["heart"], row["slices"])) for row in rows
            ],
        }
    )
    return table.set_index("parts").round(2)


def ablation_chart() -> Figure:
    """The same as bars (Figure 6A)."""
    rows = _rows()
    false = "; ".join(
        f"{SETTINGS[row['heart'], row['slices']][0]}: {row['false_positive_rate']:.2f}"
        for row in rows
    )
    return Figure(
        ablation_detection_chart(rows, [], simulated=True),
        "Sensitivity, false positive rate and F1 score with and without heart segmentation (HS) "
        f"and slice classification (CL), {rows[0]['n_scans']} simulated scans. False positive "
        f"rates: {false}.",
    )


def _rows() -> list[dict[str, Any]]:
    """The rows of the evidence's table, keys as an evaluation has them."""
    table = evidence(TABLE).rename(columns={"n scans": "n_scans"})
    table = table.rename(columns={"false positive rate": "false_positive_rate"})
    for part in ("heart", "slices"):
        table[part] = table[part].astype(str) == "True"
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
