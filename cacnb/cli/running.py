"""Commands on many scans at once: run."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cacnb import RESEARCH_ONLY
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
    from cacnb.running.engines import Engine
    from cacnb.running.study_run import RunPlan, Step

#: More refused and failed scans than this are not printed; failed.csv lists all.
SHOWN = 10


def run(
    study: Annotated[Path, typer.Option("--study", help="Study folder with a cohort.csv.")],
    engine: Annotated[
        str | None, typer.Option("--engine", help="local (this machine's cores) or slurm.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Scans at a time: processes, or SLURM jobs.")
    ] = None,
    threads: Annotated[int, typer.Option("--threads", help="Cores of each worker.")] = 1,
    memory: Annotated[
        str | None, typer.Option("--memory", help="Most memory of each worker, such as 4GB.")
    ] = None,
    retry: Annotated[
        bool, typer.Option("--retry", help="Score refused and failed scans again.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option("--shard", help="i/n: only every n-th scan, in this process, without Dask."),
    ] = None,
    queue: Annotated[str | None, typer.Option("--queue", help="SLURM partition.")] = None,
    account: Annotated[str | None, typer.Option("--account", help="SLURM account.")] = None,
    walltime: Annotated[
        str | None, typer.Option("--walltime", help="Longest time of a SLURM job, HH:MM:SS.")
    ] = None,
    interface: Annotated[
        str | None,
        typer.Option("--interface", help="Network that SLURM's nodes see, such as ib0."),
    ] = None,
    sbatch: Annotated[
        list[str] | None,
        typer.Option("--sbatch", help="One more #SBATCH option, such as --gres=gpu:1."),
    ] = None,
    before: Annotated[
        list[str] | None,
        typer.Option("--before", help="Shell line that each SLURM job runs first."),
    ] = None,
    weights: WeightsName = "demo",
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Score a whole study on all cores or on a cluster; call again to go on where it stopped.

    Example: cacnb run --study out/pairs --workers 8
    """
    slurm_only = {
        "queue": queue, "account": account, "walltime": walltime, "interface": interface,
        "options": tuple(sbatch or ()), "before": tuple(before or ()),
    }  # fmt: skip
    place = _engine(
        engine, shard, workers, threads, memory, {k: v for k, v in slurm_only.items() if v}
    )
    from cacnb.running.study_run import plan_run, run_study

    plan = plan_run(study, weights=weights, device=device, retry=retry, shard=shard)
    _say_what_is_scored_again(plan)
    steps = []
    try:
        with progress("scoring") as tell, _ended_like_ctrl_c():
            tell(0, len(plan.scans), "")
            for step in run_study(plan, place, _say):
                tell(step.done, step.of, step.outcome.scan)
                steps.append(step)
    except KeyboardInterrupt:
        _say("cacnb: stopped; what was finished is kept, and the same call goes on")
        raise typer.Exit(130) from None
    found = _summary(plan, steps)
    if as_json:
        print_json(found)
    else:
        _print_summary(found)
    if found["refused"] or found["failed"]:
        raise typer.Exit(1)


def _engine(
    engine: str | None,
    shard: str | None,
    workers: int | None,
    threads: int,
    memory: str | None,
    slurm_only: dict[str, Any],
) -> Engine:
    """The engine that the options describe, or UsageError where they contradict each other."""
    from dask.utils import parse_bytes

    from cacnb.running.engines import Here, Local, Slurm

    for name, value in (("--workers", workers), ("--threads", threads)):
        if value is not None and value < 1:
            raise UsageError(f"{name} is {value}: ask for at least 1")
    if memory is not None:
        try:
            parse_bytes(memory)
        except ValueError as error:
            raise UsageError(f"--memory is {memory!r}: a size such as 4GB was wanted") from error
    if engine not in (None, "local", "slurm"):
        raise UsageError(f"the engine is {engine!r}: local or slurm was wanted")
    if slurm_only and engine != "slurm":
        raise UsageError(
            "--queue, --account, --walltime, --interface, --sbatch and --before are for SLURM: "
            "add --engine slurm or leave them out"
        )
    if shard is not None:
        if engine or workers or memory:
            raise UsageError(
                "--shard scores in this process: leave out --engine, --workers and --memory"
            )
        return Here(threads)
    if engine != "slurm":
        return Local(workers, threads, memory)
    given = {"workers": workers, "memory": memory, **slurm_only}
    return Slurm(threads=threads, **{k: v for k, v in given.items() if v is not None})


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """A polite kill, as a scheduler or `timeout` sends, closes workers and jobs as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(message: str) -> None:
    messages.print(message, markup=False)


def _say_what_is_scored_again(plan: RunPlan) -> None:
    for scans, why in (
        (plan.other_weights, "were made by other weights and are replaced"),
        (plan.damaged, "are damaged and are replaced"),
    ):
        if scans:
            _say(f"{len(scans)} results {why}: {scans[0]}{' …' if len(scans) > 1 else ''}")


def _summary(plan: RunPlan, steps: list[Step]) -> dict[str, Any]:
    """The object of `cacnb run --json`."""
    from cacnb.running.score_tables import table_files

    order = {scan: place for place, scan in enumerate(plan.scans)}
    ended = sorted((step.outcome for step in steps), key=lambda outcome: order[outcome.scan])
    return {
        "scored": sum(step.is_new and step.outcome.is_scored for step in steps),
        "skipped": sum(not step.is_new and step.outcome.is_scored for step in steps),
        "refused": [outcome.as_json() for outcome in ended if outcome.ending == "refused"],
        "failed": [outcome.as_json() for outcome in ended if outcome.ending == "failed"],
        "scored_again": {
            "other_weights": len(plan.other_weights), "damaged": len(plan.damaged),
            "retried": len(plan.retried),
        },
        "tables": {} if plan.is_shard else {
            name: str(file) for name, file in table_files(plan.folder).items()
        },
    }  # fmt: skip


def _print_summary(found: dict[str, Any]) -> None:
    refused, failed = found["refused"], found["failed"]
    output.print(
        f"{found['scored']} scans scored, {found['skipped']} were scored before, "
        f"{len(refused)} refused, {len(failed)} failed",
        markup=False,
    )
    for name, file in found["tables"].items():
        output.print(f"{name}: {file}", markup=False, soft_wrap=True)
    if refused or failed:
        print_rows("Refused and failed", [*refused, *failed][:SHOWN])
        where = found["tables"].get("failed")
        if where is not None:
            _say(
                f"cacnb: {len(refused)} scans were refused and {len(failed)} failed, see {where}; "
                "--retry scores them again"
            )
    output.print(RESEARCH_ONLY)
