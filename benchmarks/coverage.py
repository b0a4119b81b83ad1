"""How often 95 % intervals of agreement hold the truth, on *simulated* skewed scores.

The scores are drawn as calcium scores look: about 60 % of the pairs are double zeros, the others
log-normal, with noise in proportion and small scores missed now and then. The truth is integrated,
not estimated. False alarms: how often two methods of the same quality come out as different.

    .venv/bin/python benchmarks/coverage.py [--pairs 119 515 1543] [--repeats 1000]
        [--calibrated 300] [--json]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from cacnb.scoring.risk import RISK_CATEGORIES, RISK_UPPER_BOUNDS
from cacnb.study.bootstrap import Interval, bca_interval, percentile_interval
from cacnb.study.comparison import compare_icc, compare_relative_differences
from cacnb.study.intraclass import icc, icc_interval, icc_moments, single_of_sums
from cacnb.study.kappa import kappa_of_counts, weight_table, weighted_kappa
from cacnb.study.relative_difference import relative_difference_interval

Floats = NDArray[np.float64]
Z = 1.959963984540054


@dataclass(frozen=True)
class Population:
    """Paired scores of one population, and what is true of it.

    Parameters
    ----------
    without
        Share of patients without calcium.
    median, log_sd
        Of the log-normal true scores of the others.
    noise
        Standard deviation of the log of a score about its truth: about its relative error.
    half_found
        The true score that is found half of the time; a score that is missed is 0.
    """

    without: float = 0.55
    median: float = 60.0
    log_sd: float = 1.5
    noise: float = 0.35
    half_found: float = 5.0

    def draw(self, n: int, generator: np.random.Generator, scans: int = 2) -> Floats:
        """(n, scans) scores of n patients."""
        truth = self.median * np.exp(self.log_sd * generator.standard_normal((n, 1)))
        has = generator.random((n, 1)) >= self.without
        found = generator.random((n, scans)) < self.found(truth)
        return truth * has * found * np.exp(self.noise * generator.standard_normal((n, scans)))

    def found(self, truth: Floats) -> Floats:
        """Probability that a true score is found."""
        return truth / (truth + self.half_found)

    @cached_property
    def _grid(self) -> tuple[Floats, Floats]:
        """True scores, and the share of all patients that each stands for."""
        u = np.linspace(-10, 10 + 2 * self.log_sd, 40_001)
        weight = stats.norm.pdf(u)
        return self.median * np.exp(self.log_sd * u), (1 - self.without) * weight / weight.sum()

    def icc(self, *, of_log: bool = False) -> float:
        """ICC(A,1) of two exchangeable scores: covariance by variance."""
        truth, share = self._grid
        nodes, weights = np.polynomial.hermite_e.hermegauss(60)
        scores = truth[:, None] * np.exp(self.noise * nodes)
        scores = np.log1p(scores) if of_log else scores
        mean, square = (power @ (weights / weights.sum()) for power in (scores, scores**2))
        found = self.found(truth)
        overall = float(share @ (found * mean))
        variance = float(share @ (found * square)) - overall**2
        return (float(share @ (found * mean) ** 2) - overall**2) / variance

    def relative_difference(self, *, both_positive: bool) -> float:
        """Mean relative difference of the pairs with calcium in either, or in both."""
        truth, share = self._grid
        nodes, weights = np.polynomial.hermite_e.hermegauss(201)
        # |a − b| / mean is 2 tanh |log a − log b| / 2
        apart = 2 * np.tanh(np.abs(nodes) * self.noise / np.sqrt(2))
        of_both = float(apart @ (weights / weights.sum()))
        found = self.found(truth)
        both, one = float(share @ found**2), float(share @ (2 * found * (1 - found)))
        return of_both if both_positive else (of_both * both + 2 * one) / (both + one)

    def kappa(self, weights: str) -> float:
        """Weighted κ of the risk categories."""
        truth, share = self._grid
        found = self.found(truth)[:, None]
        below = stats.norm.cdf(np.log(np.array(RISK_UPPER_BOUNDS) / truth[:, None]) / self.noise)
        below = np.column_stack(
            [np.zeros(len(truth)), 1 - found + found * below, np.ones(len(truth))]
        )
        each = np.diff(below, axis=1)
        table = (each * share[:, None]).T @ each
        table[0, 0] += self.without
        return float(kappa_of_counts(table, weight_table(len(RISK_CATEGORIES), weights)))


def intervals(scores: Floats, seed: int, *, calibrate: bool) -> Iterator[tuple[str, str, Interval]]:
    """Every interval under test of one simulated sample: statistic, kind, interval.

    The calibrated ones cost more than all others together and can be left out.
    """
    first, second = scores.T
    for both, which in ((False, "any"), (True, "both")):
        found = relative_difference_interval(first, second, both_positive=both, seed=seed)
        yield f"relative difference, {which} positive", "percentile, widened to t", found
    categories = np.searchsorted(RISK_UPPER_BOUNDS, scores).T.tolist()
    for weights in ("linear", "quadratic"):
        yield f"κ, {weights}", "analytic", weighted_kappa(*categories, range(4), weights).ci95
    for name, ratings in (("ICC", scores), ("ICC of log(1 + x)", np.log1p(scores))):
        yield from _icc_intervals(name, ratings, seed)
        if calibrate:
            yield name, "calibrated percentile", icc_interval(ratings, seed=seed)


def _icc_intervals(name: str, ratings: Floats, seed: int) -> Iterator[tuple[str, str, Interval]]:
    moments = icc_moments(ratings)
    n = len(moments)
    value, error = _with_error(moments, np.ones((1, n)))
    total = moments.sum(axis=0)
    generator = np.random.default_rng(seed)
    drawn = generator.integers(0, n, (2000, n)) + n * np.arange(2000)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=2000 * n).reshape(2000, n)
    draws, errors = _with_error(moments, counts.astype(np.float64))
    yield name, "F", icc(ratings).ci95_f or (np.nan, np.nan)
    yield name, "percentile", percentile_interval(draws)
    yield name, "BCa", bca_interval(draws, float(value[0]), single_of_sums(total - moments))
    inside = np.clip(draws, -1 + 1e-9, 1 - 1e-9)
    z, z0 = np.arctanh(inside), np.arctanh(value[0])
    yield name, "normal on Fisher's z", tuple(np.tanh(z0 + Z * z.std() * np.array([-1, 1])))
    scale, scale0 = errors / (1 - inside**2), error[0] / (1 - value[0] ** 2)
    known = scale > 0
    low, high = np.quantile((z - z0)[known] / scale[known], [0.025, 0.975])
    yield (
        name,
        "studentised on Fisher's z",
        (np.tanh(z0 - high * scale0), np.tanh(z0 - low * scale0)),
    )


def _with_error(moments: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """ICCs of resamples and their standard errors by the delta method, gradients by difference."""
    n, m = moments.shape[0], moments.shape[1] - 1
    upper = np.triu_indices(m)
    sums = counts @ moments
    products = counts @ (moments[:, 1 + upper[0]] * moments[:, 1 + upper[1]]) / n
    covariance = np.zeros((len(counts), m, m))
    covariance[:, upper[0], upper[1]] = covariance[:, upper[1], upper[0]] = products
    mean = sums[:, 1:] / n
    covariance -= mean[:, :, None] * mean[:, None, :]
    gradient = np.empty_like(mean)
    for j in range(m):
        step = 1e-6 * n * np.sqrt(np.maximum(covariance[:, j, j], 1e-20))
        more, less = sums.copy(), sums.copy()
        more[:, j + 1] += step
        less[:, j + 1] -= step
        gradient[:, j] = n * (single_of_sums(more) - single_of_sums(less)) / (2 * step)
    variance = np.einsum("bi,bij,bj->b", gradient, covariance, gradient) / n
    return single_of_sums(sums), np.sqrt(np.maximum(np.nan_to_num(variance), 0.0))


def false_alarms(scores: Floats, seed: int, *, calibrate: bool) -> Iterator[tuple[str, str, bool]]:
    """Whether two methods of one quality differ, by each test: (n, 4) scores, two of each."""
    one, other = scores[:, :2], scores[:, 2:]
    for kind in ("percentile", "calibrated")[: 1 + calibrate]:
        low, high = compare_icc(one, other, seed=seed, kind=kind).ci95
        yield "ICC", f"paired bootstrap, {kind}", not low <= 0 <= high
    apart = [icc(each).ci95_f or (-1.0, 1.0) for each in (one, other)]
    yield "ICC", "F intervals apart", apart[0][1] < apart[1][0] or apart[1][1] < apart[0][0]
    by_difference = compare_relative_differences(tuple(one.T), tuple(other.T), seed=seed)
    low, high = by_difference.ci95
    yield "relative difference", "paired bootstrap, percentile", not low <= 0 <= high
    yield "relative difference", "Wilcoxon", by_difference.p_value < 0.05


def simulate(
    n: int, repeats: int, calibrated: int, population: Population
) -> list[dict[str, object]]:
    """One row an interval: how often it held the truth in how many samples, its median width."""
    truths = {
        "ICC": population.icc(),
        "ICC of log(1 + x)": population.icc(of_log=True),
        "κ, linear": population.kappa("linear"),
        "κ, quadratic": population.kappa("quadratic"),
        "relative difference, any positive": population.relative_difference(both_positive=False),
        "relative difference, both positive": population.relative_difference(both_positive=True),
    }
    generator = np.random.default_rng(n)
    found: dict[tuple[str, str], list[Interval]] = {}
    alarms: dict[tuple[str, str], list[bool]] = {}
    for repeat in range(repeats):
        scores = population.draw(n, generator, scans=4)
        for statistic, kind, interval in intervals(
            scores[:, :2], repeat, calibrate=repeat < calibrated
        ):
            found.setdefault((statistic, kind), []).append(interval)
        for statistic, test, alarm in false_alarms(scores, repeat, calibrate=repeat < calibrated):
            alarms.setdefault((statistic, test), []).append(alarm)
    rows: list[dict[str, object]] = []
    for (statistic, kind), each in found.items():
        low, high = np.array(each).T
        truth = truths[statistic]
        rows.append(
            {
                "pairs": n, "statistic": statistic, "interval": kind, "truth": truth,
                "coverage_percent": 100 * float(((low <= truth) & (truth <= high)).mean()),
                "above_percent": 100 * float((low > truth).mean()),
                "below_percent": 100 * float((high < truth).mean()),
                "median_width": float(np.median(high - low)), "repeats": len(each),
            }
        )  # fmt: skip
    for (statistic, test), each in alarms.items():
        rows.append(
            {"pairs": n, "statistic": statistic, "test": test,
             "false_alarm_percent": 100 * float(np.mean(each)), "repeats": len(each)}
        )  # fmt: skip
    return rows


def table(rows: list[dict[str, object]]) -> str:
    """The rows as Markdown: coverage of every interval, then false alarms of every test."""
    sizes = list(dict.fromkeys(row["pairs"] for row in rows))
    lines = []
    for kind, key in (("interval", "coverage_percent"), ("test", "false_alarm_percent")):
        lines += [f"| statistic | {kind} | " + " | ".join(f"{n} pairs" for n in sizes) + " |"]
        lines += ["|---|---|" + "---|" * len(sizes)]
        names = dict.fromkeys((row["statistic"], row[kind]) for row in rows if kind in row)
        for name in names:
            each = [row for row in rows if (row["statistic"], row.get(kind)) == name]
            cells = [
                f"{row[key]:.1f}"
                + (f" ({row['median_width']:.3f})" if kind == "interval" else "")
                for row in each
            ]  # fmt: skip
            lines += [f"| {name[0]} | {name[1]} | " + " | ".join(cells) + " |"]
        lines += [""]
    return "\n".join(lines)


def main() -> None:
    """Print the tables, or with --json one object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, nargs="+", default=[119, 515, 1543])
    parser.add_argument("--repeats", type=int, nargs="+", default=[1000])
    parser.add_argument("--calibrated", type=int, nargs="+", default=[300])
    parser.add_argument("--log-sd", type=float, default=Population.log_sd)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    population = Population(log_sd=arguments.log_sd)
    sizes = arguments.pairs
    many, few = (
        given * len(sizes) if len(given) == 1 else given
        for given in (arguments.repeats, arguments.calibrated)
    )
    rows = [
        row
        for n, repeats, calibrated in zip(sizes, many, few, strict=True)
        for row in simulate(n, repeats, calibrated, population)
    ]
    if arguments.json:
        print(json.dumps({"simulated": True, "population": asdict(population), "rows": rows}))
        return
    print(f"Simulated scores: {population}.")
    print("Coverage of 95 % intervals in percent (median width); false alarms at 5 % in percent.\n")
    print(table(rows))


if __name__ == "__main__":
    main()
