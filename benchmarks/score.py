"""Time to score one scan: ours beside a plain version of the same steps, in turn, in one run.

Plain is what a first script does: batch norm not folded, cubic spline resampling of the whole scan,
every heart slice through classifier and generator at 224 × 224, one at a time. Both use the same
weights and the same simulated scan. Read the ratio, not the seconds.

    .venv/bin/python benchmarks/score.py [--runs 3] [--json]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from scipy import ndimage

from cacnb.ct.grids import crop_heart
from cacnb.ct.heart import centre_of_mass_mm
from cacnb.ct.reading import read_scan
from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_image
from cacnb.learning.batches import to_grey
from cacnb.learning.heart_segmenter import find_heart
from cacnb.learning.networks import HeartNetwork, MapGenerator, SliceClassifier
from cacnb.learning.weights import Weights, load_weights
from cacnb.pipeline import score_scan, segment_heart
from cacnb.simulation.scan import Person, simulate_scan


def unfolded(weights: Weights) -> Weights:
    """The same networks as trained: batch norm as layers of their own (random values do)."""
    return replace(
        weights,
        heart=HeartNetwork(weights.heart_recipe.network).eval(),
        classifier=SliceClassifier(weights.slice_recipe.network).eval(),
        remover=MapGenerator(weights.decomposition_recipe.network).eval(),
    )


@torch.inference_mode()
def plain(path: Path, weights: Weights, heart: Volume) -> dict[str, float]:
    """Seconds of each stage, done the plain way; the heart mask is given for the crop."""
    seconds = {}
    start = time.perf_counter()
    _, volume = read_scan(path)
    seconds["read"] = time.perf_counter() - start
    start = time.perf_counter()
    recipe = weights.heart_recipe
    zoom = np.divide(volume.spacing_mm, recipe.spacing_mm)
    coarse = ndimage.zoom(volume.array, zoom, order=3)
    probability = find_heart(weights.heart, coarse, recipe, weights.device)
    ndimage.zoom(probability, np.divide(volume.shape, probability.shape), order=1)
    seconds["heart"] = time.perf_counter() - start
    start = time.perf_counter()
    spacing = (1.5, 1.0, 1.0)
    fine = ndimage.zoom(volume.array, np.divide(volume.spacing_mm, spacing), order=3)
    cut = crop_heart(
        Volume(fine, spacing, volume.origin_mm), centre_of_mass_mm(heart)[1:], 224
    ).array
    z_mm = volume.origin_mm[0] + 1.5 * np.arange(len(cut))
    inside = np.interp(z_mm, volume.axis_mm(0), heart.array.any(axis=(1, 2))) > 0
    for plane in cut[inside]:
        torch.softmax(weights.classifier(to_grey(plane)[None, None]), dim=1)
    seconds["slices"] = time.perf_counter() - start
    start = time.perf_counter()
    for plane in cut[inside]:
        weights.remover(to_grey(plane)[None, None])
    seconds["map"] = time.perf_counter() - start
    return {**seconds, "total_s": sum(seconds.values())}


def main() -> None:
    """Print the table, or with --json one object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    weights = load_weights("demo")
    first = unfolded(weights)
    scan = simulate_scan(Person.draw(703), breath_hold=True)
    ours: list[dict[str, float]] = []
    naive: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.nii.gz"
        write_image(scan.image, path)
        heart = segment_heart(scan.image, weights)
        for _ in range(arguments.runs):
            told = score_scan(path, weights).seconds
            total = told.pop("total")
            ours.append({**told, "total_s": total})
            naive.append(plain(path, first, heart))
    rows = {
        name: {key: median(run[key] for run in runs) for key in runs[0]}
        for name, runs in (("ours", ours), ("plain", naive))
    }
    ratio = median(p["total_s"] / o["total_s"] for p, o in zip(naive, ours, strict=True))
    if arguments.json:
        print(json.dumps({**rows, "plain_to_ours": ratio}))
        return
    for name, row in rows.items():
        print(f"{name:6}", "  ".join(f"{key} {value:.2f}" for key, value in row.items()))
    print(f"plain takes {ratio:.1f} times as long (median of {arguments.runs} runs in turn)")


if __name__ == "__main__":
    main()
