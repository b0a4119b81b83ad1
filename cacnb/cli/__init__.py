"""The command line: what a person types, and what a script may rely on; it decides nothing."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cacnb import RESEARCH_ONLY, __version__
from cacnb.cli import (
    change,
    exporting,
    fetch,
    running,
    scans,
    serving,
    statistics,
    studies,
    study,
    tuning,
    weights,
)
from cacnb.cli.terminal import messages
from cacnb.errors import CacnbError

app = typer.Typer(
    help=f"Reproducible coronary calcium scoring on ordinary chest CT. {RESEARCH_ONLY}",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

#: In the order of `cacnb --help`: a scan, a study, its evidence.
COMMANDS = (
    scans.demo, scans.inspect, scans.score, scans.clinical,
    fetch.fetch, studies.simulate, studies.insert, studies.train, tuning.tune, running.run,
    studies.evaluate, studies.calibration, statistics.agree, change.change,
    exporting.export, serving.serve,
)  # fmt: skip

for command in COMMANDS:
    app.command()(command)
app.add_typer(study.study, name="study", help="What belongs to a study folder.")
app.add_typer(
    weights.weights, name="weights", help="Trained networks: what is there, and making them."
)


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
