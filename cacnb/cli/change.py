"""The command on two scans of one patient: change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from cacnb import RESEARCH_ONLY
from cacnb.cli.terminal import (
    Device,
    Json,
    WeightsName,
    cell,
    messages,
    output,
    print_json,
    print_rows,
)

if TYPE_CHECKING:
    from cacnb.change.comparison import Comparison


def change(
    baseline: Annotated[
        str, typer.Argument(help="A result of `cacnb score`, its folder, a scan, or a number.")
    ],
    followup: Annotated[str, typer.Argument(help="The later one, of the same kind.")],
    repeat: Annotated[
        Path | None,
        typer.Option("--repeat", help="Scored study of scan pairs, or CSV of paired scores."),
    ] = None,
    first: Annotated[
        str | None, typer.Option("--first", help="The CSV's column of the first scan.")
    ] = None,
    second: Annotated[
        str | None, typer.Option("--second", help="The CSV's column of the second scan.")
    ] = None,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="The CSV's scans are simulated.")
    ] = False,
    score: Annotated[
        Literal["proposed", "proposed_agatston", "clinical"] | None,
        typer.Option("--score", help="Compare this score alone; a CSV is of one."),
    ] = None,
    model: Annotated[
        Literal["linear", "sqrt", "sqrt_origin"],
        typer.Option("--model", help="How the repeat limits grow with the score."),
    ] = "linear",
    bmi: Annotated[
        float | None, typer.Option("--bmi", help="kg/m²: adds MESA's limit of the clinical score.")
    ] = None,
    years: Annotated[
        float | None, typer.Option("--years", help="Between the scans: adds the change a year.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page with the probability drawn.")
    ] = None,
    weights: WeightsName = "demo",
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Is this change real, or is it the scanner? Two scans of a patient against a repeat study.

    Example: cacnb change baseline.json followup.json --repeat out/rtp --bmi 27 --years 3
    """
    from cacnb.change.comparison import compare

    found = compare(
        baseline, followup, repeat=repeat, first=first, second=second, simulated=simulated,
        score=score, model=model, bmi_kg_m2=bmi, years=years, weights=weights, device=device,
    )  # fmt: skip
    if html is not None:
        from cacnb.export.change_page import write_change_page

        write_change_page(found.by_method, html, mesa=found.mesa, notes=found.notes)
        messages.print(f"Page: {html}", markup=False)
    if as_json:
        print_json(found.as_json())
    else:
        _print(found)


def _print(found: Comparison) -> None:
    said = " (limits of simulated scans)" if found.simulated else ""
    print_rows(f"Is this change real?{said}", _rows(found))
    for judged in found.by_method.values():
        output.print(f"{judged.score}: {judged.statement}", markup=False, soft_wrap=True)
    for note in found.notes:
        output.print(f"Note: {note}", markup=False, soft_wrap=True)
    output.print(RESEARCH_ONLY)


def _rows(found: Comparison) -> list[dict[str, Any]]:
    rows = []
    for judged in found.by_method.values():
        row: dict[str, Any] = {
            "score": judged.score, "baseline": judged.baseline, "follow-up": judged.followup,
            "change": judged.change, "%": judged.percent_change,
        }  # fmt: skip
        if judged.years is not None:
            row["% a year"] = judged.percent_change_per_year
        rows.append(
            {
                **row,
                "repeat limit": judged.limit,
                "95 % interval": judged.limit_ci95,
                "probability": judged.probability,
                "outside": _answer(judged.outside),
            }
        )
    if found.mesa is not None:
        rows.append(
            {
                "score": f"MESA's limit at {cell(found.mesa.bmi_kg_m2)} kg/m²",
                "repeat limit": found.mesa.limit,
                "outside": _answer(found.mesa.outside),
            }
        )
    return rows


def _answer(outside: bool | None) -> str:
    return {True: "yes", False: "no", None: "not judged"}[outside]
