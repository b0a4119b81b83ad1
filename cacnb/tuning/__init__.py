"""A grid of recipes trained, validated and chosen from by the paper's criterion (section 5)."""

from cacnb.tuning.choice import choose, draw_choice, table_rows, tried_settings
from cacnb.tuning.grid import Grid, varied
from cacnb.tuning.running import run_grid

__all__ = [
    "Grid", "choose", "draw_choice", "run_grid", "table_rows", "tried_settings", "varied",
]  # fmt: skip
