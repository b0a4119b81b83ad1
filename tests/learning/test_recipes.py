import json
from dataclasses import FrozenInstanceError

import pytest

from cacnb.errors import UsageError
from cacnb.learning.recipes import RECIPES, DecompositionRecipe, Recipe, recipe

ALL = [pytest.param(made, id=f"{s}-{n}") for s, by in RECIPES.items() for n, made in by.items()]


@pytest.mark.parametrize("made", ALL)
def test_a_recipe_comes_back_from_its_file_as_it_was(made: Recipe) -> None:
    assert type(made).from_dict(json.loads(json.dumps(made.as_dict()))) == made


@pytest.mark.parametrize("made", ALL)
def test_a_recipe_cannot_be_changed(made: Recipe) -> None:
    with pytest.raises(FrozenInstanceError):
        made.batch = 3  # type: ignore[misc]


def test_a_recipe_with_a_word_that_nobody_knows_is_refused() -> None:
    with pytest.raises(TypeError, match="momentum"):
        DecompositionRecipe.from_dict({"momentum": 0.9})


@pytest.mark.parametrize(("stage", "name"), [("lungs", "paper"), ("heart", "huge")])
def test_a_stage_or_recipe_that_there_is_not_is_refused_with_those_that_there_are(
    stage: str, name: str
) -> None:
    with pytest.raises(UsageError, match=r"heart, slices, decomposition|paper, demo"):
        recipe(stage, name)
