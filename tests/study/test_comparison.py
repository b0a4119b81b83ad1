import numpy as np
import pytest
from scipy import stats
from statsmodels.stats import contingency_tables

from cacnb.errors import InputError
from cacnb.study.comparison import compare_icc, compare_kappa, compare_relative_differences, mcnemar
from cacnb.study.intraclass import icc_value
from cacnb.study.kappa import weighted_kappa
from cacnb.study.relative_difference import pair_differences, relative_difference

RISK = ("I", "II", "III", "IV")


def skewed_pairs(noise, n=200, seed=1):
    """The same patients for every noise."""
    truth = np.random.default_rng(seed).lognormal(3, 1.5, n)
    truth[: n // 2] = 0
    rng = np.random.default_rng(seed + round(100 * noise))
    return truth * rng.lognormal(0, noise, n), truth * rng.lognormal(0, noise, n)


def calls_of(both, only_one, only_other, neither):
    """Reference, one method's and the other's calls of cases that all have calcium."""
    sizes = [both, only_one, only_other, neither]
    one, other = np.repeat([True, True, False, False], sizes), np.repeat([1, 0, 1, 0], sizes) > 0
    return np.ones(sum(sizes), bool), one, other


def test_a_method_with_less_noise_differs_less_on_the_same_pairs():
    noisy, quiet = skewed_pairs(0.6), skewed_pairs(0.2)
    found = compare_relative_differences(quiet, noisy)
    assert found.value == pytest.approx(
        relative_difference(*quiet).any_positive - relative_difference(*noisy).any_positive
    )
    assert found.ci95[0] < found.value < found.ci95[1] < 0
    assert (found.n, found.test) == (100, "Wilcoxon")
    each = [pair_differences(*scores)[100:] for scores in (quiet, noisy)]
    assert found.p_value == pytest.approx(stats.wilcoxon(*each).pvalue)


def test_only_pairs_that_qualify_by_both_methods_are_compared():
    one = [10, 10, 10, 0, 0], [10, 20, 30, 5, 0]
    other = [10, 10, 10, 9, 8], [10, 10, 10, 9, 0]
    found = compare_relative_differences(one, other, both_positive=True)
    assert found.n == 3
    assert found.value == pytest.approx((0 + 2 / 3 + 1) / 3)
    assert compare_relative_differences(one, other).n == 4


def test_swapping_the_methods_turns_the_difference_around():
    noisy, quiet = skewed_pairs(0.6), skewed_pairs(0.2)
    there, back = (
        compare_relative_differences(*methods) for methods in ((noisy, quiet), (quiet, noisy))
    )
    assert back.value == -there.value
    assert back.ci95 == pytest.approx((-there.ci95[1], -there.ci95[0]))
    assert back.p_value == there.p_value


def test_a_method_does_not_differ_from_itself():
    scores = skewed_pairs(0.3)
    ratings = np.stack(scores, axis=1)
    assert compare_relative_differences(scores, scores).p_value == 1.0
    same = compare_icc(ratings, ratings, resamples=100)
    assert (same.value, same.ci95, same.p_value) == (0.0, (0.0, 0.0), 1.0)


@pytest.mark.parametrize("kind", ["percentile", "calibrated"])
def test_a_method_with_less_noise_has_the_higher_icc(kind):
    noisy, quiet = (np.stack(skewed_pairs(noise), axis=1) for noise in (0.8, 0.1))
    found = compare_icc(quiet, noisy, kind=kind)
    assert found.value == pytest.approx(icc_value(quiet) - icc_value(noisy))
    assert found.ci95[0] < found.value < found.ci95[1]
    assert (found.ci95[0] > 0) == (found.p_value < 0.05)
    assert found.n == 200


def test_the_unit_of_a_method_does_not_matter_to_its_icc():
    noisy, quiet = (np.stack(skewed_pairs(noise), axis=1) for noise in (0.8, 0.1))
    plain, scaled = (
        compare_icc(ratings, noisy, resamples=300, kind="percentile")
        for ratings in (quiet, 1000 * quiet)
    )
    assert scaled.value == pytest.approx(plain.value)
    assert scaled.ci95 == pytest.approx(plain.ci95)


def test_a_method_that_keeps_categories_has_the_higher_kappa():
    rng = np.random.default_rng(0)
    first = rng.integers(0, 4, 150)
    shaken = np.where(rng.random(150) < 0.5, rng.integers(0, 4, 150), first)
    names = [np.array(RISK)[each].tolist() for each in (first, shaken)]
    found = compare_kappa((names[0], names[0]), (names[0], names[1]), RISK)
    assert found.value == pytest.approx(1 - weighted_kappa(*names, RISK).value)
    assert 0 < found.ci95[0] < found.value < found.ci95[1]
    assert found.p_value < 0.01
    quadratic = compare_kappa((names[0], names[0]), (names[0], names[1]), RISK, weights="quadratic")
    assert quadratic.value == pytest.approx(1 - weighted_kappa(*names, RISK, "quadratic").value)


@pytest.mark.parametrize("table", [(1, 1, 7, 12), (73, 9, 2, 4), (0, 5, 0, 1), (3, 0, 0, 3)])
def test_mcnemar_is_statsmodels_exact_test(table):
    found = mcnemar(*calls_of(*table))
    cross = np.reshape(table, (2, 2))
    assert found.p_value == pytest.approx(contingency_tables.mcnemar(cross, exact=True).pvalue)
    assert found.value == pytest.approx((table[1] - table[2]) / sum(table))
    assert -1 <= found.ci95[0] <= found.value <= found.ci95[1] <= 1


def test_newcombe_s_interval_is_the_published_one():
    # airway hyper-responsiveness before and after transplantation, Bentur et al. 2009, as worked
    # by Fagerland, Lydersen & Laake, Stat Med 2014
    found = mcnemar(*calls_of(1, 1, 7, 12))
    assert found.ci95 == pytest.approx((-0.507, -0.026), abs=5e-4)
    assert found.p_value == pytest.approx(0.0703, abs=5e-5)


def test_right_calls_are_counted_in_cases_without_calcium_too():
    reference, one, other = [True, False, False], [True, False, False], [True, True, True]
    assert mcnemar(reference, one, other).value == pytest.approx(2 / 3)


def test_methods_on_other_patients_are_not_compared():
    with pytest.raises(InputError, match="same patients"):
        compare_relative_differences(([1.0], [2.0]), ([1.0, 2.0], [2.0, 3.0]))
    with pytest.raises(InputError, match="same patients"):
        compare_icc([[1, 2], [3, 4], [5, 6]], [[1, 2], [3, 4]])
    with pytest.raises(InputError, match="same patients"):
        compare_kappa((["I"], ["I"]), (["I", "II"], ["I", "I"]), RISK)
    with pytest.raises(InputError, match="one of each a case"):
        mcnemar([True, False], [True], [False])


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: compare_relative_differences(([1, 0], [2, 0]), ([1, 0], [1, 0])), "too_few"),
        (lambda: compare_icc([[1, 2], [3, 4]], [[1, 2], [3, 4]]), "too_few"),
        (lambda: compare_icc(np.zeros((4, 2)), np.arange(8).reshape(4, 2)), "no_spread"),
        (lambda: compare_kappa((["I"] * 3,) * 2, (["I", "II", "I"],) * 2, RISK), "no_spread"),
        (lambda: mcnemar([], [], []), "too_few"),
        (lambda: mcnemar([True], [True], [3.0]), "not_a_call"),
    ],
)
def test_what_cannot_be_compared_is_refused(call, code):
    with pytest.raises(InputError) as refusal:
        call()
    assert refusal.value.code == code
