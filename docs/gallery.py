"""Draws docs/gallery.png: six simulated heart slices and, where a scan is given, a real one.

    .venv/bin/python docs/gallery.py [REAL_SCAN] [--weights NAME]

The real scan's heart is found by the network. Without one its tile stays out. Which tile is real
is told by docs/simulation.md alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from cacnb.ct.grids import resample
from cacnb.ct.heart import centre_of_mass_mm
from cacnb.ct.reading import read_scan
from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.learning.weights import load_weights
from cacnb.pipeline import heart_of
from cacnb.simulation.scan import Person, simulate_scan

#: Seed and protocol of the simulated slices; no network learned from these seeds, no knob was
#: chosen on them.
SIMULATED = (
    (1601, "rtp"), (1604, "nlst"), (1606, "rtp"), (1607, "nlst"), (1611, "rtp"), (1612, "nlst"),
)  # fmt: skip

#: Place of the real slice among the seven, and how many stand in a row.
REAL_AT, IN_A_ROW = 4, 4

#: Soft-tissue window in HU, half side of a tile in mm, pixels a mm, and the gap between tiles.
WINDOW_HU, REACH_MM, PX_PER_MM, GAP_PX = (-160.0, 240.0), 100, 1.5, 6

#: How far above the middle of the heart the slices lie, in mm.
ABOVE_MM = 12.0


def tile(volume: Volume, heart: Volume, letter: str) -> Image.Image:
    """A square around the middle of the heart in a soft-tissue window, with its letter."""
    z_mm, y_mm, x_mm = centre_of_mass_mm(heart)
    step = 1.0 / PX_PER_MM
    k = int(np.argmin(np.abs(volume.axis_mm(0) - z_mm - ABOVE_MM)))
    z, y, x = volume.origin_mm
    plane = Volume(volume.array[k : k + 1].astype(np.float32), volume.spacing_mm, (z, y, x))
    fine = resample(plane, (volume.spacing_mm[0], step, step))
    reach = round(REACH_MM * PX_PER_MM)
    row, column = (
        int(np.argmin(np.abs(fine.axis_mm(i) - mm))) for i, mm in ((1, y_mm - 8.0), (2, x_mm))
    )
    padded = np.pad(fine.array[0], reach, constant_values=-1000)
    square = padded[row : row + 2 * reach, column : column + 2 * reach]
    low, high = WINDOW_HU
    picture = Image.fromarray((np.clip((square - low) / (high - low), 0, 1) * 255).astype(np.uint8))
    ImageDraw.Draw(picture).text((8, 4), letter, fill=255, font=ImageFont.load_default(22))
    return picture


def scans(real: Path | None, weights: str) -> list[tuple[Volume, Volume]]:
    """Image and heart mask of every tile, in order."""
    found = []
    for seed, protocol in SIMULATED:
        scan = simulate_scan(Person.draw(seed, protocol), breath_hold=True)
        found.append((scan.image, scan.heart))
    if real is not None:
        _, volume = read_scan(real)
        heart, reasons = heart_of(volume, load_weights(weights))
        refused = next((reason for reason in reasons if reason.severity == "refuse"), None)
        if refused is not None:
            raise InputError(refused.code, refused.message)
        found.insert(REAL_AT, (volume, heart))
    return found


def main() -> None:
    """Draw the tiles in rows and write the picture beside this script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("real", nargs="?", type=Path, help="A real scan; left out where absent.")
    parser.add_argument("--weights", default="demo", help="Weights that find its heart.")
    asked = parser.parse_args()
    real = asked.real if asked.real is not None and asked.real.exists() else None
    tiles = [
        tile(volume, heart, letter)
        for (volume, heart), letter in zip(scans(real, asked.weights), "ABCDEFG", strict=False)
    ]
    step = tiles[0].width + GAP_PX
    rows = -(-len(tiles) // IN_A_ROW)
    picture = Image.new("L", (IN_A_ROW * step - GAP_PX, rows * step - GAP_PX), 255)
    for i, each in enumerate(tiles):
        row, column = divmod(i, IN_A_ROW)
        # A shorter last row stands in the middle.
        free = IN_A_ROW - min(IN_A_ROW, len(tiles) - row * IN_A_ROW)
        picture.paste(each, (column * step + free * step // 2, row * step))
    picture.save(Path(__file__).with_name("gallery.png"), optimize=True)


if __name__ == "__main__":
    main()
