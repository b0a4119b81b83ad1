"""Scans of a study put to the packaged networks, once each; it writes nothing."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from cacnb.ct.verdict import verdict_of
from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.studies import Study

if TYPE_CHECKING:  # torch comes only where a network is asked
    from cacnb.evaluation.map_steps import NetworkAnswers
    from cacnb.learning.weights import Weights


@cache
def packaged_weights() -> Weights:
    """The weights that come with the package, loaded once."""
    from cacnb.learning.weights import load_weights

    return load_weights("demo")


def scan_and_heart(study: Study, name: str) -> tuple[Volume, Volume]:
    """A scan in HU and its heart (bool) by the packaged network, on one grid.

    Raises
    ------
    InputError
        `missing`; `refused` where no heart of the scan can be scored; as `read_scan`.
    """
    from cacnb.pipeline import heart_of

    volume = study.scan(name)
    heart, against = heart_of(volume, packaged_weights())
    if verdict_of(against) == "refused":
        raise InputError("refused", f"scan {name!r} cannot be scored: {against[-1].message}")
    return volume, heart


def ask_scan(study: Study, name: str) -> NetworkAnswers:
    """What the packaged networks say of every slice of a scan's heart; seconds on a CPU.

    Raises
    ------
    InputError
        As `scan_and_heart`.
    """
    from cacnb.evaluation.map_steps import ask_networks

    return ask_networks(*scan_and_heart(study, name), packaged_weights())
