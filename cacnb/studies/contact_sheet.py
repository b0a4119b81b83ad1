"""A picture of a cohort: one heart slice a scan with its verdict; it judges no scan itself."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cacnb.ct.reading import read_mask, read_scan
from cacnb.ct.volume import Volume
from cacnb.errors import InputError, UsageError
from cacnb.files import write_atomically

if TYPE_CHECKING:
    from cacnb.studies.opened import Study

#: Side of a tile, height of its caption and of the sheet's title, in pixels.
TILE_PX, CAPTION_PX, TITLE_PX, GAP_PX = 168, 34, 24, 6

#: At most so many scans; of a larger cohort, evenly spread ones.
MOST = 48

#: The soft-tissue window, from black to white in HU, and the room around the heart in mm.
WINDOW_HU, MARGIN_MM = (-160.0, 240.0), 12.0

#: Colours of the sheet, of names, and of each verdict (Okabe and Ito's, told apart by all).
GROUND, INK = (11, 13, 16), (235, 238, 242)
COLOURS = {"usable": (86, 180, 233), "warned": (230, 159, 0), "refused": (213, 94, 0)}


@dataclass(frozen=True, eq=False)
class ContactSheet:
    """The sheet as a PNG, its words for those who do not see it, and the scans on it.

    `scans` has `scan`, `verdict` (usable, warned, refused or empty) and `why` (a refusal's code).
    """

    png: bytes
    alt: str
    scans: pd.DataFrame

    def save(self, file: Path) -> None:
        """Write the PNG; raises InputError `cannot_write`."""
        write_atomically(self.png, file)

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        """The picture with its alt text, for notebooks."""
        del include, exclude
        data = base64.b64encode(self.png).decode("ascii")
        return {"image/png": data, "text/plain": self.alt}, {"image/png": {"alt": self.alt}}


def contact_sheet(study: Study, scans: list[str] | None = None, columns: int = 6) -> ContactSheet:
    """Draw the slice in the middle of each scan's heart, or of the scan where no mask is there.

    Parameters
    ----------
    study
        An opened study.
    scans
        Their names; all if None, evenly spread ones where there are more than 48.
    columns
        Tiles in a row.

    Raises
    ------
    UsageError
        For less than one column.
    InputError
        `missing` for a scan that is not there; `no_scans` where there is none.
    """
    if columns < 1:
        raise UsageError(f"{columns} columns: ask for at least 1")
    cohort = study.cohort.set_index("scan", drop=False)
    wanted = [*cohort.index] if scans is None else scans
    unknown = [name for name in wanted if name not in cohort.index]
    if unknown:
        raise InputError("missing", f"the study has no scan {unknown[0]!r}: see `cohort`")
    if not wanted:
        raise InputError("no_scans", f"{study.name} has no scan to show: `cacnb study add` first")
    shown = [
        wanted[at] for at in np.unique(np.linspace(0, len(wanted) - 1, MOST).round().astype(int))
    ]
    tiles, rows = [], []
    for name in shown:
        tile, verdict, why = _tile(study, cohort.loc[name])
        tiles.append(_captioned(tile, name, verdict, why))
        rows.append({"scan": name, "verdict": verdict, "why": why})
    table = pd.DataFrame(rows)
    said = " (simulated)" if study.simulated and "simulated" not in study.name else ""
    title = f"{study.name}{said}"
    return ContactSheet(_png(tiles, columns, title), _alt(study, table, len(wanted)), table)


def _tile(study: Study, row: pd.Series) -> tuple[NDArray[np.uint8], str, str]:
    """Grey tile of a scan, its verdict, and why it is refused; black where it cannot be read."""
    try:
        series, volume = read_scan(study.folder / str(row["path"]))
        mask = study.folder / "masks" / f"{row['scan']}.nii.gz"
        heart = read_mask(mask, volume, may_be_empty=True) if mask.is_file() else None
    except InputError as error:
        return np.zeros((TILE_PX, TILE_PX), np.uint8), "refused", error.code
    file = study.folder / "scores" / f"{row['scan']}.json"
    told = row.get("verdict")
    if file.is_file():
        scored = json.loads(file.read_text(encoding="utf-8"))
        verdict, codes = scored["verdict"], [reason["code"] for reason in scored["reasons"]]
    else:
        verdict = told if isinstance(told, str) else series.verdict
        codes = [reason.code for reason in series.reasons]
    return _grey(volume, heart), str(verdict), "" if verdict == "usable" else ", ".join(codes)


def _grey(volume: Volume, heart: Volume | None) -> NDArray[np.uint8]:
    """(tile, tile) the slice in the middle of the heart, square around it, in the window."""
    inside = heart.array > 0 if heart is not None and heart.array.any() else None
    if inside is None:
        k, box = volume.shape[0] // 2, ((0, volume.shape[1]), (0, volume.shape[2]))
    else:
        k = int(np.median(np.flatnonzero(inside.any(axis=(1, 2)))))
        box = tuple(  # type: ignore[assignment]
            _with_margin(np.atleast_1d(inside.any(axis=(0, other))), step)
            for other, step in ((2, volume.spacing_mm[1]), (1, volume.spacing_mm[2]))
        )
    (top, bottom), (left, right) = box
    low, high = WINDOW_HU
    cut = volume.array[k, top:bottom, left:right].astype(np.float32)
    grey = np.rint((cut.clip(low, high) - low) / (high - low) * 255).astype(np.uint8)
    height, width = cut.shape[0] * volume.spacing_mm[1], cut.shape[1] * volume.spacing_mm[2]
    scale = TILE_PX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    drawn = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR))
    tile = np.zeros((TILE_PX, TILE_PX), np.uint8)
    y, x = ((TILE_PX - side) // 2 for side in drawn.shape)
    tile[y : y + drawn.shape[0], x : x + drawn.shape[1]] = drawn
    return tile


def _with_margin(inside: NDArray[np.bool_], step_mm: float) -> tuple[int, int]:
    where, margin = np.flatnonzero(inside), round(MARGIN_MM / step_mm)
    return max(0, int(where[0]) - margin), min(len(inside), int(where[-1]) + margin + 1)


def _captioned(tile: NDArray[np.uint8], name: str, verdict: str, why: str) -> Image.Image:
    picture = Image.new("RGB", (TILE_PX, TILE_PX + CAPTION_PX), GROUND)
    picture.paste(Image.fromarray(tile).convert("RGB"), (0, 0))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(12)
    draw.text((0, TILE_PX + 2), _fitting(name, font), INK, font)
    told = _fitting(f"{verdict}: {why}" if why else verdict, font)
    draw.text((0, TILE_PX + 17), told, COLOURS.get(verdict, INK), font)
    return picture


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    if font.getlength(text) <= TILE_PX:
        return text
    while text and font.getlength(text + "…") > TILE_PX:
        text = text[:-1]
    return text + "…"


def _png(tiles: list[Image.Image], columns: int, title: str) -> bytes:
    across, down = min(columns, len(tiles)), -(-len(tiles) // columns)
    step_x, step_y = TILE_PX + GAP_PX, TILE_PX + CAPTION_PX + GAP_PX
    sheet = Image.new("RGB", (across * step_x + GAP_PX, down * step_y + TITLE_PX), GROUND)
    ImageDraw.Draw(sheet).text((GAP_PX, 4), title, INK, ImageFont.load_default(13))
    for at, tile in enumerate(tiles):
        sheet.paste(tile, (GAP_PX + at % columns * step_x, TITLE_PX + at // columns * step_y))
    content = io.BytesIO()
    sheet.save(content, "PNG")
    return content.getvalue()


def _alt(study: Study, table: pd.DataFrame, of: int) -> str:
    kind = "simulated " if study.simulated else ""
    counts = ", ".join(f"{n} {verdict}" for verdict, n in table["verdict"].value_counts().items())
    more = f", evenly spread over {of}" if of > len(table) else ""
    return f"One heart slice of each of {len(table)} {kind}scans of {study.name}{more}: {counts}"
