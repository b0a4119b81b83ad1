import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cacnb.errors import InputError
from cacnb.study.agreement import (
    bootstrap_interval,
    compare_relative_differences,
    icc,
    icc_value,
    pair_differences,
    relative_difference,
    relative_difference_interval,
    weighted_kappa,
)

#: Six subjects by four judges: Shrout & Fleiss, Psychol Bull 1979, Table 2.
SHROUT_FLEISS = [
    [9, 2, 5, 8],
    [6, 1, 3, 2],
    [8, 4, 6, 8],
    [7, 1, 2, 6],
    [10, 5, 6, 9],
    [6, 2, 4, 7],
]

#: 91 couples, husband's answer by wife's: Agresti, Categorical Data Analysis; R's vcd has it.
SEXUAL_FUN = [[7, 7, 2, 3], [2, 8, 3, 7], [1, 5, 4, 9], [2, 8, 9, 14]]

RISK = ("I", "II", "III", "IV")


def test_a_discordant_pair_counts_2_and_a_double_zero_not_at_all():
    difference = relative_difference([100, 0, 50, 0], [100, 8, 150, 0])
    assert difference.any_positive == pytest.approx((0 + 2 + 1) / 3)
    assert difference.both_positive == pytest.approx((0 + 1) / 2)
    assert (difference.n_pairs, difference.n_both_positive, difference.n_discordant) == (4, 2, 1)


def test_pairs_without_any_calcium_have_no_relative_difference():
    difference = relative_difference([0, 0], [0, 0])
    assert difference.any_positive is None
    assert difference.both_positive is None
    assert difference.n_pairs == 2


def test_a_tiny_score_beside_a_large_one_is_still_concordant():
    assert relative_difference([1e-20], [1.0]).n_both_positive == 1
    assert relative_difference_interval([1e-20], [1.0], both_positive=True) == (2.0, 2.0)


scores = st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e4)), min_size=1, max_size=20)


@settings(deadline=None)
@given(scores)
def test_relative_differences_lie_between_0_and_2_and_do_not_depend_on_order(pairs):
    first, second = np.array(pairs).T
    each = pair_differences(first, second)
    known = each[~np.isnan(each)]
    assert ((known >= 0) & (known <= 2)).all()
    assert relative_difference(first, second) == relative_difference(second, first)


@pytest.mark.parametrize(
    ("first", "second", "code", "words"),
    [
        ([1.0, 2.0], [1.0], "unequal_length", "one of each a patient"),
        ([1.0, float("nan")], [1.0, 1.0], "not_a_score", "first score nan at position 1"),
        ([1.0], [-3.0], "not_a_score", "second score -3.0 at position 0"),
        ([float("inf")], [1.0], "not_a_score", "finite"),
    ],
)
def test_scores_that_are_none_are_refused(first, second, code, words):
    with pytest.raises(InputError, match=words) as refusal:
        relative_difference(first, second)
    assert refusal.value.code == code


def test_the_icc_is_shrout_and_fleiss_s_two_way_random_single_one():
    agreement = icc(SHROUT_FLEISS)
    assert agreement.value == pytest.approx(0.2898, abs=5e-5)
    assert agreement.ci95 == pytest.approx((0.0188, 0.7611), abs=5e-5)
    assert (agreement.n, agreement.k) == (6, 4)


def test_perfect_agreement_is_an_icc_of_1():
    agreement = icc([[1, 1], [5, 5], [9, 9]])
    assert (agreement.value, agreement.ci95) == (1.0, (1.0, 1.0))


def test_a_constant_shift_lowers_the_icc_of_absolute_agreement():
    scores = np.arange(10.0)
    assert icc(np.stack([scores, scores + 3], axis=1)).value < 0.8


@pytest.mark.parametrize(
    ("ratings", "code"),
    [
        ([[1, 2]], "too_few"),
        ([1, 2, 3], "too_few"),
        ([[0.1, 0.1], [0.1, 0.1], [0.1, 0.1]], "no_spread"),
        ([[1, 2], [3, float("nan")]], "not_a_score"),
    ],
)
def test_ratings_without_an_icc_are_refused(ratings, code):
    with pytest.raises(InputError) as refusal:
        icc(ratings)
    assert refusal.value.code == code


def skewed_pairs(n=200, noise=0.4, seed=1):
    rng = np.random.default_rng(seed)
    truth = np.where(rng.random(n) < 0.5, 0, rng.lognormal(3, 1.5, n))
    return truth * rng.lognormal(0, noise, n), truth * rng.lognormal(0, noise, n)


def test_a_seed_fixes_the_bootstrap():
    pairs = skewed_pairs()
    assert relative_difference_interval(*pairs, seed=3) == relative_difference_interval(
        *pairs, seed=3
    )
    assert relative_difference_interval(*pairs, seed=3) != relative_difference_interval(
        *pairs, seed=4
    )


def test_the_bootstrap_interval_holds_the_mean_and_has_its_width():
    first, second = skewed_pairs()
    each = pair_differences(first, second)
    each = each[~np.isnan(each)]
    low, high = relative_difference_interval(first, second)
    assert low < each.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * each.std() / np.sqrt(each.size), rel=0.15)


def test_the_bootstrap_gives_the_icc_an_interval_too():
    table = np.stack(skewed_pairs(), axis=1)
    low, high = bootstrap_interval(icc_value, table, resamples=300)
    assert low < icc(table).value < high


def test_a_method_with_less_noise_differs_less_on_the_same_pairs():
    noisy, quiet = skewed_pairs(noise=0.6), skewed_pairs(noise=0.2)
    paired = compare_relative_differences(quiet, noisy)
    assert paired.value == pytest.approx(
        relative_difference(*quiet).any_positive - relative_difference(*noisy).any_positive
    )
    assert paired.ci95[0] < paired.value < paired.ci95[1] < 0


def test_methods_on_different_pairs_are_not_compared():
    with pytest.raises(InputError, match="same patients"):
        compare_relative_differences(([1.0], [2.0]), ([1.0, 2.0], [2.0, 3.0]))


def test_pairs_without_calcium_have_no_interval():
    with pytest.raises(InputError, match="pairs with calcium"):
        relative_difference_interval([0.0], [0.0])
    with pytest.raises(InputError, match="0 rows"):
        bootstrap_interval(np.mean, [])


def test_linearly_weighted_kappa_and_its_interval_are_vcd_s():
    cells = [(row, column) for row in range(4) for column in range(4)]
    pairs = [(RISK[r], RISK[c]) for r, c in cells for _ in range(SEXUAL_FUN[r][c])]
    first, second = zip(*pairs, strict=True)
    kappa = weighted_kappa(first, second, RISK)
    assert kappa.n == 91
    assert kappa.value == pytest.approx(0.2374, abs=5e-5)
    half_width = 1.959964 * 0.07832
    assert kappa.ci95 == pytest.approx((0.2374 - half_width, 0.2374 + half_width), abs=1e-4)
    assert kappa.accuracy == pytest.approx(33 / 91)


def test_equal_categories_are_a_kappa_of_1():
    kappa = weighted_kappa(["I", "II", "IV"], ["I", "II", "IV"], RISK)
    assert (kappa.value, kappa.ci95, kappa.accuracy) == (1.0, (1.0, 1.0), 1.0)


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        (["I"], ["I", "II"], "unequal_length"),
        ([], [], "unequal_length"),
        (["I", "V"], ["I", "II"], "unknown_category"),
        (["I", "I"], ["I", "I"], "no_spread"),
    ],
)
def test_categories_without_a_kappa_are_refused(first, second, code):
    with pytest.raises(InputError) as refusal:
        weighted_kappa(first, second, RISK)
    assert refusal.value.code == code
