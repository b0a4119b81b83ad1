"""The evidence of a study as one page that prints, its figures and tables as files beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cacnb.errors import UsageError
from cacnb.export.chart_files import inline_svg, save_chart
from cacnb.export.chart_words import LOOKS
from cacnb.export.page import rendered
from cacnb.export.paper_tables import artery_table, repeat_table, risk_table, scan_table
from cacnb.export.study_figures import (
    Figure,
    Tables,
    mass_figure,
    pair_figures,
    table_figures,
    tried_figure,
)
from cacnb.export.study_tables import (
    ablation_table,
    comparison_table,
    limits_table,
    network_table,
    plain_table,
    truth_table,
)
from cacnb.export.table_cells import Table
from cacnb.files import write_atomically

#: Sections of the page in their order: name, heading, what it is about. The first fills a sheet.
SECTIONS = (
    ("numbers", "The evidence in numbers", ""),
    ("detection", "Detection", "Is visible calcium found, and none where there is none?"),
    ("reproducibility", "Reproducibility", "Does a second scan of the patient say the same?"),
    ("comparison", "Differences between methods", "The same scans by two methods."),
    ("ablation", "What each step is worth", "The proposed method without some of its steps."),
    ("truth", "Accuracy", "Is the calcium right, and not only repeatable?"),
    ("examples", "Examples", "What each method marks, and what is left without calcium."),
    ("parameters", "Parameters", "What was tried on the validation set, and what was chosen."),
    ("networks", "The networks before the map", "Heart segmentation and slice classification."),
    ("conventions", "Clinical conventions", "The same scans by each named clinical convention."),
    ("refused", "Refused scans", "Scans without scores, and why."),
)

#: What a method is called in a sentence.
SAID = {
    "proposed": "the proposed method",
    "clinical_manual": "clinical scoring by a reader",
    "clinical_automatic": "automatic clinical scoring",
}


def write_study_report(
    tables: Tables,
    pairs: pd.DataFrame,
    folder: Path,
    *,
    title: str,
    simulated: bool,
    paper: bool = True,
    facts: Mapping[str, str] | None = None,
    masses_mg: pd.DataFrame | None = None,
    tried: Sequence[Mapping[str, Any]] = (),
    chosen: int = 0,
    examples_png: bytes | None = None,
    examples_caption: str = "",
) -> Path:
    """Write folder/report.html, folder/figures/*.svg|png|csv and folder/tables/*.csv.

    What a study lacks (labels, lesion regions, truth, a third method) is left out, heading and
    all.

    Parameters
    ----------
    tables
        What `cacnb evaluate --json` prints, one list of rows a table.
    pairs
        One row a pair, columns `<method>_mass_1`, `_2`, `<method>_agatston_1`, `_2`; NaN where a
        scan has no score. Other columns are not written.
    title
        Heads the page; nothing that names a patient.
    simulated
        Says so on the page, in each caption and in every figure.
    paper
        The paper's own number in grey beside each of the study's.
    facts
        Said at the head: what convention, which weights, what set; name and text.
    masses_mg
        One row a simulated scan: `truth_mg` and `<method>_mg`.
    tried, chosen
        Settings tried on the validation set, and which row of them was chosen (Figure 5).
    examples_png, examples_caption
        Figure 7, from `cacnb.export.lesion_examples`.

    Returns
    -------
    path
        Of report.html.

    Raises
    ------
    UsageError
        Where a truth comes for a study that is not simulated.
    InputError
        `cannot_write`.
    """
    if not simulated and (tables.get("truth") or masses_mg is not None):
        raise UsageError("a true mass came for a study that is not simulated: only those have one")
    figures = table_figures(tables, simulated=simulated) + pair_figures(pairs, simulated=simulated)
    if masses_mg is not None:
        masses = mass_figure(masses_mg, tables.get("truth", ()))
        figures += [masses] if masses else []
    if tried:
        figures.append(tried_figure(tried, chosen, simulated=simulated))
    laid_out = _tables(tables, paper=paper)
    _write_tables({**tables, "tried": tried}, pairs, folder / "tables")
    drawn = {f.name: save_chart(f.chart, folder / "figures" / f.name)[0] for f in figures}
    if examples_png is not None:
        write_atomically(examples_png, folder / "figures" / "figure_7.png")
    html = rendered(
        "study_report.html.j2",
        title,
        simulated,
        {
            "paper": paper and any(_has_paper(table) for _, table in laid_out),
            "facts": _facts(tables, facts or {}),
            "headline": _headline(tables),
            "sections": _sections(tables, laid_out, figures, drawn, examples_png is not None),
            "refused": list(tables.get("refused", ())),
            "examples_png": examples_png,
            "examples_caption": examples_caption,
        },
    )
    path = folder / "report.html"
    write_atomically(html, path)
    return path


def _tables(tables: Tables, *, paper: bool) -> list[tuple[str, Table]]:
    """Each table that has rows, with the section that it stands in."""
    rows = {name: tables.get(name, ()) for name in (*tables, "reproducibility_per_artery")}
    out = []
    if rows.get("detection_per_scan"):
        out.append(("numbers", scan_table(rows["detection_per_scan"], paper=paper)))
    per_artery = (rows.get("detection_per_artery", ()), rows["reproducibility_per_artery"])
    if any(per_artery):
        out.append(("numbers", artery_table(*per_artery, paper=paper)))
    if rows.get("reproducibility"):
        out.append(("numbers", repeat_table(rows["reproducibility"], paper=paper)))
    if rows.get("risk_categories"):
        out.append(("numbers", risk_table(rows["risk_categories"], paper=paper)))
    if rows.get("comparison"):
        out.append(("comparison", comparison_table(rows["comparison"])))
    if rows.get("ablation"):
        out.append(("ablation", ablation_table(rows["ablation"])))
    if rows.get("truth"):
        out.append(("truth", truth_table(rows["truth"])))
    if rows.get("limits"):
        out.append(("reproducibility", limits_table(rows["limits"])))
    networks = (rows.get("heart", ()), rows.get("slices", ()))
    if any(networks):
        out.append(("networks", network_table(*networks, paper=paper)))
    if rows.get("conventions"):
        out.append(
            (
                "conventions",
                plain_table(
                    "conventions",
                    "Agatston scores by convention",
                    "The same lesions under each named convention; a category changes against the "
                    "first.",
                    rows["conventions"],
                ),
            )
        )
    return out


def _sections(
    tables: Tables,
    laid_out: list[tuple[str, Table]],
    figures: list[Figure],
    drawn: Mapping[str, Path],
    examples: bool,
) -> list[dict[str, Any]]:
    """What the page shows, section by section; one without content is not there."""
    also = {"examples": examples, "refused": bool(tables.get("refused"))}
    out = []
    for name, heading, lead in SECTIONS:
        own = [table for section, table in laid_out if section == name]
        shown = [
            {
                "name": figure.name,
                "caption": figure.caption,
                "svg": inline_svg(drawn[figure.name].read_text("utf-8"), figure.name,
                                  figure.caption),
            }
            for figure in figures
            if figure.section == name
        ]  # fmt: skip
        if own or shown or also.get(name):
            out.append(
                {"name": name, "heading": heading, "lead": lead, "tables": own, "figures": shown}
            )
    return out


def _headline(tables: Tables) -> str:
    """The one sentence of the study: how far two scans of a patient lie apart by each method."""
    key = "relative_difference_both_positive"
    by_method = {row["method"]: row for row in tables.get("reproducibility", ())}
    said = [
        f"{100 * by_method[method][key]:.0f} % with {SAID[method]}"
        for method in LOOKS
        if method in by_method and by_method[method].get(key) is not None
    ]
    if not said:
        return ""
    listed = said[0] if len(said) == 1 else f"{', '.join(said[:-1])} and {said[-1]}"
    return (
        "Where a method finds calcium in both scans of a patient, the two masses differ on average "
        f"by {listed}, as a share of their mean."
    )


def _facts(tables: Tables, given: Mapping[str, str]) -> dict[str, str]:
    pairs = [row["n_pairs"] for row in tables.get("reproducibility", ()) if row.get("n_pairs")]
    refused = len(tables.get("refused", ()))
    out = {"Pairs": f"{max(pairs):,}"} if pairs else {}
    out["Refused scans"] = str(refused) if refused else "none"
    return {**out, **given}


def _has_paper(table: Table) -> bool:
    return any(cell.paper for line in table.lines for cell in line.cells)


def _write_tables(tables: Tables, pairs: pd.DataFrame, folder: Path) -> None:
    """Every table that has rows, its intervals as two columns, and the scores of the pairs."""
    for name, rows in tables.items():
        if rows:
            write_atomically(_flat(rows).to_csv(index=False), folder / f"{name}.csv")
    scores = [column for column in pairs if str(column).startswith(tuple(LOOKS))]
    if scores:
        write_atomically(pairs[scores].to_csv(index=False), folder / "pairs.csv")


def _flat(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    flat = []
    for row in rows:
        out: dict[str, Any] = {}
        for key, value in row.items():
            if "_ci95" in key or isinstance(value, list | tuple):
                low, high = (None, None) if value is None else value
                out |= {f"{key}_low": low, f"{key}_high": high}
            else:
                out[key] = value
        flat.append(out)
    return pd.DataFrame(flat)
