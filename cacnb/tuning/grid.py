"""Which recipes a grid tries: every combination of some values, each with several seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from cacnb.errors import UsageError
from cacnb.learning.decompositions import by_method
from cacnb.learning.networks import NetworkShape
from cacnb.learning.recipes import DecompositionRecipe

#: Values that a grid may try: numbers of a recipe, and the method by its name.
METHOD = "method"

#: What known calcium, learned alone, knows nothing of: cells that differ in these begin as one.
AFTER_WARM_UP = (
    "cycle_weight", "identity_weight", "sparsity_weight", "adversarial", "critic_rate",
)  # fmt: skip


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

    @property
    def beginning(self) -> Cell | None:
        """The cell whose warm-up is this one's to the last digit; None where there is none."""
        if not self.recipe.warm_up:
            return None
        of_its_own = ("learning_rate",) if self.recipe.inserted_rate else ()
        later = (*AFTER_WARM_UP, *of_its_own)
        papers = {name: getattr(DecompositionRecipe(), name) for name in later}
        setting = {k: v for k, v in self.setting.items() if k not in later}
        return Cell(setting, replace(self.recipe, **papers))

    def _told(self) -> list[tuple[str, float | str]]:
        return [*self.setting.items(), ("seed", self.recipe.seed)]


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
