import numpy as np
import pytest

from cacnb.ct.volume import Volume
from cacnb.evaluation.map_steps import STEPS, NetworkAnswers, ask_networks, map_steps
from cacnb.learning.weights import Weights, load_weights
from cacnb.pipeline import Clock, Options, find_calcium
from cacnb.simulation.scan import Person, simulate_scan

#: A simulated person whose scan holds calcium, and slices of 3 mm around the middle of the heart.
CALCIFIED_SEED, SLICES = 3, 9

SETTINGS = {
    "all": Options(),
    "no slices": Options(use_slices=False),
    "whole heart": Options(near_arteries=False),
    "no least mass": Options(smallest_lesion_mass_hu_mm3=0.0),
    "the paper's floor": Options(soft_tissue_floor_hu=-10.0),
    "no heart": Options(use_heart=False, use_slices=False),
}


@pytest.fixture(scope="module")
def weights() -> Weights:
    return load_weights("demo")


@pytest.fixture(scope="module")
def slab() -> tuple[Volume, Volume]:
    """A few slices of a scan with calcium, and the heart in them."""
    made = simulate_scan(Person.draw(CALCIFIED_SEED), breath_hold=True, field_of_view="heart")
    bright = int(np.where(made.heart.array, made.image.array, -1000).max(axis=(1, 2)).argmax())
    first = max(0, min(bright - SLICES // 2, made.image.shape[0] - SLICES))
    cut = slice(first, first + SLICES)
    origin = (float(made.image.axis_mm(0)[first]), *made.image.origin_mm[1:])
    image, heart = (
        Volume(volume.array[cut], volume.spacing_mm, origin) for volume in (made.image, made.heart)
    )
    return image, heart


@pytest.fixture(scope="module")
def answers(slab, weights) -> dict[bool, NetworkAnswers]:
    return {by: ask_networks(*slab, weights, use_heart=by) for by in (True, False)}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_last_step_is_what_the_pipeline_scores(name, slab, answers, weights):
    options = SETTINGS[name]
    found = find_calcium(*slab, weights, options, Clock())
    steps = map_steps(answers[options.use_heart], options)
    assert steps.proposed.pseudo_mass_hu_mm3 == found.proposed.pseudo_mass_hu_mm3
    assert np.array_equal(steps.cac_map.array, found.cac_map.array)
    assert len(steps.proposed.lesions) == len(found.proposed.lesions)


def test_the_slab_has_something_to_take_away_and_something_to_score(answers):
    left = map_steps(answers[True]).table["left_hu_mm3"]
    assert left.iloc[0] > left.iloc[-1] > 0


def test_each_step_only_takes_away_and_the_grid_keeps_the_sum(answers):
    table = map_steps(answers[True], Options(soft_tissue_floor_hu=-10.0)).table
    assert table["step"].tolist() == list(STEPS)
    assert (table["taken_hu_mm3"] > -1e-2).all()
    assert table["taken_hu_mm3"].sum() == pytest.approx(
        table["left_hu_mm3"].iloc[0] - table["left_hu_mm3"].iloc[-1]
    )


def test_slices_called_negative_and_all_outside_the_heart_are_0_from_their_step_on(answers):
    steps = map_steps(answers[True])
    maps = list(steps.maps.values())
    least = answers[True].thresholds["slice_probability_beside"]
    negative = ~(np.nan_to_num(answers[True].probability) >= least)
    assert not maps[1].array[negative].any()
    assert not maps[2].array[~answers[True].region.array].any()


def test_the_noise_rule_leaves_no_healthy_voxel_below_its_floor(answers):
    steps = map_steps(answers[True], Options(soft_tissue_floor_hu=-10.0))
    ruled = list(steps.maps.values())[3].array
    seen = np.clip(answers[True].cut.array, -50, 950)
    assert (seen - ruled)[ruled > 0].min() >= -10
