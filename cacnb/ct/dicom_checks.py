"""What the headers of one series say against scoring it; it does not know where slices stand."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cacnb.ct.dicom_headers import SliceHeader
from cacnb.ct.geometry import TILT_TOLERANCE_DEG
from cacnb.ct.known_words import known_kernel, known_modality, known_syntax
from cacnb.ct.verdict import Reason

#: The tube voltage for which the thresholds in HU hold (Agatston 1990 and the paper, section 2).
STANDARD_KVP = 120.0

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2.1"
LEGACY_CONVERTED_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2.2"
_CT_CLASSES = {"", CT_IMAGE, ENHANCED_CT_IMAGE, LEGACY_CONVERTED_CT_IMAGE}
ENHANCED_CLASSES = {ENHANCED_CT_IMAGE, LEGACY_CONVERTED_CT_IMAGE}
#: Values of ImageType for scout views: DICOM's own and three vendors' words.
LOCALIZERS = {"LOCALIZER", "SCOUT", "TOPOGRAM", "SURVIEW", "SCANOSCOPE"}

#: Values of ImageType for pictures that are made of a scan and whose numbers are not its HU:
#: projections, renderings, material maps of two energies, captures (PS3.3, C.8.16 and vendors).
NOT_ATTENUATION = {
    "MIP", "MAXIP", "MAX_IP", "MINIP", "MIN_IP", "CSAMIP", "PROJECTIONIMAGE", "VOLUMERENDER",
    "VOLUME_RENDER", "SURFACE_RENDER", "SCREENSAVE", "SCREEN_SAVE", "DOSE_INFO", "IODINE",
    "SUBTRACTION", "SUBTRACT", "MAT_SPECIFIC", "MAT_REMOVED", "MAT_FRACTIONAL", "MAT_MODIFIED",
    "MAT_VALUE_BASED", "EFF_ATOMIC_NUM", "ELECTRON_DENSITY", "PERFUSION",
}  # fmt: skip
#: RescaleType of attenuation, and those that leave it open.
HU_TYPES, OPEN_TYPES = {"", "HU"}, {"US", "HU_MOD"}

#: Transfer syntaxes whose pixels come out as they went in (PS3.5, annex A).
LOSSLESS = {
    "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90",
}  # fmt: skip
#: JPEG-LS near-lossless and JPEG 2000 in general: lossy or not, by a few HU (measured ± 3).
PERHAPS_LOSSY = {"1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91"}
#: JPEG baseline and extended: always lossy (measured ± 16 HU at 12 bits, more at 8).
LOSSY = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"}

#: Kernels made for lung or bone: Siemens from 50 up, GE's and Toshiba's names, Philips' letters
#: (the sharp reconstructions of NLST, and the vendors' conformance statements).
SHARP_KERNELS = re.compile(
    r"(?:[A-Z][a-z]?[5-9]\d[a-z]*(?:\\.*)?|BONE.*|LUNG.*|EDGE|FC(?:3[0-3]|5\d|8\d)\w*|Y[A-E]|L|E)"
)


def describe(header: SliceHeader) -> tuple[Reason, ...]:
    """Why one file cannot be a slice of a CT scan, whatever stands beside it."""
    reasons: list[Reason] = []
    if header.modality != "CT" or header.sop_class not in _CT_CLASSES:
        reasons.append(
            Reason(
                "not_ct",
                "the objects are not CT images (modality "
                f"{known_modality(header.modality) or 'of no name'}), a CT series was wanted: "
                "choose the CT series of this study",
            )
        )
    elif not header.has_pixels:
        reasons.append(
            Reason(
                "no_pixels",
                "the objects hold no pixels, CT slices were wanted: send the images themselves",
            )
        )
    elif header.photometric != "MONOCHROME2" or header.samples != 1:
        reasons.append(
            Reason(
                "not_ct",
                "the pixels are a picture (colour or inverted grey), attenuation was wanted: "
                "choose the original series, not a screen capture",
            )
        )
    if reasons:
        return tuple(reasons)
    if LOCALIZERS.intersection(header.image_type):
        reasons.append(
            Reason(
                "localizer",
                "a localizer (scout view), axial slices were wanted: choose the axial series",
            )
        )
    elif NOT_ATTENUATION.intersection(header.image_type):
        reasons.append(
            Reason(
                "derived",
                "the image type says that the values were made of a scan (a projection, map or "
                "capture), attenuation was wanted: choose the original series",
            )
        )
    elif header.rescale_type not in HU_TYPES | OPEN_TYPES:
        reasons.append(
            Reason(
                "not_hu",
                "the rescale type says that the values are not HU, HU were wanted: "
                "choose the original series",
            )
        )
    reasons.extend(_decoding_reasons(header))
    return tuple(reasons)


def _decoding_reasons(header: SliceHeader) -> list[Reason]:
    if header.truncated:
        return [
            Reason(
                "undecodable",
                "a file ends before its pixels do, or holds more than its rows and columns, whole "
                "files were wanted: copy or send the series again",
            )
        ]
    bits = (header.bits_allocated, header.bits_stored, header.high_bit)
    is_plain = bits[0] in (8, 16, 32) and 0 < bits[1] <= bits[0] and bits[2] == bits[1] - 1
    if not is_plain or header.signed is None:
        return [
            Reason(
                "undecodable",
                f"pixels of {bits[1]} bits in {bits[0]} up to bit {bits[2]}, "
                f"{'signs not stated' if header.signed is None else 'signs stated'}, are not read; "
                "16-bit pixels were wanted: export the series again",
            )
        ]
    if header.transfer_syntax in LOSSY | PERHAPS_LOSSY:
        surely = header.transfer_syntax in LOSSY
        return [
            Reason(
                "lossy_compression",
                f"the pixels are {'' if surely else 'perhaps '}lossy compressed (transfer syntax "
                f"{header.transfer_syntax}), exact HU were wanted: send the uncompressed original",
                "refuse" if surely else "warn",
            )
        ]
    if header.transfer_syntax not in LOSSLESS:
        return [
            Reason(
                "undecodable",
                f"no decoder here opens transfer syntax {known_syntax(header.transfer_syntax)}: "
                "send the series uncompressed",
            )
        ]
    return []


def not_enhanced(header: SliceHeader) -> Reason:
    """The refusal of a multi-frame file without groups that say where its frames stand."""
    return Reason(
        "multiframe",
        f"the file holds {header.frames} frame{'s' * (header.frames != 1)} and does not say where "
        "each stands, functional groups were wanted: convert it to classic CT images "
        "(dcm4che's emf2sf)",
    )


def slice_reasons(headers: Sequence[SliceHeader], *, rescaled: bool = True) -> tuple[Reason, ...]:
    """The reasons that any slice of a series gives, each code once.

    `rescaled` False does not ask for the rescale tags.
    """
    found: dict[tuple[str, str], Reason] = {}
    for header in headers:
        for reason in describe(header):
            found.setdefault((reason.code, reason.severity), reason)
    no_image = {("not_ct", "refuse"), ("no_pixels", "refuse")}.intersection(found)
    if (
        rescaled
        and not no_image
        and any(header.slope in (None, 0.0) or header.intercept is None for header in headers)
    ):
        found["no_rescale", "refuse"] = Reason(
            "no_rescale",
            "slices state no rescale slope and intercept, so their numbers are not HU: "
            "export the series again with the rescale tags",
        )
    return tuple(found.values())


def protocol_reasons(headers: Sequence[SliceHeader]) -> tuple[Reason, ...]:
    """Warnings on how the series was made: voltage, kernel, contrast, derivation, tilt, no UID."""
    first = headers[0]
    reasons: list[Reason] = []

    def warn(code: str, message: str) -> None:
        reasons.append(Reason(code, message, "warn"))

    voltages = sorted({header.kvp for header in headers if header.kvp is not None})
    if voltages and voltages != [STANDARD_KVP]:
        warn(
            "kvp",
            f"the tube voltage is {' and '.join(f'{kvp:g}' for kvp in voltages)} kVp, "
            f"{STANDARD_KVP:g} was wanted: calcium has other HU at it; compare its scores only "
            "with scans at the same voltage, or score with `--threshold-rule kvp`",
        )
    if SHARP_KERNELS.fullmatch(first.kernel):
        warn(
            "sharp_kernel",
            f"the kernel {known_kernel(first.kernel) or 'stated'} is a sharp one, a smooth one "
            "was wanted: its noise passes for calcium; choose the soft tissue reconstruction",
        )
    if any(header.contrast_agent for header in headers):
        warn(
            "contrast_agent",
            "the header states a contrast agent, a scan without one was wanted: "
            "check that the blood is not enhanced",
        )
    if any(header.image_type[1:2] == ("SECONDARY",) for header in headers):
        warn(
            "derived",
            "the images were derived from others (a reformat or an average), the original "
            "reconstruction was wanted: peaks, and so scores, may be lower",
        )
    if any(header.rescale_type in OPEN_TYPES for header in headers):
        warn(
            "not_hu",
            "the rescale type leaves open what the values are, HU were wanted: "
            "check that air is near −1000 and blood near 40",
        )
    if abs(first.gantry_tilt_deg or 0.0) > TILT_TOLERANCE_DEG:
        warn(
            "gantry_tilt",
            f"the header states a gantry tilt of {first.gantry_tilt_deg:g}° that the slices' "
            "positions do not show: check that the slices stand straight",
        )
    if first.series_uid is None:
        warn(
            "no_series_uid",
            "the files carry no series UID and were taken as one series by their folder: "
            "check that they belong together",
        )
    return tuple(reasons)
