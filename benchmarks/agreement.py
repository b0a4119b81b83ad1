"""Time of an ICC, a relative difference and their bootstrap, beside pingouin and a plain loop.

All sides see the same *simulated* scores, in turn, in one run. pingouin gives an ICC and no
bootstrap; the plain loop resamples the table and computes both statistics again, draw by draw, on
fewer pairs so that it ends, and ours runs on those pairs too. Seconds are the processor's, so that
a loaded machine tells the same.

    .venv/bin/python benchmarks/agreement.py [--pairs 100000] [--resamples 2000] [--runs 3]
        [--loop-pairs 2000] [--json]
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from statistics import median

import numpy as np
import pandas as pd
import pingouin
from numpy.typing import NDArray

from cacnb.study.intraclass import icc, icc_interval, icc_value
from cacnb.study.relative_difference import (
    pair_differences,
    relative_difference,
    relative_difference_interval,
)

Floats = NDArray[np.float64]


def draw_scores(n: int, seed: int = 0) -> Floats:
    """(n, 2) scores: 60 % double zeros, the others log-normal with noise in proportion."""
    generator = np.random.default_rng(seed)
    truth = np.where(generator.random(n) < 0.6, 0.0, generator.lognormal(4, 1.5, n))
    return truth[:, None] * generator.lognormal(0, 0.35, (n, 2))


def bootstrap(scores: Floats, resamples: int) -> None:
    """Ours: both values with both intervals."""
    icc(scores)
    relative_difference(*scores.T)
    icc_interval(scores, kind="percentile", resamples=resamples)
    relative_difference_interval(*scores.T, resamples=resamples)


def loop(scores: Floats, resamples: int) -> None:
    """Plain: the same, each draw a table of its own."""
    generator = np.random.default_rng(0)
    draws = np.empty((resamples, 2))
    for i in range(resamples):
        table = scores[generator.integers(0, len(scores), len(scores))]
        draws[i] = icc_value(table), np.nanmean(pair_differences(*table.T))
    np.percentile(draws, [2.5, 97.5], axis=0)


def by_pingouin(long: pd.DataFrame) -> float:
    """The ICC(A,1) as pingouin computes it, with five others beside it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pingouin 0.7 calls pandas in a way that it deprecates
        table = pingouin.intraclass_corr(long, "patient", "scan", "score")
    return float(table.set_index("Type").loc["ICC(A,1)", "ICC"])


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds of one call, of all threads."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Print the table, or with --json one object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--loop-pairs", type=int, default=2000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    pairs, resamples = arguments.pairs, arguments.resamples
    scores, few = draw_scores(pairs), draw_scores(arguments.loop_pairs, seed=1)
    long = pd.DataFrame(
        {
            "patient": np.repeat(np.arange(pairs), 2),
            "scan": np.tile([0, 1], pairs),
            "score": scores.ravel(),
        }
    )
    works: dict[str, Callable[[], object]] = {
        "icc_s": lambda: icc(scores),
        "pingouin_icc_s": lambda: by_pingouin(long),
        "bootstrap_s": lambda: bootstrap(scores, resamples),
        "bootstrap_few_s": lambda: bootstrap(few, resamples),
        "loop_few_s": lambda: loop(few, resamples),
    }
    runs = [{name: seconds(work) for name, work in works.items()} for _ in range(arguments.runs)]
    middle = {name: median(run[name] for run in runs) for name in works}
    found = {
        "simulated": True, "pairs": pairs, "loop_pairs": len(few), "resamples": resamples,
        "ours": {k: middle[k] for k in ("icc_s", "bootstrap_s", "bootstrap_few_s")},
        "plain": {k: middle[k] for k in ("pingouin_icc_s", "loop_few_s")},
        "pingouin_to_ours": median(r["pingouin_icc_s"] / r["icc_s"] for r in runs),
        "loop_to_ours": median(r["loop_few_s"] / r["bootstrap_few_s"] for r in runs),
        "largest_icc_difference": abs(by_pingouin(long) - icc(scores).single),
    }  # fmt: skip
    if arguments.json:
        print(json.dumps(found))
        return
    print(
        f"Simulated scores, {pairs:,} pairs, {resamples:,} draws, processor seconds, "
        f"medians of {len(runs)} runs."
    )
    print(f"ICC(A,1) with its F interval: {middle['icc_s']:.4f} s")
    print(
        f"  pingouin: {middle['pingouin_icc_s']:.3f} s, {found['pingouin_to_ours']:.0f} × as long"
    )
    print(f"  they differ by {found['largest_icc_difference']:.1e}")
    print(f"ICC and relative difference, bootstrapped: {middle['bootstrap_s']:.2f} s")
    print(f"The same on {len(few):,} pairs: {middle['bootstrap_few_s']:.3f} s")
    print(
        f"  a loop over tables: {middle['loop_few_s']:.2f} s, {found['loop_to_ours']:.0f} × as long"
    )


if __name__ == "__main__":
    main()
