"""Time to keep a label: our store beside a table that is written anew at every click, in one run.

Ours appends one event and returns when it is on disk. Plain is what a first script does: it keeps a
DataFrame of all labels and writes it as CSV, or Parquet, at every click, without a sync; what it
has cost is told with as many labels as a study soon has. Then eight processes write to one store at
once. Read the ratios, not the milliseconds: they are the disk's.

    .venv/bin/python benchmarks/label_store.py [--labels 200] [--kept 20000] [--json]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from cacnb.labels.events import LabelEvent
from cacnb.labels.store import LabelStore

WRITERS = 8


def label(session: str, sequence: int) -> LabelEvent:
    """One label as a reader gives it."""
    return LabelEvent(
        session=session, sequence=sequence, action=sequence, kind="give", undoes=None,
        undoes_session=None, given_at=f"2026-01-31T08:15:00.{sequence:06d}+00:00", reader=session,
        app="label", app_version="0.1.0", study="demo", scan=f"scan{sequence // 50:04d}",
        scan_sha256="0" * 64, subject="slice", slice=sequence % 50, item="", value="cac",
        seconds=1.0, role="first", reading=1, queue="random, seed 7", position=0, assistant=False,
    )  # fmt: skip


def timed(keep: Callable[[int], object], labels: int) -> list[float]:
    """Seconds that each of some labels takes to be kept."""
    seconds = []
    for sequence in range(1, labels + 1):
        start = time.perf_counter()
        keep(sequence)
        seconds.append(time.perf_counter() - start)
    return seconds


def told(seconds: list[float]) -> dict[str, float]:
    """Labels a second, and milliseconds of the median and of the slowest twentieth."""
    p50, p95 = np.percentile(seconds, [50, 95]) * 1000
    return {
        "labels_per_second": len(seconds) / sum(seconds),
        "p50_ms": float(p50),
        "p95_ms": float(p95),
    }


def rewriting(form: str, folder: Path, kept: int) -> Callable[[int], object]:
    """The plain way: all labels so far are written again with each new one."""
    table = pd.DataFrame([vars(label("kept", n)) for n in range(1, kept + 1)])

    def keep(sequence: int) -> None:
        table.loc[kept + sequence - 1] = vars(label("plain", sequence))
        if form == "csv":
            table.to_csv(folder / "labels.csv", index=False)
        else:
            table.to_parquet(folder / "labels.parquet")

    return keep


def write_beside(place: str, session: str, labels: int) -> list[float]:
    """One of several processes that write at once."""
    with LabelStore.open(place) as store:
        return timed(lambda n: store.append([label(session, n)]), labels)


def main() -> None:
    """Print the table, or with --json one object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=int, default=200)
    parser.add_argument("--kept", type=int, default=20_000, help="labels that are there before")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    few = max(arguments.labels // 10, 5)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place = str(folder / "labels.sqlite")
        with LabelStore.open(place) as store:
            store.append([label("kept", n) for n in range(1, arguments.kept + 1)])
            ours = told(timed(lambda n: store.append([label("ours", n)]), arguments.labels))
            plain = {
                form: told(timed(rewriting(form, folder, arguments.kept), few))
                for form in ("csv", "parquet")
            }
        with multiprocessing.get_context("spawn").Pool(WRITERS) as pool:
            pool.map(time.sleep, [1.0] * WRITERS, chunksize=1)  # until all have imported
            jobs = [(place, f"w{n}", arguments.labels) for n in range(WRITERS)]
            start = time.perf_counter()
            each = pool.starmap(write_beside, jobs, chunksize=1)
            wall_s = time.perf_counter() - start
        with LabelStore.open(place) as store:
            lost = WRITERS * arguments.labels - len(store.events()) + arguments.kept
            lost += arguments.labels
    together = {
        **told([seconds for one in each for seconds in one]),
        "labels_per_second": WRITERS * arguments.labels / wall_s,
        "lost": lost,
    }
    ratios = {form: row["p50_ms"] / ours["p50_ms"] for form, row in plain.items()}
    if arguments.json:
        found = {
            "ours": ours, "plain_csv": plain["csv"], "plain_parquet": plain["parquet"],
            "eight_writers": together, "kept_before": arguments.kept, "plain_to_ours": ratios,
        }  # fmt: skip
        print(json.dumps(found))
        return
    rows = {"ours": ours, **{f"plain, {form}": row for form, row in plain.items()}}
    for title, row in (rows | {f"ours, {WRITERS} writers": together}).items():
        print(f"{title:16}", "  ".join(f"{key} {value:.1f}" for key, value in row.items()))
    print(
        f"with {arguments.kept} labels kept, writing the table anew takes "
        f"{ratios['csv']:.0f} (CSV) and {ratios['parquet']:.0f} (Parquet) times as long a click, "
        "and is not synced"
    )


if __name__ == "__main__":
    main()
