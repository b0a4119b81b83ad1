"""Which name or code means the whole heart and nothing else; it does not know what bears it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping

from cacnb.errors import InputError

#: The heart in the languages of planning systems; accents and case are taken off before.
HEART_WORDS = {
    "heart", "cor", "herz", "coeur", "hart", "cuore", "corazon", "coracao", "hjerte", "hjarta",
    "sydan", "serce", "srdce", "sziv", "kalp", "καρδια", "сердце", "心臓", "心臟", "心脏", "심장",
}  # fmt: skip

#: Words that leave a heart a heart: who drew it and how (TG-263 and the names of public sets). All
#: others make it something else: arteries (A_Heart), margins (PRV, PTV), parts, evaluation copies.
HARMLESS_WORDS = {
    "oar", "organ", "roi", "struct", "structure", "contour", "whole", "total", "auto", "ai", "dl",
    "manual", "final", "mda", "rtog", "escalon", "mim", "limbus",
}  # fmt: skip

#: The heart's code by scheme: SNOMED CT and its older form, FMA, UBERON.
HEART_CODES = {
    ("SCT", "80891009"), ("SRT", "T-32000"), ("99SDM", "T-32000"), ("FMA", "7088"),
    ("FMA", "FMA7088"), ("UBERON", "0000948"), ("UBERON", "UBERON:0000948"),
}  # fmt: skip


def heart_rank(name: str) -> int | None:
    """How many words a name has beside the heart's own; None where it is not the whole heart's.

    Example
    -------
    >>> [heart_rank(name) for name in ("Herz", "Heart_MDA", "A_Heart", "Heart-PTV")]
    [0, 1, None, None]
    """
    words = _words(name)
    hearts = [word for word in words if word in _HEART]
    others = [word for word in words if word not in _HEART]
    if len(hearts) != 1 or any(w not in HARMLESS_WORDS and not w.isdigit() for w in others):
        return None
    return len(others)


def choose_heart(
    names: Mapping[int, str], structure: str | None = None, coded: Collection[int] = ()
) -> int:
    """The number, among named structures, of the heart or of the one that was asked for.

    Parameters
    ----------
    names
        Name of each structure, segment or label by its number.
    structure
        The name of the wanted one, or its number; None for the heart by its code or name.
    coded
        Numbers that bear the heart's code.

    Raises
    ------
    InputError
        `no_structure` where none fits, `several_structures` where more than one does. No name of
        the file stands in the message: it is free text, and people write names into it.
    """
    if structure is not None:
        wanted = structure.strip().casefold()
        found = [n for n, name in names.items() if name.strip().casefold() == wanted]
        if not found and wanted.isdigit() and int(wanted) in names:
            found = [int(wanted)]
    elif len(coded) == 1:
        found = list(coded)
    else:
        ranks = {n: rank for n, name in names.items() if (rank := heart_rank(name)) is not None}
        found = [n for n, rank in ranks.items() if rank == min(ranks.values())]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(
            "several_structures",
            f"{len(found)} of {len(names)} structures bear the heart's name (numbers "
            f"{', '.join(map(str, sorted(found)))}), one was wanted: give --structure NUMBER",
        )
    sought = "is the one asked for" if structure is not None else "bears the heart's name"
    raise InputError(
        "no_structure",
        f"none of {len(names)} structures {sought}, the whole heart was wanted: give its name or "
        "number with --structure, as your viewer shows it",
    )


def _words(name: str) -> list[str]:
    """A name's words: small letters without accents, split at case, numbers and marks."""
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    plain = unicodedata.normalize("NFKD", split.replace("œ", "oe").replace("Œ", "Oe")).casefold()
    letters = "".join(c for c in plain if not unicodedata.combining(c))
    return re.findall(r"[^\W\d_]+|\d+", unicodedata.normalize("NFC", letters))


_HEART = {word for heart in HEART_WORDS for word in _words(heart)}
