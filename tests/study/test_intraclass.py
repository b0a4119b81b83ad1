import numpy as np
import pandas as pd
import pingouin
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cacnb.errors import InputError
from cacnb.study.intraclass import (
    averaged,
    icc,
    icc_interval,
    icc_log1p,
    icc_moments,
    icc_value,
    single_of_sums,
)
from cacnb.study.resampling import bootstrap_interval

#: Six subjects by four judges: Shrout & Fleiss, Psychol Bull 1979, Table 2.
SHROUT_FLEISS = [
    [9, 2, 5, 8],
    [6, 1, 3, 2],
    [8, 4, 6, 8],
    [7, 1, 2, 6],
    [10, 5, 6, 9],
    [6, 2, 4, 7],
]


def skewed_ratings(n=200, noise=0.4, seed=1, k=2):
    rng = np.random.default_rng(seed)
    truth = np.where(rng.random(n) < 0.5, 0, rng.lognormal(3, 1.5, n))
    return truth[:, None] * rng.lognormal(0, noise, (n, k))


def test_the_icc_is_shrout_and_fleiss_s_two_way_random_one_single_and_average():
    found = icc(SHROUT_FLEISS)
    assert found.single == pytest.approx(0.2898, abs=5e-5)
    assert found.average == pytest.approx(0.6201, abs=5e-5)
    assert found.ci95_f == pytest.approx((0.0188, 0.7611), abs=5e-5)
    assert found.ci95_f_average == pytest.approx((0.0711, 0.9272), abs=5e-5)
    assert (found.n, found.k) == (6, 4)


@pytest.mark.filterwarnings("ignore")  # pingouin 0.7 calls pandas in a way that pandas deprecates
@pytest.mark.parametrize(("n", "k", "seed"), [(10, 2, 0), (25, 3, 1), (60, 2, 2), (8, 5, 3)])
def test_icc_and_f_interval_are_pingouin_s(n, k, seed):
    ratings = skewed_ratings(n, seed=seed, k=k) + np.arange(k)
    long = pd.DataFrame(
        {
            "patient": np.repeat(np.arange(n), k),
            "scan": np.tile(np.arange(k), n),
            "score": ratings.ravel(),
        }
    )
    theirs = pingouin.intraclass_corr(long, "patient", "scan", "score").set_index("Type")
    ours = icc(ratings)
    assert ours.single == pytest.approx(theirs.loc["ICC(A,1)", "ICC"], rel=1e-9)
    assert ours.average == pytest.approx(theirs.loc["ICC(A,k)", "ICC"], rel=1e-9)
    # pingouin rounds its intervals
    assert ours.ci95_f == pytest.approx(tuple(theirs.loc["ICC(A,1)", "CI95"]), abs=0.0051)
    assert ours.ci95_f_average == pytest.approx(tuple(theirs.loc["ICC(A,k)", "CI95"]), abs=0.0051)


def test_perfect_agreement_is_an_icc_of_1():
    found = icc([[1, 1], [5, 5], [9, 9]])
    assert (found.single, found.ci95_f, found.average) == (1.0, (1.0, 1.0), 1.0)
    assert icc_interval([[1, 1], [5, 5], [9, 9]]) == pytest.approx((1.0, 1.0))


def test_a_constant_shift_between_scans_lowers_the_icc_of_absolute_agreement():
    scores = np.arange(10.0)
    shifted = icc(np.stack([scores, scores + 3], axis=1))
    # no residual: variance of patients by itself and that of the shift, 55 / 6 and 9 / 2
    assert shifted.single == pytest.approx((55 / 6) / (55 / 6 + 9 / 2))


def test_opposite_scores_have_a_negative_icc_and_no_average():
    found = icc([[1, 3], [2, 2], [3, 1], [1, 3]])
    assert found.single < -0.9
    assert found.average is None
    assert found.ci95_f_average is None


def test_a_reader_who_always_says_the_same_agrees_with_nobody():
    scores = np.array([0, 5, 20, 80.0])
    found = icc(np.stack([np.full(4, 3.0), scores], axis=1))
    assert abs(found.single) < 0.5
    assert np.isfinite(icc_interval(np.stack([np.full(4, 3.0), scores], axis=1))).all()


@pytest.mark.parametrize(
    ("ratings", "code"),
    [
        ([[1, 2]], "too_few"),
        ([], "too_few"),
        ([1, 2, 3], "too_few"),
        ([[1], [2], [3]], "too_few"),
        ([[0.1, 0.1], [0.1, 0.1], [0.1, 0.1]], "no_spread"),
        ([[0, 0], [0, 0], [0, 0]], "no_spread"),
        ([[1, 2], [2, 1]], "no_spread"),
        ([[1, 2], [3, float("nan")]], "not_a_score"),
        ([[1, 2], [3, float("inf")]], "not_a_score"),
    ],
)
def test_ratings_without_an_icc_are_refused(ratings, code):
    for function in (icc, icc_interval):
        with pytest.raises(InputError) as refusal:
            function(ratings)
        assert refusal.value.code == code


def test_the_value_alone_of_scores_that_do_not_differ_is_none():
    assert icc_value(np.full((5, 2), 0.1)) is None
    assert icc_log1p(np.zeros((5, 2))) is None


def test_two_patients_have_a_value_and_no_bootstrap():
    assert icc([[1, 2], [8, 9]]).single == icc_value([[1, 2], [8, 9]])
    with pytest.raises(InputError, match="2 patients"):
        icc_interval([[1, 2], [8, 9]])


def test_the_log_icc_is_the_icc_of_log_1_plus_x_and_refuses_negative_scores():
    ratings = skewed_ratings()
    assert icc_log1p(ratings) == icc_value(np.log1p(ratings))
    with pytest.raises(InputError, match="1 scores are negative"):
        icc_log1p([[1, 2], [-3, 4], [5, 6]])


table = arrays(
    np.float64, st.tuples(st.integers(3, 12), st.integers(2, 4)), elements=st.integers(-50, 50)
)


@settings(deadline=None)
@given(table, st.randoms(use_true_random=False))
def test_the_order_of_patients_and_of_scans_does_not_matter(ratings, random):
    value = icc_value(ratings)
    assume(value is not None)
    rows, columns = (list(range(size)) for size in ratings.shape)
    random.shuffle(rows)
    random.shuffle(columns)
    assert icc_value(ratings[rows][:, columns]) == pytest.approx(value, abs=1e-9)


@settings(deadline=None)
@given(table, st.floats(-1e3, 1e3), st.sampled_from([-1e200, -3.0, 1e-200, 0.01, 7.0, 1e300]))
def test_the_icc_does_not_depend_on_origin_or_unit(ratings, shift, scale):
    value = icc_value(ratings)
    assume(value is not None)
    assert icc_value(ratings + shift) == pytest.approx(value, abs=1e-6)
    assert icc_value(ratings * scale) == pytest.approx(value, abs=1e-9)


@settings(deadline=None)
@given(table)
def test_no_icc_is_above_1_and_no_result_is_nan(ratings):
    assume(icc_value(ratings) is not None)
    found = icc(ratings)
    assert found.single <= 1 + 1e-12
    for interval in (found.ci95_f, found.ci95_f_average):
        assert interval is None or (np.isfinite(interval).all() and interval[0] <= interval[1])
    low, high = icc_interval(ratings, kind="percentile", resamples=50)
    assert low <= high <= 1 + 1e-12


@settings(deadline=None)
@given(table)
def test_sums_give_the_icc_of_the_table(ratings):
    value = icc_value(ratings)
    assume(value is not None)
    assert float(single_of_sums(icc_moments(ratings).sum(axis=0))) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize("kind", ["percentile", "bca"])
def test_the_fast_bootstrap_is_the_plain_one(kind):
    ratings = skewed_ratings(60)
    plain = bootstrap_interval(icc_value, ratings, resamples=3000, kind=kind)
    assert icc_interval(ratings, resamples=3000, kind=kind) == pytest.approx(plain, abs=0.02)


def test_the_bootstrap_of_skewed_scores_is_wider_than_the_f_interval_and_widest_calibrated():
    ratings = skewed_ratings()
    f_low, f_high = icc(ratings).ci95_f
    low, high = icc_interval(ratings, kind="percentile")
    calibrated = icc_interval(ratings)
    assert high - low > 2 * (f_high - f_low)
    assert calibrated[0] <= low < icc(ratings).single < high <= calibrated[1]


def test_averaging_k_scores_is_spearman_and_brown_s():
    assert averaged(0.5, 2) == pytest.approx(2 / 3)
    assert averaged(-1.0, 2) is None
