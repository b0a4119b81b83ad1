"""Free text of a header as words of a known list, or nothing; it does not know whose scan it is.

A scanner's maker, model and kernel are free text, and people have written names into free text.
So no text is copied: a word that is not on a list here is left out.
"""

from __future__ import annotations

import re

#: The makers of CT scanners, by a word of what they write.
MANUFACTURERS = {
    "siemens": "Siemens", "ge": "GE", "general": "GE", "philips": "Philips", "picker": "Philips",
    "marconi": "Philips", "elscint": "Philips", "toshiba": "Toshiba", "canon": "Canon",
    "hitachi": "Hitachi", "fujifilm": "Fujifilm", "neusoft": "Neusoft", "uih": "United Imaging",
    "united": "United Imaging", "samsung": "Samsung", "neurologica": "Samsung", "minfound":
    "MinFound", "anke": "Anke", "cacnb": "cacnb", "tomotherapy": "Accuray", "accuray": "Accuray",
}  # fmt: skip

#: Words of the models of CT and PET/CT scanners; numbers of up to three digits go with them.
MODEL_WORDS = {
    "somatom", "sensation", "emotion", "definition", "as", "flash", "edge", "force", "drive",
    "perspective", "scope", "spirit", "volume", "zoom", "plus", "balance", "confidence", "naeotom",
    "alpha", "go", "up", "now", "all", "top", "sim", "open", "pro", "duo", "cardiac", "biograph",
    "mct", "vision", "horizon", "truepoint", "hirez", "emotionduo", "lightspeed", "vct", "ultra",
    "qx", "i", "rt", "xtra", "xt", "brightspeed", "hispeed", "ct", "discovery", "hd", "hdx", "st",
    "ste", "rx", "mi", "dr", "iq", "optima", "revolution", "evo", "apex", "frontier", "gsi",
    "maxima", "elite", "ascend", "es", "bright", "speed", "light", "highspeed", "advantage",
    "brilliance", "big", "bore", "bigbore", "ict", "sp", "ingenuity", "core", "flex", "tf",
    "gemini", "gxl", "tof", "vereos", "iqon", "spectral", "incisive", "access", "mx", "idt",
    "twin", "aura", "aquilion", "one", "prime", "lb", "cx", "cxl", "rxl", "genesis",
    "precision", "lightning", "exceed", "asteion", "activion", "alexion", "multi", "super", "large",
    "scenaria", "view", "supria", "eclos", "neuviz", "glory", "epoch", "umi", "uct", "cacnb",
    "simulated", "inserted",
}  # fmt: skip

#: The kinds of object that an export of a chest's CT may hold (PS3.16, CID 29 and 33).
MODALITIES = {
    "CT", "MR", "PT", "NM", "US", "CR", "DX", "MG", "RF", "XA", "RG", "OT", "SC", "ECG", "DOC",
    "SR", "KO", "PR", "REG", "SEG", "RTSTRUCT", "RTPLAN", "RTDOSE", "RTIMAGE", "RTRECORD", "RWV",
    "FID", "M3D", "ANN", "AU", "HD", "ES", "GM", "SM", "XC", "PLAN", "CTPROTOCOL",
}  # fmt: skip

#: Kernels by name: GE's, Philips' and Neusoft's.
KERNEL_WORDS = {
    "STANDARD", "STND", "STND+", "SOFT", "DETAIL", "CHST", "CHEST", "LUNG", "BONE", "BONEPLUS",
    "BONE+", "EDGE", "EDGE+", "ULTRA", "HD", "SHARP", "SMOOTH", "SHARP+", "SC", "BODY", "SIMULATED",
}  # fmt: skip
#: Kernels by number: Siemens' (B30f, Br40d, I31f, with the strength of the iteration behind it),
#: Toshiba's and Canon's (FC03), and one or two letters of Philips' (B, YA).
_KERNEL = re.compile(r"[A-Z][a-z]?\d{2}[a-z]{0,2}|FC\d{2}[A-Z]?|[A-Z]{1,2}|\d")


def known_manufacturer(text: str) -> str:
    """The maker's name, or "" where it is none that is known.

    Example
    -------
    >>> known_manufacturer("GE MEDICAL SYSTEMS"), known_manufacturer("Dr Smith's scanner")
    ('GE', '')
    """
    words = re.findall(r"[a-z]+", text.lower())
    return next((MANUFACTURERS[word] for word in words if word in MANUFACTURERS), "")


def known_model(text: str) -> str:
    """A model's name less every word that no scanner bears.

    Example
    -------
    >>> known_model("Sensation 64 (Doe, room 12345)")
    'Sensation 64'
    """
    words = re.findall(r"[A-Za-z]+|\d+", text)
    return " ".join(
        word for word in words if word.lower() in MODEL_WORDS or (word.isdigit() and len(word) < 4)
    )


def known_modality(text: str) -> str:
    """A modality's code, or "" where it is none that is known.

    Example
    -------
    >>> known_modality("RTPLAN"), known_modality("DOEJANE")
    ('RTPLAN', '')
    """
    return text if text in MODALITIES else ""


def known_syntax(uid: str) -> str:
    """A transfer syntax of the standard's own, or the words for another one."""
    return uid if re.fullmatch(r"1\.2\.840\.10008\.[\d.]{1,24}", uid) else "of its own"


def known_kernel(text: str) -> str:
    r"""A kernel's name, or "" where it does not read as one.

    Example
    -------
    >>> known_kernel(r"I31f\3"), known_kernel("STANDARD"), known_kernel("DOE^JANE")
    ('I31f\\3', 'STANDARD', '')
    """
    parts = [part.strip() for part in text.strip().split("\\")]
    known = [p for p in parts if p.upper() in KERNEL_WORDS or _KERNEL.fullmatch(p)]
    return "\\".join(known) if len(known) == len(parts) else ""
