"""The trained clinical baseline on drawn chests: bright dots in the heart, a bar of bone."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cacnb.ct.volume import Volume
from cacnb.learning.clinical_baseline import (
    CandidateSampler,
    ClinicalBaseline,
    ClinicalLearner,
    artery_labels,
    label_candidates,
    spread,
)
from cacnb.learning.clinical_candidates import (
    Candidates,
    cut_views,
    find_candidates,
    to_clinical_grey,
)
from cacnb.learning.clinical_networks import CLASSES, CalciumNetwork, LabelNetwork
from cacnb.learning.loop import Run, train
from cacnb.learning.networks import parameter_count
from cacnb.learning.recipes import DEMO_CLINICAL, ClinicalRecipe

CPU = torch.device("cpu")

TINY = ClinicalRecipe(
    name="tiny", iterations=6, first_iterations=4, batch=8, learning_rate=3e-3,
    second_learning_rate=3e-3, save_every=3, spacing_mm=2.0, widths=(4,) * 6, combined=8,
    dilations=(1, 1, 2, 4, 4, 1), dropout=0.1, labelled_px=3, view_weight=0.1,
    second_widths=(4, 4, 4, 4), second_dense=8, second_px=27, second_dropout=0.1, vary=1.0,
)  # fmt: skip

#: Where the drawn chest has its dots, one an artery, and its bar of bone.
DOTS = {1: (20, 16, 16), 2: (20, 16, 28), 3: (14, 24, 22)}
BONE = np.s_[10:30, 38:41, 12:32]


def draw_chest(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """HU and labels of a heart in lung, with a dot for each artery, and bone behind it."""
    rng = np.random.default_rng(seed)
    z, y, x = np.ogrid[:40, :44, :44]
    heart = ((z - 20) / 13) ** 2 + ((y - 20) / 13) ** 2 + ((x - 22) / 13) ** 2 < 1
    hu = np.where(heart, 40.0, -800.0) + rng.normal(0, 15, heart.shape)
    labels = np.zeros(heart.shape, np.int64)
    hu[BONE] = rng.normal(400, 40, hu[BONE].shape)
    for artery, (dz, dy, dx) in DOTS.items():
        jitter = rng.integers(-1, 2, 3)
        dot = tuple(slice(c + j, c + j + 2) for c, j in zip((dz, dy, dx), jitter, strict=True))
        hu[dot], labels[dot] = rng.normal(350, 40, (2, 2, 2)), artery
    return hu, labels


def write_chest(stem: Path, seed: int) -> Path:
    hu, labels = draw_chest(seed)
    points = np.argwhere(hu >= 130)
    label = labels[tuple(points.T)]
    calcium = np.argwhere(labels)
    np.save(f"{stem}.image.npy", hu.astype(np.int16))
    np.save(f"{stem}.candidates.npy", np.column_stack([points, label, label]))
    np.save(f"{stem}.labels.npy", np.column_stack([calcium, labels[tuple(calcium.T)]]))
    return stem


def sampler_of(stems: list[Path], recipe: ClinicalRecipe = TINY) -> CandidateSampler:
    size = recipe.field_px + recipe.labelled_px - 1
    return CandidateSampler(
        stems, batch=recipe.batch, size=size, labelled=recipe.labelled_px, seed=recipe.seed
    )


@pytest.fixture
def stems(tmp_path: Path) -> list[Path]:
    return [write_chest(tmp_path / f"chest{seed}", seed) for seed in range(4)]


def seen_by(network: nn.Module, size: int, view: int) -> tuple[int, int]:
    """Rows and columns of a view of which the answer depends, over several random images."""
    network = network.double().eval()
    touched = torch.zeros(size, size, dtype=torch.bool)
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        views = torch.randn(1, 3, size, size, generator=generator, dtype=torch.double)
        views.requires_grad_()
        answer = network(views)
        middle = answer[0] if isinstance(answer, tuple) else answer
        (gradient,) = torch.autograd.grad(middle.abs().sum(), views)
        touched |= gradient[0, view] != 0
    return int(touched.any(dim=1).sum()), int(touched.any(dim=0).sum())


@pytest.mark.parametrize("view", [0, 1, 2])
def test_the_first_network_sees_131_voxels_of_each_view(view: int) -> None:
    paper = ClinicalRecipe()
    assert paper.field_px == 131
    network = LabelNetwork((2,) * 8, paper.dilations, 4, 0.0)
    assert seen_by(network, 141, view) == (131, 131)


def test_the_second_network_sees_65_voxels_but_for_the_last_that_pooling_drops() -> None:
    paper = ClinicalRecipe()
    network = CalciumNetwork((2, 2, 2, 2), 4, paper.second_px, 0.0)
    assert paper.second_px == 65
    assert seen_by(network, 65, 0) == (64, 64)


def test_the_demo_sees_as_many_millimetres_as_the_paper() -> None:
    paper = ClinicalRecipe()
    for demo_px, paper_px in (
        (DEMO_CLINICAL.field_px, paper.field_px),
        (DEMO_CLINICAL.second_px, paper.second_px),
    ):
        assert demo_px * DEMO_CLINICAL.spacing_mm == pytest.approx(
            paper_px * paper.spacing_mm, rel=0.03
        )


def test_the_networks_are_as_large_as_the_authors() -> None:
    both = ClinicalBaseline(ClinicalRecipe())
    # 3 views of 32 channels: 9·32 + 32, seven of 9·32² + 32, 32² + 32; their heads; 96 → 128 → 4
    branch = (9 * 32 + 32) + 7 * (9 * 32**2 + 32) + (32**2 + 32)
    first = 3 * (branch + 32 * 4 + 4) + (96 * 128 + 128) + (128 * 4 + 4)
    # 65 → 61, 30, 28, 14, 12, 6: 3 views of 32 · 6² features; two numbers a batch-normed channel
    convolutions = 25 * 24 + 9 * 24 * 32 + 9 * 32 * 48 + 48 * 32 + 2 * (24 + 32 + 48 + 32)
    second = convolutions + 3 * 32 * 36 * 256 + 2 * 256 + (256 * 2 + 2)
    assert parameter_count(both.first) == first == 211_664
    assert parameter_count(both.second) == second == 908_906


def test_the_demo_is_small_enough_to_ship() -> None:
    assert parameter_count(ClinicalBaseline(DEMO_CLINICAL)) < 60_000


@pytest.mark.slow
def test_the_papers_recipe_trains_a_step_of_each_network(tmp_path: Path) -> None:
    recipe = replace(ClinicalRecipe(), batch=2, iterations=2, first_iterations=1)
    sampler = sampler_of([write_chest(tmp_path / "chest", 0)], recipe)
    steps = list(train(ClinicalLearner(recipe), sampler, Run(tmp_path / "run")))
    assert [set(step.losses) for step in steps] == [
        {"labels", "views", "label_accuracy"}, {"calcium", "calcium_accuracy"}
    ]  # fmt: skip


def test_what_the_second_network_denies_is_other() -> None:
    both = ClinicalBaseline(TINY).eval()
    with torch.no_grad():
        both.second.head[-1].weight.zero_()
        both.second.head[-1].bias.copy_(torch.tensor([30.0, 0.0]))
        probability = both(torch.randn(5, 3, 27, 27))
    torch.testing.assert_close(probability, torch.tensor([[1.0, 0, 0, 0]]).expand(5, 4))


def test_both_networks_answers_are_multiplied() -> None:
    both = ClinicalBaseline(TINY).eval()
    views = torch.randn(6, 3, 27, 27)
    with torch.no_grad():
        probability = both(views)
        labels = torch.softmax(both.first(views)[0], dim=1)
        calcium = torch.softmax(both.second(views), dim=1)[:, 1]
    torch.testing.assert_close(probability[:, 1:], labels[:, 1:] * calcium[:, None])
    torch.testing.assert_close(probability.sum(dim=1), torch.ones(6))


def test_half_of_a_batch_is_coronary_and_no_artery_is_left_out(stems: list[Path]) -> None:
    sampler = sampler_of(stems, replace(TINY, batch=240))
    views, labels = sampler.draw()
    middle = labels[:, 0, 1, 1].numpy()
    assert views.shape == (240, 3, 29, 29)
    assert (middle > 0).mean() == 0.5
    counts = np.bincount(middle, minlength=4)[1:]
    assert counts.min() > 20  # a third of 120 each


def test_a_drawn_patch_stands_around_its_candidate(stems: list[Path]) -> None:
    views, labels = sampler_of(stems).draw()
    middle = views[:, :, 14, 14]
    assert (middle >= 0).all()  # at or above 130 HU
    assert (middle == middle[:, :1]).all()
    calcium = labels[:, 0, 1, 1] > 0
    assert (labels[calcium] > 0).sum(dim=(1, 2, 3)).min() >= 3 * 4  # a dot is two voxels wide
    assert not labels[~calcium].any()  # bone is far from any dot


def test_a_training_set_without_calcium_is_refused(tmp_path: Path) -> None:
    write_chest(tmp_path / "chest", 0)
    table = np.load(tmp_path / "chest.candidates.npy")
    np.save(tmp_path / "chest.candidates.npy", table[table[:, 3] == 0])
    with pytest.raises(ValueError, match="no candidate"):
        sampler_of([tmp_path / "chest"])


def test_a_run_that_broke_off_goes_on_to_the_last_digit(stems: list[Path], tmp_path: Path) -> None:
    whole = list(train(ClinicalLearner(TINY), sampler_of(stems), Run(tmp_path / "whole")))
    steps = train(ClinicalLearner(TINY), sampler_of(stems), Run(tmp_path / "broken"))
    for _ in range(4):
        next(steps)
    steps.close()  # type: ignore[attr-defined]
    torch.manual_seed(99)  # what else the process draws has no part in it
    rest = list(
        train(ClinicalLearner(TINY), sampler_of(stems), Run(tmp_path / "broken", resume=True))
    )
    assert [step.iteration for step in rest] == [4, 5, 6]
    assert [step.losses for step in rest] == [step.losses for step in whole[3:]]
    logs = [(tmp_path / run / "steps.jsonl").read_text() for run in ("whole", "broken")]
    one, other = ([json.loads(line) for line in log.splitlines()] for log in logs)
    for line in (*one, *other):
        del line["seconds"]  # the machine decides them
    assert one == other
    assert [set(line) >= {"labels"} for line in one] == [True] * 4 + [False] * 2


def test_the_second_networks_turn_leaves_the_first_as_it_was(stems: list[Path]) -> None:
    learner, sampler = ClinicalLearner(TINY), sampler_of(stems)
    for iteration in range(1, 5):
        learner.step(*sampler.draw(), iteration)
    held = {k: v.clone() for k, v in learner.both.first.state_dict().items()}
    before = learner.both.second.head[-1].weight.clone()
    learner.step(*sampler.draw(), 5)
    assert all(torch.equal(v, held[k]) for k, v in learner.both.first.state_dict().items())
    assert not torch.equal(learner.both.second.head[-1].weight, before)


@pytest.mark.parametrize(("name", "falls"), [("paper", False), ("demo", True)])
@pytest.mark.parametrize(("which", "iteration"), [("first", 4), ("second", 8)])
def test_only_the_demo_lowers_its_learning_rates(
    stems: list[Path], name: str, falls: bool, which: str, iteration: int
) -> None:
    learner = ClinicalLearner(replace(TINY, name=name, iterations=8))
    learner.step(*sampler_of(stems).draw(), iteration)
    rate = learner.optimisers[which].param_groups[0]["lr"]
    assert rate == pytest.approx(TINY.learning_rate * (0.75 if falls else 1))


def test_a_short_training_tells_the_arteries_dots_from_bone(
    stems: list[Path], tmp_path: Path
) -> None:
    recipe = replace(
        TINY, name="toy", iterations=140, first_iterations=90, batch=16, widths=(8,) * 6,
        combined=16, save_every=140, learning_rate=5e-3, second_learning_rate=5e-3,
    )  # fmt: skip
    learner = ClinicalLearner(recipe)
    steps = list(train(learner, sampler_of(stems, recipe), Run(tmp_path / "run")))
    first = [step.losses["labels"] for step in steps[:90]]
    second = [step.losses["calcium"] for step in steps[90:]]
    assert np.mean(first[-20:]) < 0.5 * np.mean(first[:20])
    assert np.mean(second[-20:]) < 0.5 * np.mean(second[:20])
    hu, labels = draw_chest(99)
    heart = np.zeros(hu.shape, bool)
    heart[7:34, 7:34, 9:36] = True
    volume = Volume(hu.astype(np.float32), (2.0, 2.0, 2.0))
    found = find_candidates(
        volume, volume.with_array(heart), spacing_mm=2.0, reach_mm=20.0, field_px=recipe.field_px
    )
    network = learner.trained().eval()
    probability = label_candidates(network, found, recipe, CPU)
    told = artery_labels(found, probability, 0.5, volume.shape)
    np.testing.assert_array_equal(told, labels)


class BrightIsRca(nn.Module):
    """RCA with the probability of the middle voxel's grey value; nothing else is looked at."""

    def forward(self, views: Tensor) -> Tensor:
        middle = views[:, 0, views.shape[2] // 2, views.shape[3] // 2].clamp(0, 1)
        zero = torch.zeros_like(middle)
        return torch.stack([1 - middle, zero, zero, middle], dim=1)


def found_in(hu: np.ndarray, component: list[int]) -> Candidates:
    points = np.argwhere(hu >= 130)
    return Candidates(
        points, np.asarray(component), max(component) + 1, Volume(hu, (2.0, 2.0, 2.0)), points
    )


def test_a_component_is_as_probable_as_its_voxels_are_on_average() -> None:
    hu = np.zeros((3, 3, 9), np.float32)
    hu[1, 1, [0, 1, 6]] = 130, 695, 1260  # grey 0, 0.5 and 1
    found = found_in(hu, [0, 0, 1])
    for batch in (1, 2, 32):
        probability = label_candidates(BrightIsRca(), found, TINY, CPU, batch=batch)
        np.testing.assert_allclose(probability[:, 3], [0.25, 1.0], atol=1e-6)
    told = artery_labels(found, probability, 0.25, (3, 3, 9))
    assert told[1, 1].tolist() == [3, 3, 0, 0, 0, 0, 3, 0, 0]
    told = artery_labels(found, probability, 0.3, (3, 3, 9))
    assert told[1, 1].tolist() == [0, 0, 0, 0, 0, 0, 3, 0, 0]


def test_of_a_large_component_only_some_voxels_are_looked_at() -> None:
    component = np.repeat([0, 1, 2], [3, 1000, 4])
    chosen = spread(component, 4)
    assert np.bincount(component[chosen]).tolist() == [3, 4, 4]
    assert chosen[3:7].tolist() == [3 + 125, 3 + 375, 3 + 625, 3 + 875]
    assert spread(component, None).tolist() == list(range(1007))
    assert spread(np.zeros(0, np.int64), 4).tolist() == []


def test_a_scan_without_candidates_has_no_probabilities() -> None:
    volume = Volume(np.zeros((5, 5, 5), np.float32), (2.0, 2.0, 2.0))
    heart = volume.with_array(np.ones(volume.shape, bool))
    for mask in (heart, volume.with_array(np.zeros(volume.shape, bool))):
        found = find_candidates(volume, mask, spacing_mm=1.0, reach_mm=10.0, field_px=27)
        assert label_candidates(ClinicalBaseline(TINY), found, TINY, CPU).shape == (0, 4)
        empty = artery_labels(found, np.zeros((0, 4), np.float32), 0.5, volume.shape)
        assert not empty.any()


def test_candidates_lie_at_130_hu_and_near_the_heart() -> None:
    volume = Volume(np.zeros((20, 60, 60), np.float32), (3.0, 1.0, 1.0), (-7.0, 11.0, 5.0))
    heart = volume.with_array(np.zeros(volume.shape, bool))
    heart.array[5:15, 20:40, 20:40] = True
    bright = {(10, 30, 30): 130, (10, 30, 33): 129, (10, 30, 47): 500, (10, 30, 54): 500,
              (17, 30, 30): 200, (19, 30, 30): 200}  # fmt: skip
    for at, hu in bright.items():
        volume.array[at] = hu
    found = find_candidates(volume, heart, spacing_mm=1.5, reach_mm=10.0, field_px=27)
    assert found.voxels.tolist() == [[10, 30, 30], [10, 30, 47], [17, 30, 30]]
    assert found.count == 3
    at_mm = found.image.origin_mm + found.points * np.array(found.image.spacing_mm)
    want_mm = volume.origin_mm + found.voxels * np.array(volume.spacing_mm)
    assert np.abs(at_mm - want_mm).max() <= 0.75


def test_voxels_that_touch_at_a_corner_are_one_component() -> None:
    volume = Volume(np.zeros((8, 8, 8), np.float32), (2.0, 2.0, 2.0))
    for at in ((2, 2, 2), (3, 3, 3), (3, 5, 5)):
        volume.array[at] = 300
    heart = volume.with_array(np.ones(volume.shape, bool))
    found = find_candidates(volume, heart, spacing_mm=2.0, reach_mm=5.0, field_px=5)
    assert found.component.tolist() == [0, 0, 1]


def test_a_single_bright_slice_keeps_its_hu_on_a_finer_grid() -> None:
    volume = Volume(np.zeros((12, 12, 12), np.float32), (3.0, 1.5, 1.5))
    volume.array[5, 6, 6] = 260
    heart = volume.with_array(np.ones(volume.shape, bool))
    found = find_candidates(volume, heart, spacing_mm=1.5, reach_mm=5.0, field_px=9)
    assert found.image.array[tuple(found.points[0])] == 260


def test_a_mask_on_another_grid_is_refused() -> None:
    volume = Volume(np.zeros((4, 4, 4), np.float32), (2.0, 2.0, 2.0))
    heart = Volume(np.ones((3, 4, 4), bool), (2.0, 2.0, 2.0))
    with pytest.raises(ValueError, match="resample"):
        find_candidates(volume, heart, spacing_mm=2.0, reach_mm=5.0, field_px=5)


def test_views_are_cut_like_those_of_a_padded_scan() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(-1000, 1000, (9, 11, 13)).astype(np.int16)
    points = np.array([[0, 0, 0], [8, 10, 12], [4, 5, 6], [1, 9, 3]])
    padded = np.pad(image, 3, constant_values=-1000)
    for views, (z, y, x) in zip(cut_views(image, points, 7, -1000), points + 3, strict=True):
        around = np.s_[z - 3 : z + 4], np.s_[y - 3 : y + 4], np.s_[x - 3 : x + 4]
        np.testing.assert_array_equal(views[0], padded[z, around[1], around[2]])
        np.testing.assert_array_equal(views[1], padded[around[0], y, around[2]])
        np.testing.assert_array_equal(views[2], padded[around[0], around[1], x])


def test_grey_is_0_at_the_clinical_threshold() -> None:
    grey = to_clinical_grey(np.array([-2000, -1000, 130, 1260, 9000]))
    torch.testing.assert_close(grey, torch.tensor([-1, -1, 0, 1, 2870 / 1130]))


def test_the_classes_are_numbered_as_painted_regions_are() -> None:
    assert CLASSES == ("other", "LAD", "LCX", "RCA")
