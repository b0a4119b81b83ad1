"""A CAC map beside its scan on the canvas: as scored, before the rules, where it is false."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cacnb.lessons.map_figures import FALSE, without_calcium
from cacnb.lessons.missing import Missing
from cacnb.lessons.scored import LessonScan, scored_scan
from cacnb.lessons.slice_view import LessonCanvas, slice_view
from cacnb.studies import Study

if TYPE_CHECKING:
    from cacnb.evaluation.map_steps import MapSteps, NetworkAnswers

#: Captions of the three images of a map.
SCAN, OVER, HEALTHY = "Scan", "CAC map over scan", "Healthy image: scan less map"


def map_view(scan: LessonScan) -> LessonCanvas:
    """A scan, its map over it, and the healthy image, side by side at the fullest slice."""
    shown = int((scan.cac_map.array.any(axis=(1, 2))).sum())
    return slice_view(
        {SCAN: scan.image, OVER: scan.image, HEALTHY: scan.healthy},
        heart=scan.heart,
        cac_map={OVER: scan.cac_map},
        title=scan.title,
        alt=(
            f"One heart slice of {scan.title} three times: as it is, with the CAC map in colour "
            f"over it, and with the map taken away. The map shows calcium in {shown} slices."
        ),
    )


def steps_view(scan: LessonScan, answers: NetworkAnswers, steps: MapSteps) -> LessonCanvas:
    """The map as the network answers and as it counts, at the slice that loses most between."""
    raw, *_, counted, _ = steps.maps.values()
    taken = (raw.array - counted.array).sum(axis=(1, 2))
    captions = ("As the network answers", "What counts")
    return slice_view(
        dict.fromkeys(captions, answers.cut),
        heart=answers.region,
        cac_map=dict(zip(captions, (raw, counted), strict=True)),
        start_mm=float(answers.cut.axis_mm(0)[int(taken.argmax())]),
        title=scan.title,
        alt=(
            f"The heart slice of {scan.title} in which the rules take most of the map away, with "
            "the map as the network answers and with what counts."
        ),
    )


def false_positive_view(study: Study) -> LessonCanvas | Missing:
    """The map of the scan that shows most in it although it shows no CAC to the reader."""
    table = without_calcium(study)
    if isinstance(table, Missing):
        return table
    found = table[table[FALSE["proposed_pseudo_mass_hu_mm3"]] > 0]
    if found.empty:
        return Missing("no scan without calcium has anything in its map: no false positive here")
    return map_view(scored_scan(study, str(found["scan"].iloc[0])))
