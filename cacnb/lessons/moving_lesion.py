"""A simulated lesion under sliders for speed, slice thickness and noise; all is computed before."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import pandas as pd
import traitlets
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cacnb import RESEARCH_ONLY
from cacnb.lessons.moved_scans import (
    MASS_MG,
    NOISES_HU,
    PIXEL_MM,
    SLICE_S,
    SPEEDS_MM_S,
    THICKNESSES_MM,
    MovedScans,
    SliceStack,
    moved_scans,
)
from cacnb.lessons.still import Still
from cacnb.simulation.coronaries import ARTERIES
from cacnb.simulation.motion import usual_travel_mm
from cacnb.ui.javascript import module, style

_HERE = Path(__file__).parent

#: Slices that are shown: the one nearest to the lesion and those beside it.
SHOWN = 3

#: What the page is told of each scan, in this order.
TOLD = ("peak_hu", "agatston", "volume_mm3", "clinical_mass_mg", "whole_mass_mg")

#: Where the sliders stand at first: at rest, 3 mm, 15 HU.
AT_FIRST = (0, 1, 1)

#: The window of the slices, black to white in HU: soft tissue.
WINDOW_HU = (-160, 240)

#: The picture for pages without a kernel: enlarged so often, and the colours of what is on it.
ENLARGED, GROUND, INK, COUNTED = 4, (11, 13, 16), (235, 238, 242), (230, 159, 0)


class MovingLesion(Still, anywidget.AnyWidget):  # type: ignore[misc]
    """Three sliders move one lesion; its slices, a line through it and its scores follow.

    Every scan and score is computed when the widget is made, in seconds, and goes with it: it works
    in a page without a kernel. Everything in it is simulated.

    Example
    -------
    >>> lesson = MovingLesion()                                # doctest: +SKIP
    >>> lesson.scores.query("speed_mm_s == 80")["agatston"]    # doctest: +SKIP
    """

    _esm = module("moving_lesion", _HERE)
    _css = style() + (_HERE / "moving_lesion.css").read_text(encoding="utf-8")
    title = traitlets.Unicode("A moving lesion (simulated)").tag(sync=True)
    notice = traitlets.Unicode(f"Simulated. {RESEARCH_ONLY}").tag(sync=True)
    choices = traitlets.Dict().tag(sync=True)
    images = traitlets.Dict().tag(sync=True)
    told: traitlets.List[list[float]] = traitlets.List().tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self.scans: MovedScans = moved_scans()
        self.choices = {
            "speeds_mm_s": list(SPEEDS_MM_S), "thicknesses_mm": list(THICKNESSES_MM),
            "noises_hu": list(NOISES_HU), "usual_mm_s": usual_speeds_mm_s(),
            "true_mass_mg": MASS_MG, "slice_s": SLICE_S, "at_first": list(AT_FIRST),
            "window_hu": list(WINDOW_HU), "pixel_mm": PIXEL_MM,
            "shape": list(self._shown(0, self.scans.stacks[0].healthy.array).shape),
        }  # fmt: skip
        self.images = {
            "healthy": [self._sent(t, stack.healthy.array) for t, stack in self._stacks],
            "calcium": [self._sent(t, self.scans.calcium[t]) for t, _ in self._stacks],
            "noise": [self._sent(t, self.scans.noise[t]) for t, _ in self._stacks],
            "counted": [self._packed(t) for t, _ in self._stacks],
        }
        self.told = self.scores[list(TOLD)].round(2).to_numpy().tolist()

    @property
    def scores(self) -> pd.DataFrame:
        """One row a scan: `speed_mm_s`, `thickness_mm`, `noise_hu`, and the scores."""
        return self.scans.scores

    @property
    def _stacks(self) -> list[tuple[int, SliceStack]]:
        return list(enumerate(self.scans.stacks))

    def _shown(self, thickness: int, images: NDArray[Any]) -> NDArray[Any]:
        """(…, shown, y, x) of (…, z, y, x): the slices around the lesion."""
        stack = self.scans.stacks[thickness]
        z_mm = float(np.mean([piece.centre[0] for piece in stack.pieces]))
        nearest = int(np.argmin(np.abs(stack.healthy.axis_mm(0) - z_mm)))
        first = nearest - SHOWN // 2
        shown: NDArray[Any] = images[..., first : first + SHOWN, :, :]
        return shown

    def _sent(self, thickness: int, images: NDArray[np.int16]) -> str:
        shown = np.ascontiguousarray(self._shown(thickness, images), dtype="<i2")
        return base64.b64encode(shown.tobytes()).decode("ascii")

    def _packed(self, thickness: int) -> str:
        """A bit a voxel, each scan from a new byte on."""
        counted = self._shown(thickness, self.scans.counted[thickness])
        flat = counted.reshape(len(NOISES_HU) * len(SPEEDS_MM_S), -1)
        return base64.b64encode(np.packbits(flat, axis=1).tobytes()).decode("ascii")

    def still(self) -> tuple[bytes, str]:
        """The lesion at rest and as fast as each artery, each with what it scores."""
        _, thickness, noise = AT_FIRST
        usual = usual_speeds_mm_s()
        nearest = {a: int(np.argmin(np.abs(np.subtract(SPEEDS_MM_S, v)))) for a, v in usual.items()}
        drawn, said = [], []
        for name, speed in {"at rest": 0, **nearest}.items():
            row = self.scores.iloc[self._row(thickness, noise, speed)]
            told = (
                f"{name}, {row['speed_mm_s']:.0f} mm/s: peak {row['peak_hu']:.0f} HU, "
                f"Agatston {row['agatston']:.0f}, whole mass {row['whole_mass_mg']:.1f} mg"
            )
            said.append(told)
            drawn.append(self._drawn(thickness, noise, speed, told))
        sheet = Image.new("RGB", (drawn[0].width, len(drawn) * drawn[0].height), GROUND)
        for at, picture in enumerate(drawn):
            sheet.paste(picture, (0, at * picture.height))
        content = io.BytesIO()
        sheet.save(content, "PNG")
        alt = f"Slices of one simulated lesion of {MASS_MG:.0f} mg; {'; '.join(said)}."
        return content.getvalue(), alt

    def _row(self, thickness: int, noise: int, speed: int) -> int:
        return (thickness * len(NOISES_HU) + noise) * len(SPEEDS_MM_S) + speed

    def _drawn(self, thickness: int, noise: int, speed: int, told: str) -> Image.Image:
        """Slices side by side under their words; counted voxels in their colour."""
        scans = self.scans
        hu = scans.stacks[thickness].healthy.array.astype(np.int32)
        hu = hu + scans.calcium[thickness][speed] + scans.noise[thickness][noise]
        low, high = WINDOW_HU
        grey = (self._shown(thickness, hu).clip(low, high) - low) / (high - low) * 255
        pixels = np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=-1)
        counted = self._shown(thickness, scans.counted[thickness][noise, speed])
        pixels[counted] = pixels[counted] // 2 + np.asarray(COUNTED, np.uint8) // 2
        strip = Image.fromarray(np.concatenate(list(pixels), axis=1))
        large = strip.resize(
            (strip.width * ENLARGED, strip.height * ENLARGED), Image.Resampling.NEAREST
        )
        picture = Image.new("RGB", (large.width, large.height + 20), GROUND)
        ImageDraw.Draw(picture).text((6, 3), told, INK, ImageFont.load_default(13))
        picture.paste(large, (0, 20))
        return picture


def usual_speeds_mm_s() -> dict[str, float]:
    """How fast each artery's calcium usually moves in the plane of a slice, by the simulation.

    Example
    -------
    >>> sorted(usual_speeds_mm_s(), key=usual_speeds_mm_s().get)
    ['LAD', 'LCX', 'RCA']
    """
    return {artery: round(usual_travel_mm(artery, SLICE_S) / SLICE_S, 1) for artery in ARTERIES}
