"""What motion, thickness and noise do to one simulated lesion, and what a page is told of it."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from cacnb.errors import UsageError
from cacnb.lessons.moved_scans import MASS_MG, NOISES_HU, SPEEDS_MM_S, THICKNESSES_MM
from cacnb.lessons.moving_lesion import MovingLesion, usual_speeds_mm_s
from cacnb.lessons.speed_chart import speed_chart


@pytest.fixture(scope="module")
def lesson() -> MovingLesion:
    return MovingLesion()


@pytest.fixture(scope="module")
def scores(lesson):
    return lesson.scores


def at(scores, *, thickness_mm=3.0, noise_hu=0.0):
    chosen = scores[(scores["thickness_mm"] == thickness_mm) & (scores["noise_hu"] == noise_hu)]
    return chosen.set_index("speed_mm_s")


@pytest.mark.parametrize("thickness_mm", THICKNESSES_MM)
def test_a_faster_lesion_is_fainter_and_at_last_scores_nothing(scores, thickness_mm) -> None:
    quiet = at(scores, thickness_mm=thickness_mm)
    assert quiet["peak_hu"].is_monotonic_decreasing
    assert quiet["agatston"].iloc[0] > 50
    assert quiet["agatston"].iloc[-1] == 0
    assert (quiet.loc[quiet["peak_hu"] < 130, "agatston"] == 0).all()


def test_its_whole_mass_stays_at_every_speed_thickness_and_noise(scores) -> None:
    assert np.abs(scores["whole_mass_mg"] / MASS_MG - 1).max() < 0.04
    assert (scores["true_mass_mg"] == MASS_MG).all()


def test_in_thick_slices_it_is_lost_at_a_lower_speed(scores) -> None:
    lost = [at(scores, thickness_mm=mm)["agatston"].eq(0).idxmax() for mm in THICKNESSES_MM]
    assert lost == sorted(lost, reverse=True)
    assert lost[0] > lost[-1]


def test_noise_raises_the_brightest_voxel(scores) -> None:
    quiet, loud = (at(scores, noise_hu=hu)["peak_hu"].mean() for hu in (0.0, 30.0))
    assert loud > quiet


def test_the_right_coronary_moves_fastest_and_its_lesion_is_lost(scores) -> None:
    usual = usual_speeds_mm_s()
    assert sorted(usual, key=usual.get) == ["LAD", "LCX", "RCA"]
    quiet = at(scores)
    nearest = {name: quiet.loc[min(SPEEDS_MM_S, key=lambda v: abs(v - mm_s))]
               for name, mm_s in usual.items()}  # fmt: skip
    assert nearest["LAD"]["agatston"] > nearest["LCX"]["agatston"] > 0
    assert nearest["RCA"]["agatston"] == 0


def test_the_page_gets_the_images_that_were_scored(lesson) -> None:
    """Healthy tissue, calcium and noise add up to the scan, in whole HU, and stay below 2 MB."""
    shape = lesson.choices["shape"]
    size = int(np.prod(shape))
    t, n, v = 1, 2, 5
    parts = {
        name: np.frombuffer(base64.b64decode(lesson.images[name][t]), "<i2").reshape(-1, *shape)
        for name in ("healthy", "calcium", "noise")
    }
    shown = parts["healthy"][0] + parts["calcium"][v] + parts["noise"][n]
    packed = np.frombuffer(base64.b64decode(lesson.images["counted"][t]), np.uint8)
    bits = np.unpackbits(packed.reshape(len(NOISES_HU) * len(SPEEDS_MM_S), -1), axis=1)
    counted = bits[n * len(SPEEDS_MM_S) + v, :size].reshape(shape).astype(bool)
    assert counted.any()
    assert shown[counted].min() >= 130
    told = dict(zip(("peak_hu", "agatston"), lesson.told[(t * 3 + n) * 17 + v][:2], strict=True))
    row = lesson.scores.iloc[(t * 3 + n) * 17 + v]
    assert told == pytest.approx({"peak_hu": row["peak_hu"], "agatston": row["agatston"]}, abs=0.01)
    assert shown[counted].max() == row["peak_hu"]
    assert sum(len(text) for texts in lesson.images.values() for text in texts) < 2_000_000


def test_a_page_without_a_kernel_has_a_picture_with_its_words(lesson) -> None:
    png, words = lesson.still()
    picture = np.asarray(Image.open(io.BytesIO(png)))
    assert picture.std() > 10
    assert words.startswith("Slices of one simulated lesion of 20 mg; at rest, 0 mm/s:")
    shown, said = lesson._repr_mimebundle_()
    assert base64.b64decode(shown["image/png"]) == png
    assert said["image/png"]["alt"] == words
    assert "application/vnd.jupyter.widget-view+json" in shown


def test_the_chart_says_what_is_lost_and_what_stays(scores) -> None:
    figure = speed_chart(scores, usual_speeds_mm_s())
    numbers = figure.numbers
    assert len(numbers[numbers["artery"] == ""]) == 3 * len(SPEEDS_MM_S)
    assert numbers["artery"].tolist()[-3:] == list(usual_speeds_mm_s())
    assert "0 at the speed of the RCA" in figure.alt
    assert figure.alt.startswith("Simulated")
    with pytest.raises(UsageError, match="7 mm"):
        speed_chart(scores, usual_speeds_mm_s(), thickness_mm=7.0)
