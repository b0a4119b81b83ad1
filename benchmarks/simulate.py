"""Time to simulate a scan: ours beside a plain version of the same painting, in turn, in one run.

Ours computes a solid only where its box lies on the grid; plain computes every solid on the whole
grid, as a first script does. Both give the same scan. Also printed: what a whole chest at a fine
pixel and the demo cohort cost. Read the ratio, not the seconds.

    .venv/bin/python benchmarks/simulate.py [--runs 3] [--json]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from statistics import median
from unittest.mock import patch

import numpy as np

from cacnb.simulation.scan import Person, SimulatedScan, simulate_scan
from cacnb.simulation.shapes import Canvas, Shape


def whole_grid(canvas: Canvas, shape: Shape) -> tuple[slice, slice, slice]:
    """Every voxel, wherever the solid lies."""
    del shape
    z, y, x = (slice(0, len(axis)) for axis in canvas.axes)
    return z, y, x


def timed(simulate: Callable[[], SimulatedScan]) -> tuple[float, SimulatedScan]:
    """Seconds that a scan takes, and the scan."""
    start = time.perf_counter()
    scan = simulate()
    return time.perf_counter() - start, scan


def main() -> None:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    def heart() -> SimulatedScan:
        return simulate_scan(Person.draw(3), breath_hold=True, field_of_view="heart")

    ours, plain = [], []
    for _ in range(args.runs):
        seconds, scan = timed(heart)
        ours.append(seconds)
        with patch.object(Canvas, "window", whole_grid):
            seconds, same = timed(heart)
        plain.append(seconds)
        if not np.array_equal(scan.image.array, same.image.array):
            raise SystemExit("the two versions differ: the comparison is void")
    chest_s, chest = timed(lambda: simulate_scan(Person.draw(3, "nlst"), breath_hold=True))
    voxels = chest.image.array.size / (512 * 512 * 100)
    result = {
        "ours": {"heart_s": median(ours)},
        "plain": {"heart_s": median(plain)},
        "ratio": median(plain) / median(ours),
        "chest": {
            "shape": list(chest.image.shape),
            "s_for_512x512x100": chest_s / voxels,
            "relative_to_heart": chest_s / median(ours),
        },
        "demo_cohort_12_pairs_s": 24 * median(ours),
    }
    if args.json:
        print(json.dumps(result))
        return
    print(f"heart field of view, {scan.image.shape} voxels, median of {args.runs}:")
    print(f"  ours {median(ours):.2f} s, plain {median(plain):.2f} s: {result['ratio']:.1f} times")
    print(f"chest of {chest.image.shape} voxels: {chest_s / voxels:.1f} s for each 512 x 512 x 100")
    print(f"demo cohort, 12 pairs: about {24 * median(ours):.0f} s on one core")


if __name__ == "__main__":
    main()
