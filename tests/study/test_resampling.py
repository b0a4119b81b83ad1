import numpy as np
import pytest
from scipy import stats

from cacnb.errors import InputError, UsageError
from cacnb.study.bootstrap import bca_interval, percentile_interval
from cacnb.study.resampling import (
    bootstrap_interval,
    resampled_sums,
    sums_interval,
    sums_test,
)


def mean_of(sums):
    return sums[..., 1] / sums[..., 0]


def with_ones(values):
    return np.stack([np.ones(len(values)), values], axis=1)


def test_sums_of_resamples_have_the_mean_and_covariance_of_draws_with_replacement():
    rng = np.random.default_rng(2)
    moments = with_ones(np.where(rng.random(60) < 0.6, 0.0, rng.lognormal(0, 1, 60)))
    sums = resampled_sums(moments, resamples=40_000)
    assert (sums[:, 0] == 60).all()
    spread = 60 * moments[:, 1].var()
    assert sums[:, 1].mean() == pytest.approx(moments[:, 1].sum(), abs=4 * np.sqrt(spread / 4e4))
    assert sums[:, 1].var() == pytest.approx(spread, rel=0.03)


def test_counting_draws_gives_the_distribution_of_drawing_them():
    values = np.array([0, 0, 0, 0, 1.0, 5.0, 9.0])
    counted = resampled_sums(with_ones(values), resamples=20_000, seed=1)[:, 1]
    rng = np.random.default_rng(7)
    drawn = values[rng.integers(0, 7, (20_000, 7))].sum(axis=1)
    assert stats.ks_2samp(counted, drawn).pvalue > 0.01


def test_resampling_in_one_go_or_in_many_is_the_same(monkeypatch):
    moments = with_ones(np.arange(30.0))
    whole = resampled_sums(moments, resamples=50, seed=5)
    monkeypatch.setattr("cacnb.study.resampling._DRAWN_AT_ONCE", 90)
    np.testing.assert_allclose(resampled_sums(moments, resamples=50, seed=5), whole)


@pytest.mark.parametrize("kind", ["percentile", "bca", "calibrated"])
def test_the_interval_of_a_normal_mean_is_student_s(kind):
    values = np.random.default_rng(3).normal(10, 2, 400)
    wanted = stats.t.interval(0.95, 399, values.mean(), stats.sem(values))
    assert sums_interval(mean_of, with_ones(values), kind=kind) == pytest.approx(wanted, abs=0.05)


@pytest.mark.parametrize("kind", ["percentile", "bca"])
def test_any_statistic_gets_the_interval_that_scipy_gives_it(kind):
    values = np.random.default_rng(4).lognormal(0, 1, 80)
    ours = bootstrap_interval(lambda v: float(np.std(v)), values, resamples=8000, kind=kind)
    theirs = stats.bootstrap(
        (values,), np.std, n_resamples=8000, method=kind.replace("bca", "BCa"), rng=1
    ).confidence_interval
    assert ours == pytest.approx(tuple(theirs), rel=0.06)


@pytest.mark.parametrize("kind", ["percentile", "bca", "calibrated"])
def test_sums_and_tables_agree_on_an_interval(kind):
    values = np.random.default_rng(5).exponential(1, 40)
    fast = sums_interval(mean_of, with_ones(values), resamples=4000, kind=kind)
    slow = bootstrap_interval(lambda v: float(v.mean()), values, resamples=4000, kind=kind)
    assert fast == pytest.approx(slow, abs=0.06)


def test_calibration_widens_the_interval_of_a_small_skewed_sample():
    values = np.random.default_rng(6).lognormal(0, 1.5, 15)
    plain = sums_interval(mean_of, with_ones(values))
    calibrated = sums_interval(mean_of, with_ones(values), kind="calibrated")
    assert calibrated[0] < plain[0]
    assert plain[1] < calibrated[1]


def test_a_seed_fixes_every_kind_of_interval():
    moments = with_ones(np.random.default_rng(8).exponential(1, 30))
    for kind in ("percentile", "bca", "calibrated"):
        first, second, other = (
            sums_interval(mean_of, moments, resamples=200, seed=seed, kind=kind)
            for seed in (1, 1, 2)
        )
        assert first == second != other


def test_resamples_without_a_value_are_left_out():
    table = np.array([0.0, 0, 0, 0, 7])
    low, high = bootstrap_interval(lambda v: 7.0 if v.any() else None, table)
    assert (low, high) == (7.0, 7.0)
    with pytest.raises(InputError, match="no value in these 5 rows") as refusal:
        bootstrap_interval(lambda v: None, table, resamples=50)
    assert refusal.value.code == "too_few"
    with pytest.raises(InputError, match="none of 5 resamples") as refusal:
        percentile_interval(np.full(5, np.nan))
    assert refusal.value.code == "too_few"


def test_bca_of_equal_draws_is_their_value():
    assert bca_interval(np.full(50, 3.0), 3.0, np.full(5, 3.0)) == (3.0, 3.0)


def test_bca_of_a_sample_beyond_all_its_resamples_stays_among_them():
    draws = np.arange(100.0)
    low, high = bca_interval(draws, 500.0, np.r_[np.zeros(20), 100.0])
    assert 0 <= low <= high <= 99


def test_a_percentile_interval_holds_the_middle_95_percent():
    assert percentile_interval(np.arange(1001.0)) == pytest.approx((25, 975))


@pytest.mark.parametrize("kind", ["percentile", "calibrated"])
def test_a_test_and_its_interval_agree_on_whether_0_is_likely(kind):
    outcomes = set()
    for shift in np.linspace(-0.6, 0.9, 16):
        values = np.random.default_rng(9).exponential(1, 40) - 1 + shift
        (low, high), p_value = sums_test(mean_of, with_ones(values), kind=kind)
        # a p-value is told in steps of 1 / 200: at the border itself either answer is right
        if abs(p_value - 0.05) > 0.01:
            assert (low <= 0 <= high) == (p_value > 0.05)
            outcomes.add(p_value > 0.05)
        assert 0 < p_value <= 1
    assert outcomes == {True, False}


@pytest.mark.parametrize("table", [[], [1.0], [1.0, 2.0]])
def test_fewer_than_three_patients_have_no_interval(table):
    with pytest.raises(InputError, match=f"{len(table)} patients"):
        bootstrap_interval(lambda v: float(v.mean()), table)
    with pytest.raises(InputError, match=f"{len(table)} patients"):
        resampled_sums(with_ones(np.array(table)))


def test_a_kind_of_interval_that_is_not_there_is_a_wrong_call():
    with pytest.raises(UsageError, match="'student'"):
        bootstrap_interval(lambda v: float(v.mean()), [1, 2, 3], kind="student")
    with pytest.raises(UsageError, match="0 bootstrap resamples"):
        bootstrap_interval(lambda v: float(v.mean()), [1, 2, 3], resamples=0)
