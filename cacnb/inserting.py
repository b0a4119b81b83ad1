"""A study of pairs from one real scan without calcium: simulated calcium is put into it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cacnb.ct.heart_masks import read_heart
from cacnb.ct.reading import read_scan
from cacnb.ct.verdict import verdict_of
from cacnb.errors import InputError, UsageError
from cacnb.export.insertion_picture import insertion_picture
from cacnb.files import write_atomically
from cacnb.learning.weights import Weights
from cacnb.pipeline import heart_of
from cacnb.simulation.cohort import prepare_study, record_file, write_scan, write_tables
from cacnb.simulation.insertion import Host, carrier, insert_calcium
from cacnb.simulation.lesions import BURDENS


def insert_study(
    path: Path,
    weights: Weights,
    out: Path,
    *,
    pairs: int,
    seed: int,
    burden: str = "rtp",
    heart_path: Path | None = None,
) -> Iterator[str]:
    """Write a study folder from one scan and yield each scan's name; resumable.

    Raises
    ------
    InputError
        With the code of the first reason where the scan cannot be used.
    UsageError
        Where the numbers asked for make no study.
    """
    if pairs < 1 or seed < 0:
        raise UsageError(f"--pairs {pairs} --seed {seed}: ask for at least 1 pair, from seed 0 on")
    if burden not in BURDENS:
        raise UsageError(f"no burden {burden!r}: choose {', '.join(BURDENS)}")
    series, volume = read_scan(path)
    given = None if heart_path is None else read_heart(heart_path, volume, series=series)
    heart, reasons = heart_of(volume, weights, given)
    reasons = (*series.reasons, *reasons)
    if verdict_of(reasons) == "refused":
        first = next(reason for reason in reasons if reason.severity == "refuse")
        raise InputError(first.code, first.message)
    host = Host(volume, heart, series.kvp or 120.0, series.slice_thickness_mm)
    prepare_study(out, _toml(pairs, seed, burden))
    for number in range(seed, seed + pairs):
        for repeat, which in enumerate(("a", "b")):
            name = f"ins{number:05d}_{which}"
            if not record_file(out, name).exists():
                scan = insert_calcium(host, carrier(number, burden), repeat=repeat)
                if number == seed and repeat == 0:
                    write_atomically(insertion_picture(volume, scan), out / "picture.png")
                write_scan(scan, name, out, form="nifti", population="inserted")
            yield name
    write_tables(out)


def _toml(pairs: int, seed: int, burden: str) -> str:
    return (
        'name = "inserted"\nsimulated = true\n'
        'source = "cacnb insert: simulated calcium in a real scan"\n'
        f'pairs = {pairs}\nseed = {seed}\nburden = "{burden}"\n'
        'arteries = ["LAD", "LCX", "RCA"]\n'
    )
