"""What a grid's figures choose by the paper's criterion, and Figure 5 of it; it trains nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from cacnb.errors import UsageError
from cacnb.export.chart_files import save_chart
from cacnb.export.chart_parameters import DIFFERENCE, F1, parameter_chart
from cacnb.files import write_atomically
from cacnb.labels.place import study_toml
from cacnb.learning.kept import F1_SLACK
from cacnb.tuning.grid import Grid
from cacnb.tuning.running import FIGURES
from cacnb.validation import best_setting

#: The paper's criterion, in words for `choice.json`.
RULE = (
    "as sensitive as the paper's method at no higher a false positive rate where any is; then F1 "
    f"within {F1_SLACK} of the best; then the smallest relative difference of pairs positive twice"
)


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
    """Choose by validation and write `tried.csv`, `test.csv` and `choice.json` into `out`.

    Where no combination found a scan with calcium the choice has `f1` 0 and says nothing.
    """
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
        "f1": float(tried[F1].iloc[chosen]),
        "rule": RULE,
        "settings": len(tried),
        "seeds": list(grid.seeds),
        "recipe": grid.recipe.as_dict(),
    }
    write_atomically(json.dumps(choice, indent=2), out / "choice.json")
    return choice


def _plain(value: Any) -> float | str:
    return value if isinstance(value, str) else float(value)


def draw_choice(grid: Grid, out: Path) -> Path:
    """Figure 5 of what was tried, as SVG, PNG and CSV under `out`; returns the SVG."""
    tried = tried_settings(grid, out)
    several = [name for name, values in grid.tried.items() if len(values) > 1] or [*grid.tried]
    rows = table_rows(tried[[*several, F1, DIFFERENCE]])
    simulated = bool(study_toml(grid.validation).get("simulated"))
    chart = parameter_chart(rows, chosen=best_setting(tried), simulated=simulated)
    return save_chart(chart, out / "figure_5")[0]
