"""The heart as a solid: a widget where a kernel runs, a drawing of the same where none does."""

import io

import numpy as np
import pytest
from PIL import Image

from cacnb.ct.volume import Volume
from cacnb.errors import UsageError
from cacnb.lessons import solid_view as module
from cacnb.lessons.solid_view import MARGIN_PX, solid_view
from cacnb.lessons.still import Still

SPACING_MM = (3.0, 1.5, 1.5)


@pytest.fixture
def ball() -> tuple[Volume, Volume]:
    """A round heart of 40 HU in a scan of fat."""
    z, y, x = np.ogrid[-14:15, -28:29, -28:29]
    inside = (2 * z) ** 2 + y**2 + x**2 < 20**2
    image = np.where(inside, 40, -100).astype(np.float32)
    return Volume(image, SPACING_MM), Volume(inside, SPACING_MM)


def _pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def _orange(pixels: np.ndarray) -> np.ndarray:
    return pixels[..., 0] - pixels[..., 2] > 60


def test_a_solid_shows_its_widget_and_beside_it_a_picture_with_words(ball):
    image, heart = ball

    view = solid_view(image, heart, alt="A round heart (simulated).")
    data, metadata = view._repr_mimebundle_()

    assert isinstance(view, Still)
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["image/png"]
    assert metadata["image/png"]["alt"] == "A round heart (simulated)."


def test_without_a_3d_viewer_the_drawing_stands_alone(ball, monkeypatch):
    def missing(*_: object) -> None:
        raise UsageError("the 3-D view needs ipyniivue")

    monkeypatch.setattr(module, "show_scene", missing)

    data, _ = solid_view(*ball)._repr_mimebundle_()

    assert set(data) == {"image/png", "text/plain"}


def test_calcium_on_the_left_of_the_patient_is_drawn_on_the_right_seen_from_the_front(ball):
    image, heart = ball
    cac_map = np.zeros(image.shape, np.float32)
    cac_map[20:23, 26:30, 40:44] = 300  # up, and to the patient's left

    png, _ = solid_view(image, heart, image.with_array(cac_map)).still()
    pixels = _pixels(png)
    front = pixels[:, : pixels.shape[1] // 2]
    rows, columns = np.nonzero(_orange(front))
    heart_rows, heart_columns = np.nonzero(front.sum(axis=2) > 150)

    assert len(rows) > 20
    assert columns.mean() > heart_columns.mean()
    assert rows.mean() < heart_rows.mean()


def test_without_calcium_nothing_is_orange(ball):
    image, heart = ball

    png, _ = solid_view(image, heart, image.with_array(np.zeros(image.shape, np.float32))).still()

    assert not _orange(_pixels(png)).any()


def test_the_upper_side_of_a_heart_is_lit_and_the_lower_lies_in_shade(ball):
    png, _ = solid_view(*ball).still()

    pixels = _pixels(png).sum(axis=2)[MARGIN_PX:]  # without the words above
    front = pixels[:, : pixels.shape[1] // 2]
    rows, _ = np.nonzero(front > 150)
    column = front[:, front.shape[1] // 2]
    quarter = (rows.max() - rows.min()) // 4

    assert column[rows.min() + quarter] > column[rows.max() - quarter]
