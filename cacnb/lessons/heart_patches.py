"""What the heart network is shown in training: patches of one scan, drawn as they are learned."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from cacnb.ct.grids import resample, resample_onto
from cacnb.errors import UsageError
from cacnb.files import save_array
from cacnb.lessons.missing import Missing
from cacnb.lessons.tiles import Tile, Tiles, tiled

if TYPE_CHECKING:
    from cacnb.learning.recipes import HeartRecipe
    from cacnb.studies import Study

#: Patches that are shown of a recipe.
PATCHES = 4


def heart_patches(study: Study, name: str, *recipes: str) -> Tiles | Missing:
    """Middle slices of patches that recipes draw from one scan, the heart mask as an outline.

    Half of a batch lies around the heart, the others anywhere. A patch is drawn by the sampler that
    trains, from a copy of the scan on the recipe's grid that is thrown away.

    Parameters
    ----------
    study, name
        A scan with a heart mask.
    recipes
        Names of heart recipes, such as `paper` and `demo`: a row each.

    Raises
    ------
    UsageError
        Without a recipe, or for an unknown one.
    InputError
        As `Study.scan` and `Study.heart`.
    """
    from cacnb.learning.recipes import HeartRecipe
    from cacnb.learning.recipes import recipe as find_recipe

    if not recipes:
        raise UsageError("no recipe came: name one or two, such as 'paper', 'demo'")
    if study.heart(name) is None:
        return Missing(
            f"{name} has no heart mask to learn from: put masks/{name}.nii.gz into the study, or "
            "`cacnb study add DIR PATH --heart MASKS`"
        )
    plans = [find_recipe("heart", name) for name in recipes]
    rows = [
        (_title(plan), _tiles(study, name, plan)) for plan in plans if isinstance(plan, HeartRecipe)
    ]
    simulated = "simulated " if study.simulated else ""
    said = "; ".join(f"recipe {plan.name}" for plan in plans)
    return tiled(
        rows,
        f"Middle slices of {PATCHES} training patches of a {simulated}scan, a row each for {said}: "
        "half lie around the heart, which is outlined.",
    )


def _title(plan: HeartRecipe) -> str:
    z, y, x = (round(plan.patch * step) for step in plan.spacing_mm)
    grid = " x ".join(f"{step:g}" for step in reversed(plan.spacing_mm))
    return f"{plan.name}: {plan.patch} voxels a side of {grid} mm, so {x} x {y} x {z} mm"


def _tiles(study: Study, name: str, plan: HeartRecipe) -> list[Tile]:
    from cacnb.learning.batches import PatchSampler

    image = resample(study.scan(name), plan.spacing_mm)
    heart = study.heart(name)
    with TemporaryDirectory() as folder:
        stem = Path(folder) / "scan"
        save_array(np.rint(image.array).astype(np.int16), Path(f"{stem}.image.npy"))
        if heart is not None:
            inside = resample_onto(heart, image).array.astype(np.bool_)
            save_array(inside, Path(f"{stem}.heart.npy"))
        sampler = PatchSampler(
            [stem], batch=PATCHES, patch=plan.patch, window_hu=plan.window_hu, vary=plan.vary,
            seed=plan.seed,
        )  # fmt: skip
        images, masks = sampler.draw()
        del sampler
    middle = plan.patch // 2
    found = []
    for i in range(PATCHES):
        grey = (images[i, 0, middle].numpy() + 1) / 2
        where = "around the heart" if i % 2 == 0 else "anywhere"
        share = float(masks[i, 0].mean())
        outline = masks[i, 0, middle].numpy() > 0
        found.append(Tile(grey, f"{where}: {share:.0%} heart", outline))
    return found
