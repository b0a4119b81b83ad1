"""A recipe beside the paper's, value by value, as the code has them; it trains nothing."""

from __future__ import annotations

from typing import Any

import pandas as pd

#: Of a recipe, what is no choice of the method.
NOT_CHOICES = ("name", "seed", "save_every")


def beside_paper(stage: str, recipe: str) -> pd.DataFrame:
    """The values in which a recipe departs from the paper's, each under its name in the code.

    Parameters
    ----------
    stage, recipe
        As `cacnb train` takes them.

    Raises
    ------
    UsageError
        For an unknown stage or recipe.

    Example
    -------
    >>> beside_paper("heart", "demo").loc["patch"].tolist()
    ['64', '32']
    """
    from cacnb.learning.recipes import recipe as find_recipe

    ours, paper = (find_recipe(stage, name).as_dict() for name in (recipe, "paper"))
    rows = {
        key: (_said(paper[key]), _said(ours[key]))
        for key in paper
        if key not in NOT_CHOICES and paper[key] != ours[key]
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["paper", recipe])


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {each}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_said(each) for each in value) or "none"
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
