"""A grid of recipes trained, validated and chosen from by the paper's criterion (section 5).

Each cell and seed is a run in a folder of its own, so that a stopped grid goes on; what validates
chooses, what tests chooses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pandas as pd
import torch

from cacnb.decomposition_view import best_f1
from cacnb.errors import UsageError
from cacnb.export.chart_files import save_chart
from cacnb.export.chart_parameters import DIFFERENCE, F1, parameter_chart
from cacnb.files import write_atomically
from cacnb.labels.place import study_toml
from cacnb.learning.decompositions import by_method
from cacnb.learning.device import open_device
from cacnb.learning.kept import F1_SLACK
from cacnb.learning.loop import Run
from cacnb.learning.networks import NetworkShape
from cacnb.learning.recipes import DecompositionRecipe
from cacnb.map_truth import MapTruth, hold_against_truth
from cacnb.prepared_slices import slice_store
from cacnb.training import train_stage
from cacnb.training_watch import WatchPlan
from cacnb.validation import best_setting
from cacnb.weights_from_runs import finished_run

#: Values that a grid may try: numbers of a recipe, and the method by its name.
METHOD = "method"

#: The paper's criterion, in words for `choice.json`.
RULE = (
    "as sensitive as the paper's method at no higher a false positive rate where any is; then F1 "
    f"within {F1_SLACK} of the best; then the smallest relative difference of pairs positive twice"
)

#: File of a finished cell's figures, in its run's folder.
FIGURES = "figures.json"

#: What a seed's row of the table holds beside detection and repeatability.
MAP_FIGURES = ("mass_r", "dice", "false_mass", "false_slices")


@dataclass(frozen=True)
class Grid:
    """What is tried: every combination of some values of a recipe, each with several seeds.

    Attributes
    ----------
    recipe
        All that is not tried.
    tried
        A recipe's value or `method` by name, and what it takes; as typed for a method.
    seeds
        Seeds of each combination.
    studies, validation, test
        What is learned from, what chooses, and what only tells; `test` may be left out.
    """

    recipe: DecompositionRecipe
    tried: Mapping[str, tuple[float | str, ...]]
    seeds: tuple[int, ...]
    studies: tuple[Path, ...]
    validation: Path
    test: Path | None = None
    device: str = "cpu"

    def cells(self) -> list[Cell]:
        """Every combination and seed, in the order in which they were given."""
        made = []
        for values in product(*self.tried.values()):
            setting = dict(zip(self.tried, values, strict=True))
            made += [Cell(setting, replace(self._recipe(setting), seed=s)) for s in self.seeds]
        return made

    def _recipe(self, setting: Mapping[str, float | str]) -> DecompositionRecipe:
        recipe = self.recipe
        if METHOD in setting:
            recipe = by_method(recipe, str(setting[METHOD]))
        for name, value in setting.items():
            if name != METHOD:
                recipe = with_value(recipe, name, value)
        return recipe


def with_value(recipe: DecompositionRecipe, name: str, value: float | str) -> DecompositionRecipe:
    """A recipe with another number or word; a network's width and blocks by `critic.blocks`.

    Raises
    ------
    UsageError
        For a name that no number or word of a recipe has, with those that there are.

    Example
    -------
    >>> with_value(DecompositionRecipe(), "critic.blocks", 2.0).critic
    NetworkShape(width=64, blocks=2)
    """
    first, _, part = name.partition(".")
    whole = getattr(recipe, first, None)
    if isinstance(whole, NetworkShape) and part in ("width", "blocks"):
        shape = replace(whole, **{part: int(_of_kind(int, name, value))})
        return replace(recipe, **{first: shape})  # type: ignore[arg-type]
    kinds = get_type_hints(DecompositionRecipe)
    varied_ones = [
        key for key, kind in kinds.items() if kind in (int, float) or get_origin(kind) is Literal
    ]
    if part or first not in varied_ones or first == METHOD:
        raise UsageError(f"a recipe has no {name!r} to vary: choose {', '.join(varied_ones)}")
    return replace(recipe, **{first: _of_kind(kinds[first], name, value)})


def _of_kind(kind: Any, name: str, value: float | str) -> Any:
    """A value as a recipe wants it: a whole number, a number, or one of some words."""
    words = get_args(kind)
    if words and value not in words:
        raise UsageError(f"{name} = {value!r} is no word of a recipe: choose {', '.join(words)}")
    if not words and isinstance(value, str):
        raise UsageError(f"{name} = {value!r} is no number: give one")
    return value if words else kind(value)


@dataclass(frozen=True)
class Cell:
    """One combination with one seed."""

    setting: Mapping[str, float | str]
    recipe: DecompositionRecipe

    @property
    def name(self) -> str:
        """Its run's folder: for example `identity_weight=10_seed=0`."""
        told = [f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in self._told()]
        return "_".join(told)

    def _told(self) -> list[tuple[str, float | str]]:
        return [*self.setting.items(), ("seed", self.recipe.seed)]


def run_grid(grid: Grid, out: Path, workers: int = 1) -> Iterator[str]:
    """Train and hold against the truth every cell that has no figures yet; yields their names.

    Several workers share the cores of the machine; with one, a cell has them all.
    """
    left = [cell for cell in grid.cells() if not (out / "runs" / cell.name / FIGURES).exists()]
    _prepare(grid)
    if workers == 1:
        for cell in left:
            yield _finish(grid, cell, out)
        return
    threads = max(1, torch.get_num_threads() // workers)
    pool = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=torch.set_num_threads,
        initargs=(threads,),
    )  # fmt: skip
    with pool:
        for done in as_completed([pool.submit(_finish, grid, cell, out) for cell in left]):
            yield done.result()


def _prepare(grid: Grid) -> None:
    """Cut the slices of all studies once, before several processes ask for them."""
    for study in (*grid.studies, grid.validation, *([grid.test] if grid.test else [])):
        slice_store([study], grid.recipe.store_px)


def _finish(grid: Grid, cell: Cell, out: Path) -> str:
    """Train one cell to its end and write its figures."""
    folder = out / "runs" / cell.name
    watched = WatchPlan(validate_every=0, picture_every=0)
    seconds = 0.0
    for step in train_stage(
        "decomposition", cell.recipe, list(grid.studies), Run(folder, resume=True), watched,
        grid.device,
    ):  # fmt: skip
        seconds = step.seconds
    device = open_device(grid.device)
    network = finished_run(folder, "decomposition").network.to(device)
    seen = hold_against_truth(network, cell.recipe, grid.validation, device)
    least = _least_mass(seen)
    figures: dict[str, Any] = {
        "seconds": seconds or _logged_seconds(folder), "least_mass_hu_mm3": least,
        "validation": _told(seen, least),
    }  # fmt: skip
    if grid.test is not None:
        told = hold_against_truth(network, cell.recipe, grid.test, device)
        figures["test"] = _told(told, least)
        write_atomically(told.scans.to_csv(index=False), folder / "test_scans.csv")
    write_atomically(json.dumps(figures, indent=2), folder / FIGURES)
    return cell.name


def _logged_seconds(folder: Path) -> float:
    lines = (folder / "steps.jsonl").read_text(encoding="utf-8").splitlines()
    return float(json.loads(lines[-1])["seconds"])


def _least_mass(seen: MapTruth) -> float:
    """The least mass of a scan by the best F1 of the validation scans."""
    mass = seen.scans["mass_hu_mm3"].to_numpy(float)
    _, least = best_f1(mass, seen.scans["visible"].to_numpy(bool))
    return least


def _told(seen: MapTruth, least: float) -> dict[str, Any]:
    return {**{name: getattr(seen, name) for name in MAP_FIGURES}, **seen.figures(least)}


def tried_settings(grid: Grid, out: Path, of: str = "validation") -> pd.DataFrame:
    """One row a combination: means over its seeds, and the standard deviation as `…_sd`.

    `of` is `validation` or `test`. Combinations without a finished seed are left out.
    """
    rows: dict[tuple[float | str, ...], list[dict[str, Any]]] = {}
    for cell in grid.cells():
        file = out / "runs" / cell.name / FIGURES
        if file.exists():
            told = json.loads(file.read_text(encoding="utf-8"))
            figures = {**told[of], "seconds": told["seconds"]}
            rows.setdefault(tuple(cell.setting.values()), []).append(figures)
    table = []
    for values, seeds in rows.items():
        frame = pd.DataFrame(seeds).astype(float)
        spread = frame.std(ddof=1).add_suffix("_sd") if len(frame) > 1 else pd.Series(dtype=float)
        setting = dict(zip(grid.tried, values, strict=True))
        table.append({**setting, "seeds": len(frame), **frame.mean(), **spread})
    return pd.DataFrame(table)


def table_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A table's rows as plain values."""
    return [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]


def choose(grid: Grid, out: Path) -> dict[str, Any]:
    """Choose by validation and write `tried.csv`, `test.csv` and `choice.json` into `out`."""
    tried = tried_settings(grid, out)
    if tried.empty:
        raise UsageError("no combination was finished: nothing can be chosen")
    chosen = best_setting(tried)
    tried["chosen"] = tried.index == chosen
    write_atomically(tried.to_csv(index=False), out / "tried.csv")
    if grid.test is not None:
        write_atomically(tried_settings(grid, out, "test").to_csv(index=False), out / "test.csv")
    choice = {
        "chosen": {name: _plain(tried.loc[chosen, name]) for name in grid.tried},
        "rule": RULE,
        "settings": len(tried),
        "seeds": list(grid.seeds),
        "recipe": grid.recipe.as_dict(),
    }
    write_atomically(json.dumps(choice, indent=2), out / "choice.json")
    return choice


def _plain(value: Any) -> float | str:
    return value if isinstance(value, str) else float(value)


def varied(told: Sequence[str]) -> dict[str, tuple[float | str, ...]]:
    """`name=value,value` as typed, to a grid's `tried`.

    Example
    -------
    >>> varied(["identity_weight=1,10", "method=both,inserted"])
    {'identity_weight': (1.0, 10.0), 'method': ('both', 'inserted')}
    """
    found: dict[str, tuple[float | str, ...]] = {}
    for each in told:
        name, _, values = each.partition("=")
        found[name] = tuple(_number_or_word(value) for value in values.split(",") if value)
        if not found[name]:
            raise UsageError(f"--vary {each!r}: give a name and values, as identity_weight=1,10")
    return found


def _number_or_word(typed: str) -> float | str:
    try:
        return float(typed)
    except ValueError:
        return typed


def draw_choice(grid: Grid, out: Path) -> Path:
    """Figure 5 of what was tried, as SVG, PNG and CSV under `out`; returns the SVG."""
    tried = tried_settings(grid, out)
    several = [name for name, values in grid.tried.items() if len(values) > 1] or [*grid.tried]
    rows = table_rows(tried[[*several, F1, DIFFERENCE]])
    simulated = bool(study_toml(grid.validation).get("simulated"))
    chart = parameter_chart(rows, chosen=best_setting(tried), simulated=simulated)
    return save_chart(chart, out / "figure_5")[0]
