"""Commands on scans: demo, inspect, score, clinical."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cacnb import RESEARCH_ONLY
from cacnb.cli.terminal import (
    Device,
    Json,
    Out,
    WeightsName,
    messages,
    output,
    print_facts,
    print_json,
    print_rows,
    progress,
)
from cacnb.errors import InputError, UsageError

if TYPE_CHECKING:
    from cacnb.ct.series import Inspection
    from cacnb.scoring.scored_scan import ScoredScan

#: More scans than this are not shown in one report.
REPORTED = 12

ThresholdBy = Annotated[
    str,
    typer.Option(
        "--threshold-rule",
        help="Threshold of the clinical score: fixed (the convention's) or kvp (147 HU at 100).",
    ),
]

#: What the terminal shows of a lesion; the JSON has all of it.
LESION_COLUMNS = (
    "lesion", "agatston", "volume_mm3", "pseudo_mass_hu_mm3", "peak_hu", "area_mm2", "z_mm",
)  # fmt: skip


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for study and report.")] = Path(
        "out/demo"
    ),
    device: Device = "cpu",
) -> None:
    """Score the embedded demo study: simulated scans and rescans with known calcium.

    Example: cacnb demo --out out/demo
    """
    from cacnb.demo import demo_steps

    with progress("demo study") as tell:
        result = None
        for done, of, what, value in demo_steps(out, device):
            tell(done, of, what)
            result = value
    if result is None:
        raise UsageError("the demo study is empty")
    print_rows("Simulated scans and rescans: mass in mg, by each method", result.rows)
    for line in result.summary:
        output.print(line)
    output.print(f"Report: {result.report}")
    output.print(RESEARCH_ONLY)


def inspect(
    paths: Annotated[list[Path], typer.Argument(help="Files, folders, zips, tars.")],
    pixels: Annotated[
        bool,
        typer.Option("--pixels", help="Also read what is not refused: contrast, heart, values."),
    ] = False,
    weights: WeightsName = "demo",
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """List every series below the paths, each with a verdict and its reasons.

    Only headers are read; with --pixels also the scans that they do not refuse.

    Example: cacnb inspect /data/export --json
    """
    from cacnb.ct.series import find_series

    _require(paths)
    with progress("inspecting") as tell:
        found = find_series(paths, tell)
        if pixels:
            from cacnb.learning.weights import load_weights
            from cacnb.scan_fitness import with_pixels_judged

            found = with_pixels_judged(found, load_weights(weights, device), tell)
    if as_json:
        print_json(found.as_json())
    else:
        _print_inspection(found)
    if any(s.verdict == "refused" for s in found.series) or not found.series:
        raise typer.Exit(1)


def _print_inspection(found: Inspection) -> None:
    rows = [
        {
            "path": str(s.path), "slices": s.slices,
            "spacing mm (z, y, x)": " × ".join(f"{v:.3g}" for v in s.spacing_mm or ()),
            "verdict": s.verdict,
            "reasons": "; ".join(f"{r.code}: {r.message}" for r in s.reasons),
        }
        for s in found.series
    ]  # fmt: skip
    counts = Counter(s.verdict for s in found.series)
    words = ", ".join(f"{counts[verdict]} {verdict}" for verdict in ("usable", "warned", "refused"))
    print_rows(f"{len(found.series)} series: {words}", rows)
    if found.unread:
        print_rows(
            f"{len(found.unread)} files that are no scan",
            [{"path": str(u.path), "reason": f"{u.code}: {u.message}"} for u in found.unread],
        )
    files = sum(len(s.files) for s in found.series)
    output.print(f"{files} files in series, {len(found.unread)} in none.", markup=False)


def score(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="DICOM folders, zips, NIfTI, NRRD, MHA; or scan names."),
    ] = None,
    study: Annotated[
        Path | None, typer.Option("--study", help="Score scans of this study.")
    ] = None,
    heart: Annotated[
        Path | None,
        typer.Option("--heart", help="RTSTRUCT, SEG, mask image, folder; or totalsegmentator."),
    ] = None,
    structure: Annotated[
        str | None,
        typer.Option("--structure", "--label", help="Name or number of the heart in it."),
    ] = None,
    weights: WeightsName = "demo",
    threshold_rule: ThresholdBy = "fixed",
    device: Device = "cpu",
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Score scans: without a threshold, and clinically beside it; map, lesions and report.

    Example: cacnb score /data/scan01 --out out/scan01
    """
    from cacnb.learning.weights import load_weights
    from cacnb.pipeline import Options, score_scan
    from cacnb.results import named_scans, write_results

    jobs = named_scans(paths or [], study)
    if heart is not None and len(jobs) != 1:
        raise UsageError(f"--heart is one scan's mask, {len(jobs)} scans came: score one at a time")
    folder = out or (study / "scores" if study else None)
    options = Options(threshold_rule=threshold_rule)
    loaded = load_weights(weights, device)
    scored: list[ScoredScan] = []
    with progress("scoring") as tell:
        for i, (name, path) in enumerate(jobs):
            tell(i, len(jobs), name)
            found = score_scan(
                path,
                loaded,
                heart_path=heart,
                heart_structure=structure,
                options=options,
                name=name,
            )
            if folder is not None:
                write_results(found, folder)
            # A whole study's volumes do not fit in memory: only few are kept for the report.
            scored.append(found if len(jobs) <= REPORTED else found.without_images())
            tell(i + 1, len(jobs), name)
    if folder is not None and len(jobs) <= REPORTED:
        from cacnb.export.report import write_report

        write_report(scored, folder / "report.html", title="Coronary calcium")
        messages.print(f"Report: {folder / 'report.html'}", markup=False)
    if as_json:
        print_json({"scans": [scan.as_json() for scan in scored]})
    else:
        print_rows("Scores", [_score_row(scan) for scan in scored])
        output.print(RESEARCH_ONLY)
    if any(scan.verdict == "refused" for scan in scored):
        for scan in scored:
            if scan.verdict == "refused":
                worst = next(r for r in scan.reasons if r.severity == "refuse")
                messages.print(f"cacnb: {scan.path}: {worst.code}: {worst.message}", markup=False)
        raise typer.Exit(1)


def clinical(
    path: Annotated[Path, typer.Argument(help="A scan: DICOM folder, zip, NIfTI, NRRD, MHA.")],
    region: Annotated[Path, typer.Option("--region", help="Mask image on the scan's grid.")],
    convention: Annotated[
        str, typer.Option("--convention", help="Rules of the score.")
    ] = "literature",
    threshold_rule: ThresholdBy = "fixed",
    calibration: Annotated[
        float | None, typer.Option("--calibration", help="mg per HU·mm³, for the mass in mg.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Conventional calcium scores inside a mask image, by a named convention.

    Example: cacnb clinical scan.nii.gz --region mask.nii.gz --convention literature
    """
    from cacnb.ct.reading import read_mask, read_scan
    from cacnb.scoring.clinical import score_clinically
    from cacnb.scoring.conventions import convention as rules_of
    from cacnb.scoring.conventions import threshold_by

    rules = rules_of(convention)
    series, volume = read_scan(path)
    scores = score_clinically(
        volume,
        read_mask(region, volume),
        rules,
        slice_thickness_mm=series.slice_thickness_mm,
        threshold_hu=threshold_by(threshold_rule, rules, series.kvp),
        calibration_mg_per_hu_mm3=calibration,
    )
    found = {"threshold_rule": threshold_rule, "kvp": series.kvp, **scores.as_json()}
    if as_json:
        print_json(found)
        return
    lesions = found.pop("lesions")
    print_facts(found)
    if lesions:
        print_rows("Lesions", [{k: row[k] for k in LESION_COLUMNS} for row in lesions])
    output.print(RESEARCH_ONLY)


def _require(paths: list[Path]) -> None:
    for path in paths:
        if not path.exists():
            raise InputError("missing", f"{path} does not exist: check the path")


def _score_row(scan: ScoredScan) -> dict[str, Any]:
    row: dict[str, Any] = {"scan": scan.name or scan.path.name, "verdict": scan.verdict}
    if scan.proposed is None or scan.clinical is None:
        return {**row, "why": "; ".join(f"{r.code}: {r.message}" for r in scan.reasons)}
    return {
        **row,
        "pseudo-mass HU·mm³": scan.proposed.pseudo_mass_hu_mm3,
        "adjusted Agatston": scan.proposed.agatston_adjusted,
        "category": scan.proposed.risk_category,
        "clinical pseudo-mass": scan.clinical.pseudo_mass_hu_mm3,
        "clinical Agatston": scan.clinical.agatston,
        "clinical category": scan.clinical.risk_category,
        "seconds": scan.seconds["total"],
    }
