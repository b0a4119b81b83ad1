"""What lesson 03 shows: patches, masks beside each other, a field of view that cuts the heart."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from cacnb import pipeline
from cacnb.ct.volume import Volume
from cacnb.errors import UsageError
from cacnb.lessons.cut_field import cut_field_of_view
from cacnb.lessons.figure import Figure
from cacnb.lessons.heart_patches import heart_patches
from cacnb.lessons.hearts import heart_agreement, heart_for, heart_solid, heart_view
from cacnb.lessons.missing import Missing
from cacnb.lessons.tiles import OUTLINE, TITLE_PX, Tile, tiled
from cacnb.studies import Study
from tests.lessons.rounds import write_round_study

WEIGHTS = SimpleNamespace()


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Study:
    return write_round_study(tmp_path_factory.mktemp("round"), patients=2)


@pytest.fixture(scope="module")
def without_masks(tmp_path_factory) -> Study:
    return write_round_study(tmp_path_factory.mktemp("bare"), patients=1, masks=False)


@pytest.fixture
def network(monkeypatch):
    """A heart network that finds all that is no air."""

    def found(volume: Volume, weights: object) -> Volume:
        return volume.with_array(volume.array > -200)

    monkeypatch.setattr(pipeline, "segment_heart", found)


def test_a_row_of_patches_is_shown_for_each_recipe_with_the_heart_outlined(study):
    shown = heart_patches(study, "p0_0", "paper", "demo")
    pixels = np.asarray(Image.open(io.BytesIO(shown.png)).convert("RGB"))

    half = pixels.shape[0] // 2
    outlined = (np.abs(pixels.astype(int) - OUTLINE) < 30).all(axis=2)
    assert outlined[:half].any()
    assert outlined[half:].any()
    assert "recipe paper; recipe demo" in shown.alt


def test_patches_need_a_heart_mask_and_a_recipe(study, without_masks):
    assert isinstance(heart_patches(without_masks, "p0_0", "demo"), Missing)
    with pytest.raises(UsageError, match="no recipe came"):
        heart_patches(study, "p0_0")


def test_an_outline_is_the_border_of_its_mask_and_not_its_inside():
    mask = np.zeros((20, 20), bool)
    mask[5:15, 5:15] = True

    shown = tiled([("A square", [Tile(np.zeros((20, 20)), "", mask)])], "A square.")
    pixels = np.asarray(Image.open(io.BytesIO(shown.png)).convert("RGB")).astype(int)[TITLE_PX:]
    outlined = (np.abs(pixels - OUTLINE) < 30).all(axis=2)

    assert outlined.any()
    assert not outlined[80:96, 80:96].any()
    assert shown._repr_mimebundle_()[1] == {"image/png": {"alt": "A square."}}


def test_the_networks_mask_stands_beside_the_studys_or_alone(study, without_masks):
    for one, panes in ((study, 2), (without_masks, 1)):
        image = one.scan("p0_0")

        view = heart_view(one, "p0_0", image.with_array(image.array > -200))

        assert len(view.picture.panes) == panes
        assert view.still()[1]


def test_a_heart_that_was_not_found_is_said_and_not_drawn(study):
    image = study.scan("p0_0")

    nothing = heart_solid(study, "p0_0", image.with_array(np.zeros(image.shape, bool)))
    heart = heart_solid(study, "p0_0", image.with_array(image.array > -200))

    assert "found no heart" in repr(nothing)
    assert heart.still()[0].startswith(b"\x89PNG")


def test_a_network_that_finds_the_mask_has_a_dice_of_1_beside_the_papers_numbers(study, network):
    figure = heart_agreement(study, WEIGHTS, scans=2)
    numbers = figure.numbers.set_index(["scan", "key"])

    assert numbers.loc[("p0_0", "dice"), "value"] == pytest.approx(1.0)
    assert numbers.loc[("p0_0", "hausdorff_mm"), "value"] == 0.0
    assert numbers.loc[("p0_0", "hausdorff_mm"), "paper"] == 15.0
    assert "simulated" not in figure.alt
    assert "<svg" in figure._repr_mimebundle_()[0]["image/svg+xml"]


def test_without_masks_the_networks_heart_is_used_and_its_quality_stays_unknown(
    without_masks, network
):
    assert heart_for(without_masks, "p0_0", WEIGHTS).array.any()
    assert "unknown" in repr(heart_agreement(without_masks, WEIGHTS))


def test_calcium_near_the_upper_end_is_lost_first_where_the_field_of_view_is_cut(study, network):
    figure = cut_field_of_view(study, "p0_0", WEIGHTS)
    left = figure.numbers.pivot(index="cut_mm", columns="what", values="share")

    assert isinstance(figure, Figure)
    assert left.loc[0.0].tolist() == pytest.approx([1.0, 1.0, 1.0])
    assert left.loc[24.0, "calcium in the field"] < left.loc[24.0, "heart in the field"]
    assert (left["heart in the field"].diff().dropna() < 0).all()


def test_a_scan_without_a_heart_is_not_cut(study, monkeypatch, tmp_path):
    bare = write_round_study(tmp_path, patients=1, masks=False)
    monkeypatch.setattr(
        pipeline, "segment_heart", lambda volume, _: volume.with_array(volume.array > 5000)
    )

    assert isinstance(cut_field_of_view(bare, "p0_0", WEIGHTS), Missing)
