"""What lesson 05 shows: two domains, a recipe beside the paper's, maps and their losses."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from cacnb.ct.volume import Volume
from cacnb.lessons.decomposed import Decomposed, map_sums, three_images
from cacnb.lessons.loss_terms import COPY, EMPTY, REMOVER, loss_terms
from cacnb.lessons.missing import Missing
from cacnb.lessons.recipe_table import beside_paper
from cacnb.lessons.two_domains import two_domains
from cacnb.studies import Study, open_study
from tests.lessons.rounds import HEART, WITH_CAC, write_round_study

WEIGHTS = SimpleNamespace(
    decomposition_recipe=SimpleNamespace(identity_weight=10.0, sparsity_weight=0.001)
)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    return write_round_study(tmp_path_factory.mktemp("round"))


@pytest.fixture
def split(study) -> Decomposed:
    """A scan whose map holds half of its calcium, and nothing else."""
    image, heart = study.scan("p0_0"), study.heart("p0_0")
    calcium = np.where(image.array > 100, np.float32(300), np.float32(0))
    cac_map = image.with_array(calcium / 2)
    return Decomposed(
        "p0_0", False, image, heart, cac_map, image.with_array(image.array - cac_map.array),
        np.array(HEART), image.with_array(calcium),
    )  # fmt: skip


def test_slices_with_cac_stand_above_slices_without(study):
    shown = two_domains(study)
    pixels = np.asarray(Image.open(io.BytesIO(shown.png)).convert("L"))
    half = pixels.shape[0] // 2
    tiles = slice(26, 200)  # below a row's title, above its captions

    assert pixels[tiles].max() > pixels[half:][tiles].max() + 50
    assert "bright spots" in shown.alt


def test_without_labels_there_are_no_domains(study, tmp_path):
    study.cohort.head(1).to_csv(tmp_path / "cohort.csv", index=False)

    assert isinstance(two_domains(open_study(tmp_path)), Missing)


def test_a_recipe_beside_itself_departs_in_nothing_and_the_small_one_in_what_it_says():
    demo = beside_paper("decomposition", "demo")

    assert beside_paper("decomposition", "paper").empty
    assert demo.loc["adversarial"].tolist() == ["log", "least_squares"]
    assert demo.loc["iterations", "paper"] == "375,000"
    assert not {"cycle_weight", "identity_weight", "sparsity_weight", "seed"} & set(demo.index)


def test_the_three_images_scroll_as_one_and_the_healthy_one_has_less(split):
    view = three_images([split])

    assert [pane.title for pane in view.picture.panes] == ["Image", "CAC map", "Healthy image"]
    assert len(view.picture.stacks) == 1
    assert isinstance(three_images([]), Missing)


def test_a_map_that_holds_half_of_the_calcium_lies_on_a_line_of_half(split):
    figure = map_sums([split])
    shown = figure.numbers.query("calcium_hu_mm3 > 0")

    assert len(figure.numbers) == len(HEART)
    assert len(shown) == len(WITH_CAC)
    assert (shown["map_hu_mm3"] / shown["calcium_hu_mm3"]).tolist() == pytest.approx([0.5] * 3)
    assert "r 1.00" in figure.alt
    assert "50% of it" in figure.alt


def test_without_known_calcium_the_sums_have_nothing_to_stand_beside(split):
    fields = {**vars(split), "calcium": None}

    assert isinstance(map_sums([Decomposed(**fields)]), Missing)
    assert isinstance(map_sums([]), Missing)


def test_identity_punishes_a_copied_image_and_an_empty_map_leaves_all_calcium(study, split):
    terms = loss_terms(study, WEIGHTS, [split]).astype(float)

    assert terms.loc[EMPTY, "identity"] == terms.loc[EMPTY, "sparsity"] == 0.0
    assert terms.loc[EMPTY, "calcium left (%)"] == pytest.approx(100)
    assert terms.loc[REMOVER, "calcium left (%)"] == pytest.approx(50)
    assert terms.loc[COPY, "identity"] > 10 * terms.loc[REMOVER, "identity"]
    assert terms.loc[COPY, "α · identity"] == pytest.approx(10 * terms.loc[COPY, "identity"], 0.01)


def test_losses_need_a_scan_with_slices_of_both_labels(study, split):
    clean = Decomposed(**{**vars(split), "name": "p0_1"})

    assert isinstance(loss_terms(study, WEIGHTS, [clean]), Missing)
    assert not isinstance(loss_terms(study, WEIGHTS, [clean, split]), Missing)


def test_a_volume_is_never_changed_by_what_is_shown_of_it(split):
    before = split.image.array.copy()

    three_images([split]).still()

    assert isinstance(split.image, Volume)
    assert np.array_equal(split.image.array, before)
