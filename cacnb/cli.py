"""The command line: what a person types, and what a script may rely on; it decides nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from cacnb import RESEARCH_ONLY, __version__
from cacnb.errors import CacnbError, InputError, UsageError

if TYPE_CHECKING:
    from cacnb.learning.loop import Step
    from cacnb.scoring.scored_scan import ScoredScan

app = typer.Typer(
    help=f"Reproducible coronary calcium scoring on ordinary chest CT. {RESEARCH_ONLY}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
messages = Console(stderr=True, highlight=False)
output = Console(highlight=False, width=None if sys.stdout.isatty() else 140)

Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Out = Annotated[Path | None, typer.Option("--out", help="Folder for results; made if missing.")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1, mps …")]


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Set what all commands share; `main` reads --debug from the call."""
    del debug
    if version:
        typer.echo(f"cacnb {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; a refusal is one line on standard error and its exit status."""
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    try:
        app(standalone_mode=True)
    except CacnbError as error:
        if debug:
            raise
        messages.print(f"cacnb: {error}", style="bold", markup=False)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        messages.print("cacnb: stopped; what was finished is kept", markup=False)
        sys.exit(130)
    except OSError as error:
        if debug:
            raise
        messages.print(f"cacnb: {error.strerror or error}: {error.filename or ''}", markup=False)
        sys.exit(1)


@app.command()
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

    with _progress("demo study") as tell:
        result = None
        for done, of, what, value in demo_steps(out, device):
            tell(done, of, what)
            result = value
    if result is None:
        raise UsageError("the demo study is empty")
    _print_rows("Simulated scans and rescans: mass in mg, by each method", result.rows)
    for line in result.summary:
        output.print(line)
    output.print(f"Report: {result.report}")
    output.print(RESEARCH_ONLY)


@app.command()
def inspect(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders.")], as_json: Json = False
) -> None:
    """List every series below the paths, each with a verdict and its reasons.

    Example: cacnb inspect /data/export --json
    """
    from cacnb.ct.series import find_series

    _require(paths)
    found = find_series(paths)
    if as_json:
        _print_json(found.as_json())
    else:
        rows = [
            {
                "path": str(s.path), "slices": s.slices,
                "spacing mm (z, y, x)": " × ".join(f"{v:.3g}" for v in s.spacing_mm or ()),
                "verdict": s.verdict,
                "reasons": "; ".join(f"{r.code}: {r.message}" for r in s.reasons),
            }
            for s in found.series
        ]  # fmt: skip
        _print_rows(f"{len(found.series)} series", rows)
        if found.unread:
            _print_rows(
                f"{len(found.unread)} files that are no scan",
                [{"path": str(u.path), "reason": f"{u.code}: {u.message}"} for u in found.unread],
            )
    if any(s.verdict == "refused" for s in found.series) or not found.series:
        raise typer.Exit(1)


@app.command()
def score(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="DICOM folders, zips, NIfTI, NRRD, MHA; or scan names."),
    ] = None,
    study: Annotated[
        Path | None, typer.Option("--study", help="Score scans of this study.")
    ] = None,
    heart: Annotated[
        Path | None, typer.Option("--heart", help="Heart mask on the scan's grid.")
    ] = None,
    weights: Annotated[str, typer.Option("--weights", help="Packaged name or folder.")] = "demo",
    device: Device = "cpu",
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Score scans: without a threshold, and clinically beside it; map, lesions and report.

    Example: cacnb score /data/scan01 --out out/scan01
    """
    from cacnb.learning.weights import load_weights
    from cacnb.pipeline import score_scan
    from cacnb.results import named_scans, write_results

    jobs = named_scans(paths or [], study)
    if heart is not None and len(jobs) != 1:
        raise UsageError(f"--heart is one scan's mask, {len(jobs)} scans came: score one at a time")
    folder = out or (study / "scores" if study else None)
    loaded = load_weights(weights, device)
    scored: list[ScoredScan] = []
    with _progress("scoring") as tell:
        for i, (name, path) in enumerate(jobs):
            tell(i, len(jobs), name)
            found = score_scan(path, loaded, heart_path=heart, name=name)
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
        _print_json({"scans": [scan.as_json() for scan in scored]})
    else:
        _print_rows("Scores", [_score_row(scan) for scan in scored])
        output.print(RESEARCH_ONLY)
    if any(scan.verdict == "refused" for scan in scored):
        for scan in scored:
            if scan.verdict == "refused":
                worst = next(r for r in scan.reasons if r.severity == "refuse")
                messages.print(f"cacnb: {scan.path}: {worst.code}: {worst.message}", markup=False)
        raise typer.Exit(1)


#: More scans than this are not shown in one report.
REPORTED = 12


@app.command()
def clinical(
    path: Annotated[Path, typer.Argument(help="A scan: DICOM folder, zip, NIfTI, NRRD, MHA.")],
    region: Annotated[Path, typer.Option("--region", help="Mask image on the scan's grid.")],
    convention: Annotated[
        str, typer.Option("--convention", help="Rules of the score.")
    ] = "literature",
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

    rules = rules_of(convention)
    series, volume = read_scan(path)
    scores = score_clinically(
        volume,
        read_mask(region, volume),
        rules,
        slice_thickness_mm=series.slice_thickness_mm,
        calibration_mg_per_hu_mm3=calibration,
    )
    found = scores.as_json()
    if as_json:
        _print_json(found)
        return
    lesions = found.pop("lesions")
    _print_facts(found)
    if lesions:
        _print_rows("Lesions", [{k: row[k] for k in LESION_COLUMNS} for row in lesions])
    output.print(RESEARCH_ONLY)


@app.command()
def simulate(
    out: Annotated[Path, typer.Option("--out", help="Study folder to write.")],
    pairs: Annotated[int, typer.Option("--pairs", help="People, each scanned twice.")] = 12,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the first person.")] = 0,
    protocol: Annotated[str, typer.Option("--protocol", help="rtp, nlst or locator.")] = "rtp",
    field: Annotated[str, typer.Option("--field", help="chest or heart field of view.")] = "chest",
    form: Annotated[str, typer.Option("--format", help="nifti or dicom.")] = "nifti",
    burden: Annotated[
        str | None,
        typer.Option("--burden", help="rtp, nlst or varied: whose calcium; the protocol's own."),
    ] = None,
    workers: Annotated[int | None, typer.Option("--workers", help="Processes.")] = None,
) -> None:
    """Simulate a scan-rescan study with its truth; go on where an earlier call stopped.

    Example: cacnb simulate --pairs 20 --seed 900 --out out/pairs
    """
    from cacnb.simulation.cohort import StudyPlan, simulate_study

    plan = StudyPlan(pairs, seed, protocol, field, form, burden=burden)  # type: ignore[arg-type]
    of = len(plan.scans())
    with _progress("simulating") as tell:
        for done, name in enumerate(simulate_study(plan, out, workers=workers), start=1):
            tell(done, of, name)
    output.print(f"{of} simulated scans of {pairs} people: {out}")


@app.command()
def insert(
    path: Annotated[Path, typer.Argument(help="A scan without calcium: folder, zip or image.")],
    out: Annotated[Path, typer.Option("--out", help="Study folder to write.")],
    pairs: Annotated[int, typer.Option("--pairs", help="People's calcium to insert, twice.")] = 3,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the first person's calcium.")] = 0,
    burden: Annotated[str, typer.Option("--burden", help="rtp, nlst or varied.")] = "rtp",
    heart: Annotated[
        Path | None, typer.Option("--heart", help="Heart mask; the network's if left out.")
    ] = None,
    weights: Annotated[str, typer.Option("--weights", help="Weights by name or folder.")] = "demo",
) -> None:
    """Put simulated calcium of known mass into your own scan, as pairs: a study to test on.

    Example: cacnb insert scan01 --pairs 5 --out out/inserted
    """
    from cacnb.inserting import insert_study
    from cacnb.learning.weights import load_weights

    found = load_weights(weights)
    with _progress("inserting") as tell:
        names = insert_study(
            path, found, out, pairs=pairs, seed=seed, burden=burden, heart_path=heart
        )
        for done, name in enumerate(names, start=1):
            tell(done, 2 * pairs, name)
    output.print(f"{2 * pairs} scans with inserted calcium (simulated): {out}")
    output.print(f"before, after and calcium: {out / 'picture.png'}")


@app.command()
def train(
    stage: Annotated[str, typer.Argument(help="heart, slices or decomposition.")],
    study: Annotated[list[Path], typer.Option("--study", help="Study folder; may be repeated.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the run.")],
    recipe: Annotated[str, typer.Option("--recipe", help="paper or demo.")] = "demo",
    iterations: Annotated[
        int | None, typer.Option("--iterations", help="Fewer or more than the recipe's.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Another seed.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
) -> None:
    """Train one network on a study; every loss is appended to steps.jsonl in the run's folder.

    Example: cacnb train slices --study out/cohort --recipe demo --out runs/slices
    """
    from dataclasses import replace

    from cacnb.learning.loop import Run
    from cacnb.learning.recipes import recipe as find_recipe
    from cacnb.training import train_stage

    plan = find_recipe(stage, recipe)
    if iterations is not None:
        if iterations < 1:
            raise UsageError(f"--iterations is {iterations}: ask for at least 1")
        plan = replace(plan, iterations=iterations, save_every=min(plan.save_every, iterations))
    if seed is not None:
        plan = replace(plan, seed=seed)
    last: Step | None = None
    with _progress(f"training {stage}") as tell:
        for step in train_stage(stage, plan, study, Run(out, resume)):
            losses = "  ".join(f"{k} {v:.4f}" for k, v in step.losses.items())
            tell(step.iteration, step.of, losses)
            last = step
    done = last.iteration if last else plan.iterations
    output.print(f"{stage}: {done} iterations done, checkpoint in {out}")


@app.command()
def evaluate(
    study: Annotated[Path, typer.Option("--study", help="A scored study.")],
    as_json: Json = False,
) -> None:
    """Detection, reproducibility and, where the study is simulated, accuracy of each method.

    Example: cacnb evaluate --study out/pairs --json
    """
    from cacnb.evaluation import evaluate_study

    tables = evaluate_study(study)
    if as_json:
        _print_json(tables)
        return
    for name, rows in tables.items():
        _print_rows(name.replace("_", " "), rows)


@app.command()
def calibration(
    study: Annotated[Path, typer.Argument(help="A simulated study of pairs.")],
    as_json: Json = False,
) -> None:
    """Whether clinical scoring of a simulated study behaves as the published clinic's does.

    Example: cacnb calibration out/pairs
    """
    from cacnb.calibration import calibrate

    found = calibrate(study)
    if as_json:
        _print_json(found.as_json())
        return
    _print_rows("simulated beside published", found.as_json()["calibration"])
    output.print(f"{found.scans} simulated scans; {found.discordant_pairs} discordant pairs")


@app.command()
def agree(
    table: Annotated[Path, typer.Argument(help="CSV file, one row a patient.")],
    first: Annotated[str, typer.Option("--first", help="Column of the first score.")],
    second: Annotated[str, typer.Option("--second", help="Column of the second score.")],
    as_json: Json = False,
) -> None:
    """How far two scores of the same patients agree: any CSV, any program's scores.

    Example: cacnb agree pairs.csv --first scan --second rescan
    """
    from cacnb.agree import agree as agreement

    found = agreement(table, first, second)
    if as_json:
        _print_json(found)
        return
    for name, value in found.items():
        if isinstance(value, dict):
            regression = value.pop("regression", {})
            _print_rows(name.replace("_", " "), [{**value, **regression}])
        else:
            output.print(f"{name.replace('_', ' ')}: {value}")


@contextmanager
def _progress(title: str) -> Iterator[Any]:
    """A progress bar on a terminal's standard error, nothing elsewhere."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.fields[title]}"), BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(), TextColumn("{task.fields[what]}"),
        console=messages, transient=True, disable=not messages.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task("", total=None, title=title, what="")

        def tell(done: int, of: int, what: str) -> None:
            bar.update(task, completed=done, total=of, what=what)

        yield tell


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


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, allow_nan=False, default=str) + "\n")


def _print_rows(title: str, rows: list[dict[str, Any]]) -> None:
    """A table on standard output; columns are the keys of all rows."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    for key in keys:
        table.add_column(key.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(key)) for key in keys))
    output.print(table)


#: What the terminal shows of a lesion; the JSON has all of it.
LESION_COLUMNS = (
    "lesion", "agatston", "volume_mm3", "pseudo_mass_hu_mm3", "peak_hu", "area_mm2", "z_mm",
)  # fmt: skip


def _print_facts(facts: dict[str, Any]) -> None:
    """Names and values under each other on standard output."""
    width = max(map(len, facts))
    for name, value in facts.items():
        if value is None:
            continue
        output.print(f"{name.replace('_', ' '):{width}}  {_cell(value)}", markup=False)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        digits = 0 if abs(value) >= 10_000 else 1
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.{digits}f}"
    if isinstance(value, list | tuple):
        return " … ".join(_cell(v) for v in value)
    return "" if value is None else str(value)


if __name__ == "__main__":
    main()
