from dataclasses import replace

import pytest
import torch
from torch import nn

from cacnb.errors import InputError, UsageError
from cacnb.learning.decompositions import METHODS, by_method, decomposer
from cacnb.learning.known_calcium import inserted_loss
from cacnb.learning.one_sided import OneSidedGan
from cacnb.learning.recipes import RECIPES, DecompositionRecipe

from .conftest import TINY_DECOMPOSITION, TINY_DEPARTED, start_decomposition


def test_the_papers_recipe_is_the_cyclegan_without_known_calcium() -> None:
    paper = RECIPES["decomposition"]["paper"]
    assert isinstance(paper, DecompositionRecipe)
    assert by_method(paper, "cyclegan") == paper


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_a_remover_and_its_average_follows(method: str) -> None:
    learner, sampler = start_decomposition(by_method(TINY_DEPARTED, method))
    before = [p.detach().clone() for p in learner.networks["remover"].parameters()]
    mean = [p.detach().clone() for p in learner.trained().parameters()]
    for iteration in range(1, 4):
        losses = learner.step(*sampler.draw(), iteration)
        assert all(value == value for value in losses.values())
    now = learner.networks["remover"].parameters()
    assert not any(torch.equal(p, old) for p, old in zip(now, before, strict=True))
    followed = learner.trained().parameters()
    assert not any(torch.equal(p, old) for p, old in zip(followed, mean, strict=True))


def test_a_method_that_nobody_knows_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="one_sided, inserted, both, bridge"):
        by_method(TINY_DECOMPOSITION, "diffusion")


@pytest.mark.parametrize(
    ("method", "networks"),
    [
        ("cyclegan", {"remover", "synthesiser", "average", "critic_cac", "critic_no_cac"}),
        ("one_sided", {"remover", "average", "critic_no_cac"}),
        ("inserted", {"remover", "average"}),
        ("bridge", {"remover", "average"}),
    ],
)
def test_a_method_has_the_networks_it_learns_with_and_no_other(
    method: str, networks: set[str]
) -> None:
    assert set(decomposer(by_method(TINY_DECOMPOSITION, method)).networks) == networks


@pytest.mark.parametrize("method", ["inserted", "bridge"])
def test_inserted_lesions_refuse_slices_whose_calcium_nobody_knows(method: str) -> None:
    learner = decomposer(by_method(TINY_DECOMPOSITION, method))
    slices = torch.rand(2, 1, 40, 40)
    with pytest.raises(InputError, match="calcium/"):
        learner.step(slices, slices, 1)


def test_inserted_lesions_learn_to_find_what_was_put_in() -> None:
    recipe = replace(
        by_method(TINY_DEPARTED, "inserted"), learning_rate=3e-3, anneal=False, context=()
    )
    learner, sampler = start_decomposition(recipe)
    losses = [learner.step(*sampler.draw(), i)["inserted"] for i in range(1, 61)]
    empty = float(inserted_loss(torch.zeros(1, 1, 8, 8), torch.full((1, 1, 8, 8), 0.2)))
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    assert losses[-1] < empty


@pytest.mark.parametrize("kind", ["log", "least_squares"])
def test_a_one_sided_step_is_its_losses_and_gradients_written_out(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cacnb.learning.decomposer.augment_slices", lambda images, *_: images)
    recipe = replace(by_method(TINY_DECOMPOSITION, "one_sided"), adversarial=kind)
    learner, twin = OneSidedGan(recipe), OneSidedGan(recipe)
    for network in (n for made in (learner, twin) for n in made.networks.values()):
        network.double().train()
    drawn = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0)).double()
    cac, clear = drawn[:2], drawn[2:]

    def fooled(responses: torch.Tensor, real: bool) -> torch.Tensor:
        if kind == "log":
            told = responses.mean((1, 2, 3))
            return nn.functional.softplus(-told if real else told).mean()
        return ((responses - float(real)) ** 2).mean()

    remove, judge = twin.remover, twin.critic_no_cac
    source, target = remove(drawn).split(2)
    healthy = cac - source
    adversarial = fooled(judge(healthy), True)
    loss = adversarial + recipe.identity_weight * target.mean()
    loss = loss + recipe.sparsity_weight * source.mean()
    wanted = torch.autograd.grad(loss, list(remove.parameters()))
    critic = (fooled(judge(clear), True) + fooled(judge(healthy.detach()), False)) / 2
    wanted += torch.autograd.grad(critic, list(judge.parameters()))

    found = learner.step(cac, clear, 1)
    assert found["adversarial"] == pytest.approx(float(adversarial.detach()), rel=1e-10)
    assert found["critic"] == pytest.approx(float(critic.detach()), rel=1e-10)
    trained = [*learner.remover.parameters(), *learner.critic_no_cac.parameters()]
    for parameter, gradient in zip(trained, wanted, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-7, atol=1e-12)


def test_a_recipe_of_another_length_keeps_the_share_of_its_first_part() -> None:
    plan = replace(TINY_DEPARTED, iterations=100, warm_up=88)
    assert plan.of_length(1000).warm_up == 880
    assert plan.of_length(10).save_every <= 10
    with pytest.raises(UsageError, match="at least 1"):
        plan.of_length(0)


def test_known_calcium_alone_is_learned_with_its_own_step_size() -> None:
    recipe = replace(TINY_DEPARTED, anneal=False, inserted_rate=2e-3, learning_rate=3e-4, warm_up=2)
    learner, sampler = start_decomposition(recipe)
    rates = []
    for iteration in (1, 2, 3):
        learner.step(*sampler.draw(), iteration)
        rates.append(learner.optimisers["generators"].param_groups[0]["lr"])
    assert rates == [2e-3, 2e-3, 3e-4]
