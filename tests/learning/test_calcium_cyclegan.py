from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cacnb.errors import InputError
from cacnb.learning.calcium_cyclegan import CalciumCycleGan
from cacnb.learning.decomposer import cac_map_hu
from cacnb.learning.known_calcium import insert_calcium, inserted_loss
from cacnb.learning.map_losses import adversarial_loss, cycle_loss, map_loss
from cacnb.learning.networks import EMPTY_START, LESION_START

from .conftest import TINY_DECOMPOSITION, TINY_DEPARTED, start_decomposition

CPU = torch.device("cpu")


class Excess(nn.Module):
    """What lies above 50 HU is calcium."""

    def forward(self, slices: Tensor) -> Tensor:
        return (slices - 0.1).clamp(min=0)


def responses(*images: tuple[float, ...]) -> Tensor:
    return torch.tensor(images)[:, None, None, :]


def test_equation_2_is_the_log_loss_of_the_averaged_responses() -> None:
    found = responses((-1.0, 3.0), (0.0, 0.0))
    real = adversarial_loss(found, real=True, kind="log")
    fake = adversarial_loss(found, real=False, kind="log")
    assert float(real) == pytest.approx((0.3132617 + 0.6931472) / 2)
    assert float(fake) == pytest.approx((1.3132617 + 0.6931472) / 2)


def test_the_log_loss_stays_finite_for_a_critic_that_is_sure() -> None:
    sure = responses((200.0, 200.0))
    assert float(adversarial_loss(sure, real=False, kind="log")) == pytest.approx(200.0)
    assert float(adversarial_loss(sure, real=True, kind="log")) == pytest.approx(0.0)


def test_least_squares_looks_at_every_response() -> None:
    found = responses((-1.0, 3.0), (0.0, 1.0))
    real = adversarial_loss(found, real=True, kind="least_squares")
    fake = adversarial_loss(found, real=False, kind="least_squares")
    assert float(real) == pytest.approx((4 + 4 + 1 + 0) / 4)
    assert float(fake) == pytest.approx((1 + 9 + 0 + 1) / 4)


def test_equation_3_is_the_mean_distance_from_there_and_back() -> None:
    image, again = torch.tensor([0.1, 0.5, 0.9]), torch.tensor([0.2, 0.3, 0.9])
    assert float(cycle_loss(again, image)) == pytest.approx((0.1 + 0.2) / 3)
    assert float(cycle_loss(image, image)) == 0


def test_equations_4_and_5_are_the_mean_of_the_map() -> None:
    assert float(map_loss(torch.tensor([0.0, 0.2, -0.1, 0.5]))) == pytest.approx(0.2)


def test_a_map_loses_the_more_the_more_it_misses_of_a_drawn_lesion() -> None:
    drawn = torch.tensor([0.0, 0.2, 0.4])
    losses = [float(inserted_loss(share * drawn, drawn)) for share in (1.0, 0.9, 0.5, 0.1)]
    assert losses == sorted(losses)
    assert losses[0] == pytest.approx(0.0, abs=1e-4)
    assert losses[1] > 1e-3


def test_calcium_where_no_lesion_was_drawn_is_a_loss() -> None:
    drawn = torch.tensor([0.0, 0.2])
    assert float(inserted_loss(torch.tensor([0.1, 0.2]), drawn)) > 0.01


def slices_with_a_spot() -> Tensor:
    """Unclipped grey values and the calcium in them: fat below the window, a spot of 0.3."""
    slices = torch.full((6, 2, 16, 16), 0.0)
    slices[:, 0] = -0.05
    slices[:, :, 6:9, 6:9] += 0.3
    return slices


def test_calcium_is_put_back_at_another_strength_and_the_rest_stays() -> None:
    slices = slices_with_a_spot()
    images, maps = insert_calcium(slices, torch.Generator().manual_seed(0))
    gains = maps[:, 0, 7, 7] / 0.3
    assert len({round(float(gain), 4) for gain in gains}) == 6
    torch.testing.assert_close(images[:, 0, 7, 7], (-0.05 + 0.3 * gains).clamp(0, 1))
    assert float(images.min()) >= 0
    assert not maps[..., :6, :].any()
    assert not images[..., :6, :].any()


def test_a_slice_without_calcium_keeps_its_image_and_has_an_empty_map() -> None:
    slices = torch.cat([torch.rand(3, 1, 8, 8), torch.zeros(3, 1, 8, 8)], dim=1)
    images, maps = insert_calcium(slices, torch.Generator().manual_seed(0))
    torch.testing.assert_close(images, slices[:, :1])
    assert not maps.any()


def test_a_recipe_that_needs_known_calcium_refuses_slices_without() -> None:
    learner = CalciumCycleGan(TINY_DEPARTED)
    slices = torch.rand(2, 1, 40, 40)
    with pytest.raises(InputError, match="calcium/"):
        learner.step(slices, slices, 1)


def exact_pair(*, frozen: bool) -> tuple[CalciumCycleGan, CalciumCycleGan]:
    """Two learners alike, in float64, in training, with batch norm frozen or not."""
    learners = CalciumCycleGan(TINY_DECOMPOSITION), CalciumCycleGan(TINY_DECOMPOSITION)
    for network in (n for learner in learners for n in learner.networks.values()):
        for module in network.double().train().modules():
            if isinstance(module, nn.BatchNorm2d):
                module.train(not frozen)
    return learners


def plain_step(
    twin: CalciumCycleGan, cac: Tensor, clear: Tensor, *, joined: bool
) -> dict[str, Tensor]:
    """The usual CycleGAN step: one pass after another, one loss, then each critic.

    With `joined` the identity and translation of a generator are one batch, as batch norm sees it.
    """
    remove, add = twin.remover, twin.synthesiser
    critic_cac, critic_clear = twin.critic_cac, twin.critic_no_cac
    plan = twin.plan
    if joined:
        removed, removed_clear = remove(torch.cat([cac, clear])).split(2)
        added, added_cac = add(torch.cat([clear, cac])).split(2)
    else:
        removed, removed_clear, added, added_cac = remove(cac), remove(clear), add(clear), add(cac)
    fake_clear, fake_cac = cac - removed, clear + added
    softplus = nn.functional.softplus
    terms = {
        "cycle": (fake_clear + add(fake_clear) - cac).abs().mean()
        + (fake_cac - remove(fake_cac) - clear).abs().mean(),
        "identity": removed_clear.mean() + added_cac.mean(),
        "sparsity": removed.mean() + added.mean(),
        "adversarial": softplus(-critic_clear(fake_clear).mean((1, 2, 3))).mean()
        + softplus(-critic_cac(fake_cac).mean((1, 2, 3))).mean(),
    }
    generators = [*remove.parameters(), *add.parameters()]
    loss = (
        terms["adversarial"] + plan.cycle_weight * terms["cycle"]
        + plan.identity_weight * terms["identity"] + plan.sparsity_weight * terms["sparsity"]
    )  # fmt: skip
    gradients = torch.autograd.grad(loss, generators)
    critic = sum(
        (softplus(-judge(real).mean((1, 2, 3))) + softplus(judge(fake.detach()).mean((1, 2, 3))))
        .mean() / 2
        for judge, real, fake in ((critic_cac, cac, fake_cac), (critic_clear, clear, fake_clear))
    )  # fmt: skip
    terms["critic"] = torch.as_tensor(critic)
    critics = [*critic_cac.parameters(), *critic_clear.parameters()]
    gradients += torch.autograd.grad(terms["critic"], critics)
    for parameter, gradient in zip([*generators, *critics], gradients, strict=True):
        parameter.grad = gradient
    for optimiser in twin.optimisers.values():
        optimiser.step()
    return terms


@pytest.mark.parametrize("frozen", [True, False])
def test_a_step_is_the_usual_cyclegans_in_its_losses_gradients_and_new_weights(
    frozen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exactly where batch norm is frozen; else with a generator's two domains in one batch."""
    monkeypatch.setattr("cacnb.learning.decomposer.augment_slices", lambda images, *_: images)
    learner, twin = exact_pair(frozen=frozen)
    drawn = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0)).double()
    cac, clear = drawn[:2], drawn[2:]
    want = plain_step(twin, cac, clear, joined=not frozen)
    found = learner.step(cac, clear, 1)
    for term, value in want.items():
        assert found[term] == pytest.approx(float(value.detach()), rel=1e-10), term
    for name in ("remover", "synthesiser", "critic_cac", "critic_no_cac"):
        ours, plain = learner.networks[name], twin.networks[name]
        for one, other in zip(ours.parameters(), plain.parameters(), strict=True):
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-7, atol=1e-12)
            torch.testing.assert_close(one, other, rtol=0, atol=1e-9)
        for seen, told in zip(ours.buffers(), plain.buffers(), strict=True):
            torch.testing.assert_close(seen, told, rtol=1e-10, atol=1e-12)


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Torch with two threads, as on two cores, whatever the tests run with."""
    held = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(held)


def trained_losses(steps: int = 3) -> list[dict[str, float]]:
    learner, sampler = start_decomposition()
    return [learner.step(*sampler.draw(), i) for i in range(1, steps + 1)]


@pytest.mark.usefixtures("two_threads")
def test_two_cores_give_the_same_losses_every_time_and_those_of_one_core() -> None:
    two = trained_losses()
    assert trained_losses() == two
    torch.set_num_threads(1)
    for one, both in zip(trained_losses(), two, strict=True):
        assert one == pytest.approx(both, rel=1e-3)


def test_bfloat16_is_computed_in_only_where_a_device_has_units_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain = trained_losses(1)[0]
    recipe = replace(TINY_DECOMPOSITION, precision="bfloat16")
    for has_units in (False, True):
        monkeypatch.setattr("cacnb.learning.decomposer.runs_bfloat16", lambda _, has=has_units: has)
        learner, sampler = start_decomposition(recipe)
        found = learner.step(*sampler.draw(), 1)
        assert found == (pytest.approx(plain, rel=0.05) if has_units else plain)
        assert (found != plain) is has_units
        assert {p.dtype for p in learner.trained().parameters()} == {torch.float32}


def test_a_step_trains_both_generators_and_both_critics() -> None:
    learner, sampler = start_decomposition()
    before = {
        name: [p.detach().clone() for p in network.parameters()]
        for name, network in learner.networks.items()
    }
    learner.step(*sampler.draw(), 1)
    for name, network in learner.networks.items():
        changed = [
            not torch.equal(p, old)
            for p, old in zip(network.parameters(), before[name], strict=True)
        ]
        assert all(changed), name


def test_the_maps_of_the_second_generator_can_start_elsewhere() -> None:
    slices = torch.rand(2, 1, 32, 32)
    plan = replace(TINY_DECOMPOSITION, map_start=LESION_START)
    for added_start, share in ((None, 0.27), (EMPTY_START, 0.02)):
        learner = CalciumCycleGan(replace(plan, added_start=added_start))
        started = [
            float(network.eval()(slices).mean().detach())
            for network in (learner.remover, learner.synthesiser)
        ]
        assert started == pytest.approx([0.27, share], rel=0.5)


def test_without_averaging_the_trained_network_is_the_remover_itself() -> None:
    learner, sampler = start_decomposition()
    learner.step(*sampler.draw(), 1)
    slices = torch.rand(2, 1, 32, 32)
    remover = learner.networks["remover"].eval()
    torch.testing.assert_close(learner.trained().eval()(slices), remover(slices))


def test_an_averaged_remover_lags_behind_the_trained_one() -> None:
    learner, sampler = start_decomposition(TINY_DEPARTED)
    for iteration in (1, 2, 3):
        learner.step(*sampler.draw(), iteration)
    mean, now = (
        torch.cat([p.detach().flatten() for p in network.parameters()])
        for network in (learner.trained(), learner.networks["remover"])
    )
    assert not torch.allclose(mean, now, atol=1e-6)
    assert not any(p.requires_grad for p in learner.trained().parameters())


@pytest.mark.parametrize(("anneal", "falls"), [(False, False), (True, True)])
def test_the_papers_learning_rate_stays_and_an_annealed_one_falls(
    anneal: bool, falls: bool
) -> None:
    learner, sampler = start_decomposition(replace(TINY_DECOMPOSITION, anneal=anneal))
    learner.step(*sampler.draw(), learner.recipe.iterations)
    for optimiser in learner.optimisers.values():
        assert (optimiser.param_groups[0]["lr"] < 1e-4) is falls


def test_a_map_is_in_hu_and_the_size_of_a_batch_changes_nothing() -> None:
    hu = np.zeros((5, 8, 8), np.int16)
    hu[0, 1, 1], hu[4, 2, 2] = 250, 2000
    one, all_ = (cac_map_hu(Excess(), hu[:, None], CPU, batch=b) for b in (2, 8))
    np.testing.assert_array_equal(one, all_)
    assert one.dtype == np.float32
    assert one[0, 1, 1] == pytest.approx(200.0, rel=1e-5)
    assert one[4, 2, 2] == pytest.approx(900.0, rel=1e-5)
    assert np.count_nonzero(one) == 2


def test_a_heart_without_slices_has_an_empty_map() -> None:
    assert cac_map_hu(Excess(), np.zeros((0, 3, 8, 8)), CPU).shape == (0, 8, 8)
