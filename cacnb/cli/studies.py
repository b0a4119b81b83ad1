"""Commands on studies: simulate, insert, calibration, train, evaluate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cacnb.cli.terminal import (
    Device,
    Json,
    WeightsName,
    messages,
    output,
    print_json,
    print_rows,
    progress,
)
from cacnb.errors import UsageError

if TYPE_CHECKING:
    from cacnb.learning.loop import Step


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
    with progress("simulating") as tell:
        for done, name in enumerate(simulate_study(plan, out, workers=workers), start=1):
            tell(done, of, name)
    output.print(f"{of} simulated scans of {pairs} people: {out}")


def insert(
    path: Annotated[Path, typer.Argument(help="A scan without calcium: folder, zip or image.")],
    out: Annotated[Path, typer.Option("--out", help="Study folder to write.")],
    pairs: Annotated[int, typer.Option("--pairs", help="People's calcium to insert, twice.")] = 3,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the first person's calcium.")] = 0,
    burden: Annotated[str, typer.Option("--burden", help="rtp, nlst or varied.")] = "rtp",
    heart: Annotated[
        Path | None, typer.Option("--heart", help="Heart mask; the network's if left out.")
    ] = None,
    weights: WeightsName = "demo",
) -> None:
    """Put simulated calcium of known mass into your own scan, as pairs: a study to test on.

    Example: cacnb insert scan01 --pairs 5 --out out/inserted
    """
    from cacnb.inserting import insert_study
    from cacnb.learning.weights import load_weights

    found = load_weights(weights)
    with progress("inserting") as tell:
        names = insert_study(
            path, found, out, pairs=pairs, seed=seed, burden=burden, heart_path=heart
        )
        for done, name in enumerate(names, start=1):
            tell(done, 2 * pairs, name)
    output.print(f"{2 * pairs} scans with inserted calcium (simulated): {out}")
    output.print(f"before, after and calcium: {out / 'picture.png'}")


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
        print_json(found.as_json())
        return
    print_rows("simulated beside published", found.as_json()["calibration"])
    output.print(f"{found.scans} simulated scans; {found.discordant_pairs} discordant pairs")


def train(
    stage: Annotated[str, typer.Argument(help="heart, slices, decomposition or clinical.")],
    study: Annotated[list[Path], typer.Option("--study", help="Study folder; may be repeated.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the run.")],
    recipe: Annotated[
        str, typer.Option("--recipe", help="paper, default, fast, demo or packaged.")
    ] = "demo",
    iterations: Annotated[
        int | None, typer.Option("--iterations", help="Fewer or more than the recipe's.")
    ] = None,
    save_every: Annotated[
        int | None,
        typer.Option("--save-every", help="Iterations to a checkpoint; the recipe's."),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Another seed.")] = None,
    method: Annotated[
        str | None,
        typer.Option(
            "--method", help="Decomposition: cyclegan, one_sided, inserted, both or bridge."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    device: Device = "cpu",
    devices: Annotated[
        int | None,
        typer.Option("--devices", help="Processes that share each batch, a GPU each; 1."),
    ] = None,
    validate_every: Annotated[
        int, typer.Option("--validate-every", help="Iterations to a validation; 0 for none.")
    ] = 500,
) -> None:
    """Train one network on a study; every loss is appended to steps.jsonl in the run's folder.

    `cacnb serve monitor --run OUT` shows it as it grows. What goes wrong is said when it is seen.
    SIGTERM and SIGUSR1 let a step end and save it; the exit status is then 143.

    Example: cacnb train slices --study out/cohort --recipe demo --out runs/slices
    """
    from dataclasses import replace

    from cacnb.learning.decompositions import by_method
    from cacnb.learning.loop import Run
    from cacnb.learning.processes import ToldByFirstError, open_processes
    from cacnb.learning.recipes import DecompositionRecipe
    from cacnb.learning.recipes import recipe as find_recipe
    from cacnb.training import train_stage
    from cacnb.training_watch import WatchPlan

    if validate_every < 0:
        raise UsageError(f"--validate-every is {validate_every}: give a number of iterations, or 0")
    plan = find_recipe(stage, recipe)
    if iterations is not None:
        plan = plan.of_length(iterations)
    if save_every is not None:
        if save_every < 1:
            raise UsageError(f"--save-every is {save_every}: give at least 1")
        plan = replace(plan, save_every=save_every)
    if devices is not None and devices < 1:
        raise UsageError(f"--devices is {devices}: ask for at least 1")
    if seed is not None:
        plan = replace(plan, seed=seed)
    if method is not None:
        if not isinstance(plan, DecompositionRecipe):
            raise UsageError(f"--method is of the decomposition, not of {stage}: leave it out")
        plan = by_method(plan, method)
    run = Run(out, resume, stop_on_signals=True)
    watched = WatchPlan(validate_every=validate_every, picture_every=validate_every)
    with open_processes(device, devices) as processes:
        try:
            steps = train_stage(stage, plan, study, run, watched, processes=processes)
            done = _follow(steps, stage, speaks=processes.first)
        except ToldByFirstError as error:
            raise typer.Exit(error.exit_status) from error
        if processes.first:
            done = done or plan.iterations
            output.print(f"{stage}: {done} iterations done, checkpoint in {out}")


def _follow(steps: Iterator[Step], stage: str, *, speaks: bool) -> int:
    """Train to the end, telling how it goes where it speaks; the last iteration, 0 without any."""
    done = 0
    if not speaks:
        for step in steps:
            done = step.iteration
        return done
    with progress(f"training {stage}") as tell:
        for step in steps:
            for failure in step.failures:
                messages.print(f"cacnb: {failure}", style="bold", markup=False)
            losses = "  ".join(f"{k} {v:.4f}" for k, v in step.losses.items())
            tell(step.iteration, step.of, losses)
            done = step.iteration
    return done


def evaluate(
    study: Annotated[Path, typer.Option("--study", help="A scored study.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for report, figures and tables.")
    ] = None,
    ablation: Annotated[
        bool,
        typer.Option("--ablation", help="Also score without heart and slices first (Figure 6)."),
    ] = False,
    weights: WeightsName = "demo",
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Every table and figure of the paper's evaluation for a scored study, with intervals.

    Example: cacnb evaluate --study out/pairs --out out/evidence
    """
    from cacnb.evaluation import evaluate_study

    if ablation:
        from cacnb.evaluation.ablation import ablate_study
        from cacnb.learning.weights import load_weights

        with progress("ablation") as tell:
            for done, (name, _) in enumerate(ablate_study(study, load_weights(weights, device)), 1):
                tell(done, None, name)
    with progress("comparing") as tell:
        found = evaluate_study(study, tell)
    if as_json:
        print_json(found.tables)
    else:
        for name, rows in found.tables.items():
            if rows:
                print_rows(name.replace("_", " "), rows)
    if out is not None:
        from cacnb.evaluation.pages import write_evidence

        messages.print(f"Report: {write_evidence(study, found, out)}", markup=False)
