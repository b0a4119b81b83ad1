"""Slices of one series parted by what makes one volume; it does not know their order or their gaps.

Archives put localizers, reformats, several kernels and several acquisitions under one series UID.
What lies on another grid or means something else is another volume, always. The acquisition's
number is asked only where the whole makes no stack: step-and-shoot scanners count every table
position as an acquisition of one and the same stack.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from cacnb.ct.dicom_checks import LOCALIZERS, NOT_ATTENUATION
from cacnb.ct.dicom_headers import SliceHeader
from cacnb.ct.geometry import FEWEST_SLICES
from cacnb.ct.slice_stack import (
    ORIENTATION_TOLERANCE,
    SPACING_TOLERANCE_MM,
    step_reasons_of,
)
from cacnb.ct.verdict import Reason

#: How a warning names what slices differ in, by its code; the first code that applies is given.
_GEOMETRY = ("orientation", "pixel spacing", "matrix", "frame of reference")
_CODES = (
    ("mixed_orientation", _GEOMETRY),
    ("mixed_kernels", ("kernel",)),
    ("mixed_kinds", ("kind of image",)),
    ("mixed_acquisitions", ("acquisition",)),
)


@dataclass(frozen=True)
class Part:
    """Slices that may be one volume, and a warning where their series holds others too."""

    headers: tuple[SliceHeader, ...]
    reasons: tuple[Reason, ...]


def parts_of(headers: Sequence[SliceHeader]) -> tuple[Part, ...]:
    """The volumes that slices under one series UID may be, largest first.

    Slices of which no three go together stay one series, to be refused as one.
    """
    orientation = _cluster_of([h.orientation for h in headers], ORIENTATION_TOLERANCE)
    spacing = _cluster_of([h.pixel_spacing for h in headers], SPACING_TOLERANCE_MM)
    questions: dict[str, Callable[[SliceHeader], Hashable]] = {
        "orientation": lambda h: orientation[h.orientation],
        "pixel spacing": lambda h: spacing[h.pixel_spacing],
        "matrix": lambda h: (h.rows, h.columns),
        "frame of reference": lambda h: h.frame_of_reference,
        "kernel": lambda h: h.kernel,
        "kind of image": _kind,
    }
    groups = _grouped(headers, lambda h: tuple(ask(h) for ask in questions.values()))
    if max(map(len, groups)) < FEWEST_SLICES:
        groups = [list(headers)]  # slices that all differ are one broken series, not many
    differs = [
        name for name, ask in questions.items() if len({ask(group[0]) for group in groups}) > 1
    ]
    parts: list[tuple[list[SliceHeader], list[str]]] = []
    for group in groups:
        by_acquisition = _acquisitions(group)
        words = [*differs, *["acquisition"] * (len(by_acquisition) > 1)]
        parts.extend((part, words) for part in by_acquisition)
    parts.sort(key=lambda part: -len(part[0]))
    return tuple(Part(tuple(part), _warning(words, len(parts))) for part, words in parts)


def _kind(header: SliceHeader) -> Hashable:
    """What an object is, whatever it shows: class, localizer or map, colours, pixels or none."""
    return (
        header.sop_class,
        bool(LOCALIZERS.intersection(header.image_type)),
        bool(NOT_ATTENUATION.intersection(header.image_type)),
        header.image_type[1:2] == ("SECONDARY",),
        (header.photometric, header.samples, header.has_pixels),
    )


def _acquisitions(group: list[SliceHeader]) -> list[list[SliceHeader]]:
    """The group whole, or by acquisition where only its acquisitions make stacks."""
    parts = _grouped(group, lambda h: h.acquisition)
    if len(parts) < 2 or not step_reasons_of(group):
        return [group]
    if any(len(part) < FEWEST_SLICES or step_reasons_of(part) for part in parts):
        return [group]
    return parts


def _warning(words: list[str], volumes: int) -> tuple[Reason, ...]:
    if not words:
        return ()
    code = next(code for code, names in _CODES if set(names).intersection(words))
    return (
        Reason(
            code,
            f"the series UID holds {volumes} stacks that differ in {' and '.join(words)}, one was "
            "wanted: this is one of them; check that it is the one you mean",
            "warn",
        ),
    )


def _grouped(
    headers: Sequence[SliceHeader], key_of: Callable[[SliceHeader], Hashable]
) -> list[list[SliceHeader]]:
    groups: dict[Hashable, list[SliceHeader]] = {}
    for header in headers:
        groups.setdefault(key_of(header), []).append(header)
    return list(groups.values())


def _cluster_of(
    values: Sequence[tuple[float, ...] | None], tolerance: float
) -> dict[tuple[float, ...] | None, int]:
    """A number for every distinct value, equal for those within the tolerance of the first.

    What is not stated joins the first: its series is refused for want of it, not parted.
    """
    found: list[tuple[float, ...]] = []
    numbers: dict[tuple[float, ...] | None, int] = {None: 0}
    for value in dict.fromkeys(values):
        if value is None:
            continue
        for number, other in enumerate(found):
            if all(abs(a - b) <= tolerance for a, b in zip(value, other, strict=True)):
                numbers[value] = number
                break
        else:
            numbers[value] = len(found)
            found.append(value)
    return numbers
