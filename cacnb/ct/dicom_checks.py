"""What the headers of one series say against scoring it; it does not know where slices stand."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cacnb.ct.dicom_headers import SliceHeader
from cacnb.ct.geometry import TILT_TOLERANCE_DEG
from cacnb.ct.verdict import Reason

#: The tube voltage for which the thresholds in HU hold (Agatston 1990 and the paper, section 2).
STANDARD_KVP = 120.0

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2.1"
LEGACY_CONVERTED_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2.2"
_CT_CLASSES = {"", CT_IMAGE, ENHANCED_CT_IMAGE, LEGACY_CONVERTED_CT_IMAGE}
#: Values of ImageType for scout views: DICOM's own and three vendors' words.
LOCALIZERS = {"LOCALIZER", "SCOUT", "TOPOGRAM", "SURVIEW", "SCANOSCOPE"}

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
                f"the objects are not CT images (modality {header.modality or 'not stated'}), "
                "a CT series was wanted: choose the CT series of this study",
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
    if header.frames > 1 or header.sop_class in (ENHANCED_CT_IMAGE, LEGACY_CONVERTED_CT_IMAGE):
        reasons.append(
            Reason(
                "multiframe",
                f"the file is an enhanced CT of {header.frames} frame{'s' * (header.frames != 1)}, "
                "one file a slice was wanted: convert it to classic CT images (dcm4che's emf2sf)",
            )
        )
    if LOCALIZERS.intersection(header.image_type):
        reasons.append(
            Reason(
                "localizer",
                "a localizer (scout view) is in the series, axial slices alone were wanted: "
                "take the localizer out",
            )
        )
    reasons.extend(_decoding_reasons(header))
    return tuple(reasons)


def _decoding_reasons(header: SliceHeader) -> list[Reason]:
    if header.truncated:
        return [
            Reason(
                "undecodable",
                "a file ends before its pixels do, whole files were wanted: "
                "copy or send the series again",
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
                f"no decoder here opens transfer syntax {header.transfer_syntax}: "
                "send the series uncompressed",
            )
        ]
    return []


def slice_reasons(headers: Sequence[SliceHeader]) -> tuple[Reason, ...]:
    """The reasons that any slice of a series gives, each code once."""
    found: dict[tuple[str, str], Reason] = {}
    for header in headers:
        for reason in describe(header):
            found.setdefault((reason.code, reason.severity), reason)
    if found:
        return tuple(found.values())
    if any(header.slope in (None, 0.0) or header.intercept is None for header in headers):
        return (
            Reason(
                "no_rescale",
                "slices state no rescale slope and intercept, so their numbers are not HU: "
                "export the series again with the rescale tags",
            ),
        )
    return ()


def protocol_reasons(headers: Sequence[SliceHeader]) -> tuple[Reason, ...]:
    """Warnings on how the series was made: voltage, kernel, contrast, stated tilt, no UID."""
    first = headers[0]
    reasons: list[Reason] = []
    if first.kvp is not None and first.kvp != STANDARD_KVP:
        reasons.append(
            Reason(
                "kvp",
                f"the tube voltage is {first.kvp:g} kVp, {STANDARD_KVP:g} was wanted: calcium has "
                "other HU at it; compare its scores only with scans at the same voltage",
                "warn",
            )
        )
    if SHARP_KERNELS.fullmatch(first.kernel):
        reasons.append(
            Reason(
                "sharp_kernel",
                f"the kernel {first.kernel[:16]} is a sharp one, a smooth one was wanted: its "
                "noise passes for calcium; choose the soft tissue reconstruction",
                "warn",
            )
        )
    if any(header.contrast_agent for header in headers):
        reasons.append(
            Reason(
                "contrast_agent",
                "the header states a contrast agent, a scan without one was wanted: "
                "check that the blood is not enhanced",
                "warn",
            )
        )
    if abs(first.gantry_tilt_deg or 0.0) > TILT_TOLERANCE_DEG:
        reasons.append(
            Reason(
                "gantry_tilt",
                f"the header states a gantry tilt of {first.gantry_tilt_deg:g}° that the slices' "
                "positions do not show: check that the slices stand straight",
                "warn",
            )
        )
    if first.series_uid is None:
        reasons.append(
            Reason(
                "no_series_uid",
                "the files carry no series UID and were taken as one series by their folder: "
                "check that they belong together",
                "warn",
            )
        )
    return tuple(reasons)
