"""The command that tries values of a recipe and chooses among them: tune."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cacnb.cli.terminal import (
    Device,
    Json,
    cell,
    messages,
    output,
    print_json,
    print_rows,
    progress,
)


def tune(
    study: Annotated[list[Path], typer.Option("--study", help="To learn from; may be repeated.")],
    validation: Annotated[Path, typer.Option("--validation", help="Study that chooses.")],
    vary: Annotated[
        list[str],
        typer.Option("--vary", help="NAME=VALUE,VALUE of the recipe, or method=NAME,NAME."),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of runs, tables and choice.")],
    test: Annotated[
        Path | None, typer.Option("--test", help="Study with a truth that chooses nothing.")
    ] = None,
    recipe: Annotated[str, typer.Option("--recipe", help="All that is not varied.")] = "demo",
    iterations: Annotated[
        int | None, typer.Option("--iterations", help="Fewer or more than the recipe's.")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", help="Trainings of each combination.")] = 1,
    workers: Annotated[int, typer.Option("--workers", help="Trainings at once.")] = 1,
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Train a decomposition with every combination of some values, and choose by validation.

    The criterion is the paper's (Figure 5): detection of scans, then the relative difference of
    scan and rescan, here of what the map alone shows. A stopped grid goes on.

    Example: cacnb tune --study out/cohort --validation out/held --vary identity_weight=1,10,100
    --vary sparsity_weight=0.0001,0.001,0.01 --out out/tuning
    """
    from cacnb.errors import UsageError
    from cacnb.learning.recipes import DecompositionRecipe
    from cacnb.learning.recipes import recipe as find_recipe
    from cacnb.tuning import Grid, choose, draw_choice, run_grid, table_rows, tried_settings, varied

    plan = find_recipe("decomposition", recipe)
    if not isinstance(plan, DecompositionRecipe) or seeds < 1 or workers < 1:
        raise UsageError("--seeds and --workers are at least 1")
    if iterations is not None:
        plan = plan.of_length(iterations)
    grid = Grid(
        plan, varied(vary), tuple(range(seeds)), tuple(study), validation, test, device
    )  # fmt: skip
    of = len(grid.cells())
    with progress("tuning") as tell:
        for done, name in enumerate(run_grid(grid, out, workers), start=1):
            tell(done, of, name)
            if not messages.is_terminal:
                messages.print(f"{name}: {done} of {of}", markup=False)
    choice = choose(grid, out)
    figure = draw_choice(grid, out)
    if not choice["f1"]:
        messages.print(
            "no combination found a scan with calcium, so the choice says nothing: train longer, "
            "or try another method"
        )
    if as_json:
        print_json(choice)
        return
    print_rows("validation", _with_spread(table_rows(tried_settings(grid, out))))
    if test is not None:
        told = table_rows(tried_settings(grid, out, "test"))
        print_rows("scans that chose nothing", _with_spread(told))
    output.print(f"chosen: {choice['chosen']}; Figure 5: {figure}", markup=False)


def _with_spread(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each mean over seeds with its standard deviation in brackets, where there is one."""
    return [
        {
            name: f"{cell(value)} ({row[f'{name}_sd']:.2g})" if f"{name}_sd" in row else value
            for name, value in row.items()
            if not name.endswith("_sd")
        }
        for row in rows
    ]
