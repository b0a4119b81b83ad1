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


@pytest.mark.parametrize("stage", ["slices", "decomposition"])
def test_the_fast_recipe_is_the_papers_but_for_batch_step_size_and_how_it_is_computed(
    stage: str,
) -> None:
    paper, fast = (RECIPES[stage][name].as_dict() for name in ("paper", "fast"))
    assert fast["iterations"] * fast["batch"] == paper["iterations"] * paper["batch"]
    growth = fast["batch"] / paper["batch"]
    for rate in {"learning_rate", "critic_rate"} & set(paper):
        assert fast[rate] == pytest.approx(paper[rate] * growth**0.5)
    differs = {name for name in paper if fast[name] != paper[name]}
    assert differs - {"learning_rate", "critic_rate"} == {
        "name", "iterations", "batch", "precision", "compiled", "on_device"
    }  # fmt: skip


def test_the_default_has_the_papers_networks_and_slices_and_the_departures_of_the_packaged() -> (
    None
):
    paper, packaged, default = (
        RECIPES["decomposition"][name].as_dict() for name in ("paper", "packaged", "default")
    )
    assert default["network"] == paper["network"]
    assert default["iterations"] * default["batch"] == paper["iterations"] * paper["batch"]
    departs = ("adversarial", "map_start", "average_decay", "inserted_weight", "context", "anneal")
    assert {name: default[name] for name in departs} == {name: packaged[name] for name in departs}
    shares = [plan["warm_up"] / plan["iterations"] for plan in (packaged, default)]
    assert shares[1] == pytest.approx(shares[0], abs=0.001)
    for weight in ("cycle_weight", "identity_weight", "sparsity_weight"):
        assert default[weight] == paper[weight]


@pytest.mark.parametrize("stage", ["slices", "decomposition"])
def test_a_recipe_written_before_there_was_a_precision_is_the_plain_one(stage: str) -> None:
    kept = RECIPES[stage]["paper"].as_dict()
    for later in ("precision", "compiled", "on_device"):
        del kept[later]
    assert type(RECIPES[stage]["paper"]).from_dict(kept) == RECIPES[stage]["paper"]
