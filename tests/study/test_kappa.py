import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.proportion import proportion_confint

from cacnb.errors import InputError, UsageError
from cacnb.study.kappa import category_cells, weight_table, weighted_kappa

RISK = ("I", "II", "III", "IV")

#: 91 couples, husband's answer by wife's: Agresti, Categorical Data Analysis; R's vcd has it.
SEXUAL_FUN = [[7, 7, 2, 3], [2, 8, 3, 7], [1, 5, 4, 9], [2, 8, 9, 14]]

#: 200 diagnoses by two judges: Cohen, Educ Psychol Meas 1960, Table 1, and Psychol Bull 1968.
COHEN = [[88, 14, 18], [10, 40, 10], [2, 6, 12]]

#: How grave Cohen holds each disagreement (1968).
COHEN_GRAVITY = np.array([[0, 1, 3], [1, 0, 6], [3, 6, 0]])

#: 200 diagnoses: Fleiss, Cohen & Everitt, Psychol Bull 1969, and their weights.
FLEISS = [[106, 10, 4], [22, 28, 10], [2, 12, 6]]
FLEISS_WEIGHTS = [[1, 0, 0.4444], [0, 1, 0.6667], [0.4444, 0.6667, 1]]


def pairs_of(table):
    """Both raters' categories of a cross table."""
    size = len(table)
    cells = np.repeat(np.arange(size**2), np.ravel(table))
    return (cells // size).tolist(), (cells % size).tolist()


def standard_error(kappa):
    return (kappa.ci95[1] - kappa.ci95[0]) / 2 / 1.959963984540054


def test_cohen_s_first_example_is_0_492():
    kappa = weighted_kappa(*pairs_of(COHEN), range(3), "unweighted")
    assert kappa.value == pytest.approx(0.492, abs=5e-4)
    assert kappa.accuracy == pytest.approx(0.70)


def test_cohen_s_weighted_example_is_0_348():
    kappa = weighted_kappa(*pairs_of(COHEN), range(3), 1 - COHEN_GRAVITY / 6)
    assert kappa.value == pytest.approx(0.348, abs=5e-4)


def test_fleiss_cohen_and_everitt_s_examples_have_their_standard_errors():
    plain = weighted_kappa(*pairs_of(FLEISS), range(3), "unweighted")
    assert plain.value == pytest.approx(0.429, abs=5e-4)
    assert standard_error(plain) == pytest.approx(0.054, abs=5e-4)
    weighted = weighted_kappa(*pairs_of(FLEISS), range(3), FLEISS_WEIGHTS)
    assert weighted.value == pytest.approx(0.507, abs=1e-3)
    assert standard_error(weighted) ** 2 == pytest.approx(0.003248, abs=5e-7)


def test_linearly_weighted_kappa_and_its_interval_are_vcd_s():
    kappa = weighted_kappa(*pairs_of(SEXUAL_FUN), range(4))
    assert kappa.n == 91
    assert kappa.value == pytest.approx(0.2374, abs=5e-5)
    assert standard_error(kappa) == pytest.approx(0.07832, abs=5e-6)
    assert kappa.accuracy == pytest.approx(33 / 91)


@pytest.mark.parametrize("table", [SEXUAL_FUN, COHEN, FLEISS])
@pytest.mark.parametrize("weights", ["unweighted", "linear", "quadratic"])
def test_kappa_and_interval_are_statsmodels(table, weights):
    ours = weighted_kappa(*pairs_of(table), range(len(table)), weights)
    theirs = cohens_kappa(np.array(table), wt=None if weights == "unweighted" else weights)
    assert ours.value == pytest.approx(theirs.kappa)
    assert ours.ci95 == pytest.approx((theirs.kappa_low, theirs.kappa_upp))


def test_the_interval_of_the_accuracy_is_wilson_s():
    kappa = weighted_kappa(*pairs_of(SEXUAL_FUN), range(4))
    assert kappa.accuracy_ci95 == pytest.approx(proportion_confint(33, 91, method="wilson"))


def test_equal_categories_are_a_kappa_of_1():
    kappa = weighted_kappa(["I", "II", "IV"], ["I", "II", "IV"], RISK)
    assert (kappa.value, kappa.ci95, kappa.accuracy) == (1.0, (1.0, 1.0), 1.0)
    assert kappa.accuracy_ci95[0] < 0.5


def test_one_rater_in_one_category_agrees_by_chance_alone():
    kappa = weighted_kappa(["I", "I", "I"], ["I", "II", "IV"], RISK)
    assert (kappa.value, kappa.accuracy) == (pytest.approx(0), pytest.approx(1 / 3))


def test_an_empty_category_in_between_makes_a_step_graver():
    near = weighted_kappa(["I", "II", "I"], ["I", "II", "II"], ("I", "II", "III"))
    far = weighted_kappa(["I", "III", "I"], ["I", "III", "III"], ("I", "II", "III"))
    assert near.value == pytest.approx(far.value)
    mixed = ["I", "II", "III", "I"], ["I", "II", "III", "III"]
    assert (
        weighted_kappa(*mixed, ("I", "II", "III")).value
        < weighted_kappa(
            ["I", "II", "III", "I"], ["I", "II", "III", "II"], ("I", "II", "III")
        ).value
    )


categories = st.lists(
    st.tuples(st.sampled_from(RISK), st.sampled_from(RISK)), min_size=2, max_size=30
)
names = st.sampled_from(["unweighted", "linear", "quadratic"])


@settings(deadline=None)
@given(categories, names, st.randoms(use_true_random=False))
def test_neither_the_order_of_patients_nor_which_scan_is_first_matters(pairs, weights, random):
    first, second = zip(*pairs, strict=True)
    assume(len({*first, *second}) > 1)
    kappa = weighted_kappa(first, second, RISK, weights)
    random.shuffle(pairs)
    shuffled = weighted_kappa(*zip(*pairs, strict=True), RISK, weights)
    swapped = weighted_kappa(second, first, RISK, weights)
    reversed_ = weighted_kappa(first, second, RISK[::-1], weights)
    for other in (shuffled, swapped, reversed_):
        assert other.value == pytest.approx(kappa.value)
        assert other.ci95 == pytest.approx(kappa.ci95, abs=1e-7)
    assert -1 <= kappa.ci95[0] <= kappa.value + 1e-12 <= kappa.ci95[1] + 2e-12 <= 1 + 3e-12


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        (["I"], ["I", "II"], "unequal_length"),
        ([], [], "unequal_length"),
        (["I", "V"], ["I", "II"], "unknown_category"),
        (["I", None], ["I", "II"], "unknown_category"),
        (["I", float("nan")], ["I", "II"], "unknown_category"),
        (["I", "I"], ["I", "I"], "no_spread"),
    ],
)
def test_categories_without_a_kappa_are_refused(first, second, code):
    with pytest.raises(InputError) as refusal:
        weighted_kappa(first, second, RISK)
    assert refusal.value.code == code


def test_weights_that_are_none_are_a_wrong_call():
    with pytest.raises(UsageError, match="'cubic'"):
        weighted_kappa(["I"], ["II"], RISK, "cubic")
    with pytest.raises(UsageError, match="4 × 4"):
        weighted_kappa(["I"], ["II"], RISK, np.eye(3))


def test_weights_fall_from_1_to_0():
    assert weight_table(4, "quadratic")[0] == pytest.approx([1, 8 / 9, 5 / 9, 0])
    assert weight_table(3, "unweighted").tolist() == np.eye(3).tolist()
    assert category_cells(np.array(["II", "I"]), np.array(["I", "I"]), ["I", "II"]).tolist() == [
        2,
        0,
    ]
