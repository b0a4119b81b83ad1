import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from cacnb.export.slice_pictures import SLICES_SHOWN, slice_pictures, slices_that_matter
from cacnb.export.strip import CLINICAL_RGB, GAP_PX, INSET_PX, PANEL_PX, map_colour


def panels(png):
    strip = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)
    starts = [i * (PANEL_PX[1] + GAP_PX) for i in range(3)]
    return [strip[:, start : start + PANEL_PX[1]] for start in starts]


def coloured(panel):
    return np.ptp(panel, axis=2) > 40


def test_slices_with_most_map_come_first_and_stand_apart(draw):
    scan = draw(lesions=[(k, 60) for k in (3, 8, 13, 18)])
    scan.cac_map.array[8] *= 3
    chosen = slices_that_matter(scan)
    assert chosen[0] == 8
    assert len(chosen) == SLICES_SHOWN
    assert min(np.diff(sorted(chosen))) * 1.5 >= 4.5


def test_calcium_that_only_the_clinical_score_counts_is_shown_too(scan):
    without = scan.cac_map.array.copy()
    without[12:] = 0
    half = replace(scan, cac_map=scan.cac_map.with_array(without))
    shown = slice_pictures(half)
    assert [picture.index for picture in shown] == [14, 6]
    assert [picture.map_share > 0 for picture in shown] == [False, True]
    assert shown[0].clinical_voxels == 9


def test_pictures_run_from_head_to_feet(scan):
    heights = [picture.z_mm for picture in slice_pictures(scan)]
    assert heights == sorted(heights, reverse=True)
    assert heights[-1] == pytest.approx(-10.0 + 1.5 * 6)


def test_the_shares_of_the_map_are_of_the_whole_map(scan):
    shares = [picture.map_share for picture in slice_pictures(scan)]
    assert shares == pytest.approx([0.25, 0.25])
    total = scan.proposed.pseudo_mass_hu_mm3
    assert slice_pictures(scan)[0].map_hu_mm3 == pytest.approx(total / 4)


def test_a_scan_without_a_map_has_no_pictures(refused, scan):
    assert slice_pictures(refused) == []
    assert slice_pictures(replace(scan, cac_map=None)) == []


def test_the_map_is_coloured_on_the_second_panel_only(scan):
    first, second, third = panels(slice_pictures(scan)[0].soft_tissue_png)
    is_cyan = np.abs(first - CLINICAL_RGB).max(axis=2) < 30
    assert coloured(second).sum() > 100
    assert is_cyan.sum() > 20
    assert not (coloured(first) & ~(first[..., 2] > first[..., 0])).any()
    assert not coloured(third).any()


def test_the_healthy_image_has_no_calcium_left(scan):
    picture = slice_pictures(scan)[0]
    first, _, third = panels(picture.soft_tissue_png)
    calcium = np.ptp(panels(picture.soft_tissue_png)[1], axis=2) > 60
    assert first[calcium].mean() > third[calcium].mean() + 30


def test_lungs_stay_black_in_the_healthy_image(scan):
    _, _, third = panels(slice_pictures(scan)[0].soft_tissue_png)
    assert (third.max(axis=2) < 12).mean() > 0.2


def test_an_empty_map_has_neither_colour_nor_inset(without_calcium):
    (picture,) = slice_pictures(without_calcium)
    assert not any(coloured(panel).any() for panel in panels(picture.network_png))
    frame = panels(picture.network_png)[2][0, :INSET_PX]
    assert frame.max() < 120


@pytest.mark.parametrize("place", [0, 127])
def test_calcium_at_the_border_of_a_scan_is_drawn(draw, place):
    scan = draw(lesions=[(12, place)], whole=True)
    picture = slice_pictures(scan)[0]
    assert coloured(panels(picture.network_png)[1]).any()


def test_a_scan_without_a_heart_is_shown_whole(scan):
    everything = replace(scan, heart=None, clinical_labels=None, probability_of_cac=None)
    picture = slice_pictures(everything)[0]
    assert np.isnan(picture.probability_of_cac)
    assert picture.clinical_voxels == 0


def test_brighter_map_colours_are_lighter():
    light = [sum(map_colour(share)) for share in np.linspace(0, 1, 9)]
    assert light == sorted(light)
