from math import atanh, sqrt, tanh

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cacnb.errors import InputError
from cacnb.study.concordance import (
    concordance,
    concordance_interval,
    concordance_moments,
    concordance_of_sums,
)
from cacnb.study.intraclass import icc_value


def lin_2000(a, b):
    """Value and interval as Lin prints them, divisions by the correlation and all."""
    n = len(a)
    rho = np.corrcoef(a, b)[0, 1]
    shift = (a.mean() - b.mean()) / sqrt(a.std() * b.std())
    value = 2 * np.cov(a, b, ddof=0)[0, 1] / (a.var() + b.var() + (a.mean() - b.mean()) ** 2)
    variance = (
        (1 - rho**2) * value**2 / ((1 - value**2) * rho**2)
        + 2 * value**3 * (1 - value) * shift**2 / (rho * (1 - value**2) ** 2)
        - value**4 * shift**4 / (2 * rho**2 * (1 - value**2) ** 2)
    ) / (n - 2)
    half = 1.959963984540054 * sqrt(variance)
    return value, (tanh(atanh(value) - half), tanh(atanh(value) + half))


@pytest.mark.parametrize(("seed", "shift"), [(0, 0.0), (1, 2.0), (2, -1.0)])
def test_value_and_interval_are_lin_s(seed, shift):
    rng = np.random.default_rng(seed)
    a = rng.normal(10, 3, 40)
    b = 0.8 * a + shift + rng.normal(0, 1, 40)
    value, interval = lin_2000(a, b)
    found = concordance(a, b)
    assert found.value == pytest.approx(value)
    assert found.ci95 == pytest.approx(interval)
    assert found.precision == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert found.precision * found.accuracy == pytest.approx(value)


def test_a_shift_lowers_accuracy_and_not_precision():
    found = concordance([1, 2, 3, 4], [2, 3, 4, 5])
    assert found.precision == pytest.approx(1)
    # 2 × 1.25 / (1.25 + 1.25 + 1)
    assert found.value == found.accuracy == pytest.approx(2.5 / 3.5)


def test_equal_and_opposite_scores_are_1_and_minus_1():
    assert concordance([1, 2, 3], [1, 2, 3]).ci95 == (1.0, 1.0)
    assert concordance([1, 2, 3], [3, 2, 1]).value == pytest.approx(-1)
    assert concordance_interval([1, 2, 3], [1, 2, 3], resamples=50) == pytest.approx((1.0, 1.0))


def test_a_constant_score_has_no_concordance_and_no_interval_of_lin_s():
    found = concordance([5, 5, 5, 5], [1, 2, 8, 9])
    assert (found.value, found.ci95, found.precision) == (0.0, None, None)


def test_concordance_nears_the_icc_in_many_pairs():
    rng = np.random.default_rng(3)
    a = rng.lognormal(0, 1, 5000)
    b = a * rng.lognormal(0, 0.3, 5000)
    assert concordance(a, b).value == pytest.approx(icc_value(np.stack([a, b], 1)), abs=1e-3)


numbers = st.lists(st.tuples(st.integers(-99, 99), st.integers(-99, 99)), min_size=3, max_size=12)


@settings(deadline=None)
@given(numbers, st.sampled_from([1e-200, 0.1, 3.0, 1e200]))
def test_concordance_depends_neither_on_unit_nor_on_which_scan_is_first(pairs, scale):
    a, b = np.array(pairs, dtype=float).T
    assume(np.ptp([a, b]) > 0)
    found = concordance(a, b)
    assert -1 <= found.value <= 1
    assert concordance(b, a).value == pytest.approx(found.value)
    assert concordance(a * scale, b * scale).value == pytest.approx(found.value)
    of_sums = float(concordance_of_sums(concordance_moments(a, b).sum(axis=0)))
    assert of_sums == pytest.approx(found.value, abs=1e-9)
    assert found.ci95 is None or found.ci95[0] <= found.value + 1e-12 <= found.ci95[1] + 2e-12


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        ([1, 2], [1, 2], "too_few"),
        ([], [], "too_few"),
        ([4, 4, 4], [4, 4, 4], "no_spread"),
        ([1, 2, 3], [1, 2], "unequal_length"),
        ([1, 2, float("nan")], [1, 2, 3], "not_a_score"),
    ],
)
def test_scores_without_a_concordance_are_refused(first, second, code):
    for function in (concordance, concordance_interval):
        with pytest.raises(InputError) as refusal:
            function(first, second)
        assert refusal.value.code == code
