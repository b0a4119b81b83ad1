"""A training's monitor as a lesson shows it: live, and as a picture on a page without a kernel."""

from __future__ import annotations

import atexit
import io
import time
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any

import altair as alt
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from cacnb.export.chart_files import chart_svg
from cacnb.export.chart_style import titled
from cacnb.lessons.still import Still
from cacnb.run_log import RunLog, thinned
from cacnb.training_scans import is_simulated
from cacnb.ui.training_monitor import TrainingMonitor

if TYPE_CHECKING:
    from cacnb.lessons.trainings import Training

#: Seconds between two answers that nobody asked for, and without a question until they end: Jupyter
#: keeps what it cannot deliver to a page that was closed.
TELL_S, UNHEARD_S = 2.0, 600.0

#: Where `recipe.json` says in words which studies are learned from.
LEARNED_FROM = "learned_from"

#: Of a step's row, what is no loss.
NOT_LOSSES = ("seconds", "samples")

#: Columns of a sample picture, by how many it has.
COLUMNS = {
    8: ("slice with CAC", "CAC map", "healthy", "cycle", "slice without", "synthetic map",
        "synthetic CAC", "cycle"),
    5: ("slice with CAC", "CAC map", "healthy", "slice without", "its map"),
}  # fmt: skip

#: Rows of a sample picture at most: as many as it shows slices of a domain.
SAMPLE_ROWS = 4

#: Size of one curve, of a caption and the width of the drawing, in pixels.
CURVE_PX, CAPTION_PX, WIDTH_PX = (118, 100), 22, 960

GROUND, INK, WHITE = (11, 13, 16), (235, 238, 242), (255, 255, 255)


class LessonMonitor(Still, TrainingMonitor):
    """The monitor of one training, which also says why a training ended that did not finish.

    Parameters
    ----------
    training
        As `start_training` gives it.
    """

    _css = TrainingMonitor._css + (
        "\n.cacnb-lesson-losses { --cacnb-height: 420px; }"
        "\n.cacnb-lesson-samples { --cacnb-height: 840px; }\n"
    )

    def __init__(self, training: Training, **traits: Any) -> None:
        super().__init__(training.folder, **traits)
        self.training = training
        samples = training.stage == "decomposition"  # the only stage with pictures
        self.add_class("cacnb-lesson-samples" if samples else "cacnb-lesson-losses")
        self._one_at_a_time = Lock()
        self._heard, self._shown, self._over = time.monotonic(), 0, Event()

    def hear(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        """As every monitor answers its page, one question after the other."""
        self._heard = time.monotonic()
        with self._one_at_a_time:
            super().hear(content, buffers)

    def tell_unasked(self) -> None:
        """Tell the page what is new: a kernel that is busy with a cell hears no question."""
        with self._one_at_a_time:
            log = self.logs[0]
            log.read()
            self.send(self.news())
            newest = log.pictures[-1] if log.pictures else 0
            if newest != self._shown and (png := log.picture(newest)) is not None:
                self.send({"type": "picture", "run": 0, "iteration": newest}, [png])
                self._shown = newest

    def _tell_while_it_runs(self) -> None:
        """Until the training has ended, or for ten minutes in which no page has asked."""
        runs = True
        while runs and time.monotonic() - self._heard < UNHEARD_S:
            if self._over.wait(TELL_S):
                return
            runs = self.training.running  # its end is told too
            if time.monotonic() - self._heard > 2 * TELL_S:
                self.tell_unasked()

    def _repr_mimebundle_(  # type: ignore[override]  # as `Still` has it
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        self._heard = time.monotonic()
        if self.training.running:
            atexit.register(self._over.set)  # a kernel that ends has nobody to tell
            Thread(target=self._tell_while_it_runs, daemon=True).start()
        return super()._repr_mimebundle_(include, exclude)

    def news(self, *, whole: bool = True) -> dict[str, Any]:
        """What the page shows; an end before the last iteration stands on top."""
        told = super().news(whole=whole)
        ended = self.training.state if not self.training.running else "running"
        if ended in ("failed", "stopped"):
            means, _, advice = self.training.said.partition(": ")
            row = {
                "name": ended, "iteration": self.logs[0].iteration, "means": means,
                "advice": advice or "run the cell again, it goes on from the last checkpoint",
            }  # fmt: skip
            of_losses = [] if not whole else told["runs"][0]["failing"]
            told["runs"][0]["failing"] = [row, *of_losses]
        return told

    def still(self) -> tuple[bytes, str]:
        """The loss curves and the newest picture of samples."""
        log = RunLog(self.training.folder)
        log.read()
        return run_png(log), run_in_words(log)


def run_png(log: RunLog) -> bytes:
    """Loss curves, and below them the newest samples where the run has any."""
    parts = [_curves(log)]
    if log.pictures and (png := log.picture(log.pictures[-1])) is not None:
        parts.append(_samples(Image.open(io.BytesIO(png)).convert("RGB"), log.pictures[-1]))
    sheet = Image.new("RGB", (WIDTH_PX, sum(part.height for part in parts)), WHITE)
    top = 0
    for part in parts:
        sheet.paste(part, (0, top))
        top += part.height
    content = io.BytesIO()
    sheet.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(content, "PNG")
    return content.getvalue()


def run_in_words(log: RunLog) -> str:
    """What the picture of a run shows, for those who do not see it."""
    if not log.iteration:
        return "The training has no step yet: its curves come when it has."
    terms = [f"{_said(name)} {log.steps.last(name):.3g}" for name in _losses(log)]
    samples = ""
    if log.pictures:
        samples = (
            f" Below, validation slices at iteration {log.pictures[-1]}: image, CAC map and healthy"
            " image side by side."
        )
    return (
        f"Loss curves of {log.recipe.get('stage', 'a training')}"
        f"{' on simulated scans' if _simulated(log) else ''}, iteration {log.iteration} of "
        f"{log.planned}; now {', '.join(terms)}.{samples}"
    )


def _losses(log: RunLog) -> list[str]:
    """Terms that are not 0 throughout, which the recipe leaves out."""
    names = [name for name in log.steps.at if name not in NOT_LOSSES]
    return [name for name in names if log.steps.get(name)[1].any()]


def _simulated(log: RunLog) -> bool:
    """Whether every study that it learns from is simulated."""
    told = log.recipe.get(LEARNED_FROM) or []
    return bool(told) and all(is_simulated(str(study)) for study in told)


def _said(name: str) -> str:
    return name.replace("_", " ")


def _curves(log: RunLog) -> Image.Image:
    from vl_convert import svg_to_png

    rows = [
        {"term": _said(name), "iteration": at, "value": mean}
        for name in _losses(log)
        for at, mean in zip(*_points(log, name), strict=True)
    ]
    title = f"{log.recipe.get('stage', 'training')}, recipe {log.recipe.get('name', '?')}"
    if not rows:
        waiting = Image.new("RGB", (WIDTH_PX, CURVE_PX[1]), WHITE)
        words = f"{title}: no step yet"
        ImageDraw.Draw(waiting).text((12, 12), words, (29, 34, 40), ImageFont.load_default(14))
        return waiting
    chart = (
        alt.Chart(pd.DataFrame(rows))
        .mark_line(strokeWidth=1.5, color="#0072b2", point=len(rows) < 8)
        .encode(
            x=alt.X("iteration:Q", title="iteration"),
            y=alt.Y("value:Q", title=None, scale=alt.Scale(zero=False)),
            facet=alt.Facet("term:N", columns=6, title=None),
        )
        .properties(width=CURVE_PX[0], height=CURVE_PX[1])
        .resolve_scale(y="independent")
    )
    heading = f"{title}: loss terms to iteration {log.iteration:,} of {log.planned:,}"
    svg = chart_svg(titled(chart, heading, simulated=_simulated(log)))
    drawn = Image.open(io.BytesIO(svg_to_png(svg, ppi=72))).convert("RGB")
    if drawn.width > WIDTH_PX:
        drawn = drawn.resize((WIDTH_PX, round(drawn.height * WIDTH_PX / drawn.width)))
    return drawn


def _points(log: RunLog, name: str) -> tuple[list[float], list[float]]:
    thin = thinned(*log.steps.get(name))
    return thin["at"], thin["mean"]


def _samples(picture: Image.Image, iteration: int) -> Image.Image:
    """The samples over the whole width, each column with its name."""
    wide = picture.width / picture.height
    names = next(
        (COLUMNS[n] for n in COLUMNS for rows in range(1, SAMPLE_ROWS + 1) if n / rows == wide), ()
    )
    height = round(picture.height * WIDTH_PX / picture.width)
    sheet = Image.new("RGB", (WIDTH_PX, height + 2 * CAPTION_PX), GROUND)
    sheet.paste(picture.resize((WIDTH_PX, height)), (0, 2 * CAPTION_PX))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    draw.text((6, 4), f"validation slices at iteration {iteration:,}", INK, font)
    for i, name in enumerate(names):
        middle = (i + 0.5) * WIDTH_PX / len(names)
        draw.text((middle, CAPTION_PX + 4), name, INK, font, anchor="ma")
    return sheet
