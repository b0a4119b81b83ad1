import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cacnb.errors import InputError
from cacnb.study.relative_difference import (
    pair_differences,
    relative_difference,
    relative_difference_interval,
)


def skewed_pairs(n=200, noise=0.4, seed=1):
    rng = np.random.default_rng(seed)
    truth = np.where(rng.random(n) < 0.5, 0, rng.lognormal(3, 1.5, n))
    return truth * rng.lognormal(0, noise, n), truth * rng.lognormal(0, noise, n)


def test_a_discordant_pair_counts_2_and_a_double_zero_only_among_all_pairs():
    difference = relative_difference([100, 0, 50, 0], [100, 8, 150, 0])
    assert difference.all_pairs == pytest.approx((0 + 2 + 1 + 0) / 4)
    assert difference.any_positive == pytest.approx((0 + 2 + 1) / 3)
    assert difference.both_positive == pytest.approx((0 + 1) / 2)
    assert (difference.n_pairs, difference.n_any_positive) == (4, 3)
    assert (difference.n_both_positive, difference.n_discordant) == (2, 1)


def test_pairs_without_any_calcium_differ_by_nothing_among_all_and_have_no_other_mean():
    difference = relative_difference([0, 0], [0, 0])
    assert difference.all_pairs == 0
    assert difference.any_positive is None
    assert difference.both_positive is None
    assert relative_difference([], []).all_pairs is None


def test_a_tiny_score_beside_a_large_one_is_still_concordant():
    assert relative_difference([1e-20], [1.0]).n_both_positive == 1
    assert relative_difference_interval([1e-20] * 3, [1.0] * 3, both_positive=True) == (2.0, 2.0)


@pytest.mark.parametrize("size", [5e-324, 1e-310, 1.0, 1e308])
def test_neither_the_smallest_nor_the_largest_number_breaks_a_difference(size):
    assert pair_differences([0.0, size], [size, size]).tolist() == [2.0, 0.0]


score = st.one_of(st.just(0.0), st.floats(1e-3, 1e4))
pairs = st.lists(st.tuples(score, score), min_size=1, max_size=20)


@settings(deadline=None)
@given(pairs)
def test_relative_differences_lie_between_0_and_2_whichever_scan_comes_first(pairs):
    first, second = np.array(pairs).T
    each = pair_differences(first, second)
    known = each[~np.isnan(each)]
    assert ((known >= 0) & (known <= 2)).all()
    assert relative_difference(first, second) == relative_difference(second, first)


@settings(deadline=None)
@given(pairs, st.floats(1e-6, 1e6))
def test_relative_differences_do_not_depend_on_the_unit(pairs, scale):
    first, second = np.array(pairs).T
    plain = pair_differences(first, second)
    scaled = pair_differences(first * scale, second * scale)
    np.testing.assert_allclose(scaled, plain, rtol=1e-9, atol=1e-12)


@settings(deadline=None)
@given(pairs, st.randoms(use_true_random=False))
def test_the_order_of_patients_does_not_matter(pairs, random):
    before = relative_difference(*np.array(pairs).T)
    random.shuffle(pairs)
    after = relative_difference(*np.array(pairs).T)
    assert after.any_positive == pytest.approx(before.any_positive)
    assert after.n_discordant == before.n_discordant


@settings(deadline=None)
@given(pairs)
def test_the_mean_over_all_pairs_is_diluted_by_the_double_zeros(pairs):
    found = relative_difference(*np.array(pairs).T)
    total = (found.any_positive or 0.0) * found.n_any_positive
    assert found.all_pairs == pytest.approx(total / found.n_pairs)


def test_a_seed_fixes_the_bootstrap():
    scores = skewed_pairs()
    assert relative_difference_interval(*scores, seed=3) == relative_difference_interval(
        *scores, seed=3
    )
    assert relative_difference_interval(*scores, seed=3) != relative_difference_interval(
        *scores, seed=4
    )


@pytest.mark.parametrize("both_positive", [False, True])
@pytest.mark.parametrize("kind", ["percentile", "bca"])
def test_the_bootstrap_interval_holds_the_mean_and_has_its_width(both_positive, kind):
    first, second = skewed_pairs(noise=0.5)
    first[:10] = 0
    each = pair_differences(first, second)
    keep = (first > 0) & (second > 0) if both_positive else ~np.isnan(each)
    each = each[keep]
    low, high = relative_difference_interval(first, second, both_positive=both_positive, kind=kind)
    assert low < each.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * each.std() / np.sqrt(each.size), rel=0.1)


def test_fewer_than_three_pairs_with_calcium_have_no_interval():
    with pytest.raises(InputError, match="2 of 4 pairs have calcium") as refusal:
        relative_difference_interval([0, 1, 2, 0], [0, 1, 1, 0])
    assert refusal.value.code == "too_few"
    with pytest.raises(InputError, match="1 of 3 pairs have calcium"):
        relative_difference_interval([0, 1, 2], [1, 1, 0], both_positive=True)
