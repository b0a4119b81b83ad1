import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cacnb.errors import InputError, UsageError
from cacnb.study.bland_altman import (
    MODELS,
    BlandAltman,
    Model,
    bland_altman,
    limit_interval,
    regression_limit,
)
from cacnb.study.repeatability import repeatability

#: Peak expiratory flow of 17 people by two meters, each twice, l/min (Bland & Altman 1986).
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
WRIGHT_AGAIN = [490, 397, 512, 401, 470, 611, 415, 431, 638, 429, 420, 633, 275, 492, 165, 372, 421]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
MINI_AGAIN = [525, 415, 508, 444, 500, 625, 460, 390, 642, 432, 420, 605, 227, 467, 268, 370, 443]

PER_MEAN_ABSOLUTE = 1.96 * np.sqrt(np.pi / 2)


def pairs(n: int, spread: Model | None, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pairs whose mean |difference| is 0.2 m, 5 + 1.5 √m or 2 √m by model, or 12 without one."""
    rng = np.random.default_rng(seed)
    mean = rng.uniform(100, 2000, n)
    expected = {
        "linear": 0.2 * mean, "sqrt": 5 + 1.5 * np.sqrt(mean), "sqrt_origin": 2 * np.sqrt(mean),
        None: np.full(n, 12.0),
    }[spread]  # fmt: skip
    difference = rng.normal(0, 1, n) * expected * np.sqrt(np.pi / 2)
    return mean + difference / 2, mean - difference / 2


def test_the_peak_flow_meters_agree_as_bland_and_altman_say() -> None:
    """Mean difference −2.1, standard deviation 38.8, limits −79.7 and 75.5 with 2 for 1.96."""
    found = bland_altman(WRIGHT, MINI)
    assert found.bias == pytest.approx(-2.1, abs=0.05)
    assert found.sd == pytest.approx(38.8, abs=0.05)
    assert found.bias - 2 * found.sd == pytest.approx(-79.7, abs=0.1)
    assert found.limits == pytest.approx(
        (found.bias - 1.96 * found.sd, found.bias + 1.96 * found.sd)
    )


def test_the_peak_flow_bias_has_the_published_error_and_interval() -> None:
    """Bland & Altman 1986: standard error 9.4, interval −22.0 to 17.8 l/min."""
    found = bland_altman(WRIGHT, MINI)
    assert found.bias_se == pytest.approx(9.4, abs=0.05)
    assert found.bias_ci95 == pytest.approx((-22.0, 17.8), abs=0.1)


def test_the_peak_flow_limits_have_the_published_error_and_intervals() -> None:
    """Bland & Altman 1986: standard error 16.3; −114.3 to −45.1 and 40.9 to 110.1 l/min.

    They print bias ± 2 sd and √(3/n) sd, for ours of 1.96 and √(1/n + 1.96²/2(n − 1)): the bounds
    differ by what those roundings do, and by no more.
    """
    found = bland_altman(WRIGHT, MINI)
    rounded = found.sd * np.sqrt(3 / found.n)
    assert rounded == pytest.approx(16.3, abs=0.05)
    shift = 0.04 * found.sd + stats.t.ppf(0.975, 16) * abs(found.limit_se - rounded)
    published = ((-114.3, -45.1), (40.9, 110.1))
    for ours, theirs in zip(found.limits_ci95_approximate, published, strict=True):
        assert ours == pytest.approx(theirs, abs=shift + 0.1)
    assert found.limits_ci95_approximate[0][0] == pytest.approx(
        found.limits[0] - stats.t.ppf(0.975, 16) * found.limit_se
    )


def test_the_blood_pressure_limits_have_the_published_error_and_intervals() -> None:
    """Bland & Altman 1999, 85 people: bias −16.29, sd 19.61, standard errors 2.13 and 3.64."""
    limits = (-16.29 - 1.96 * 19.61, -16.29 + 1.96 * 19.61)
    found = BlandAltman(-16.29, 19.61, limits, 0.0, 0.0, 85)
    assert found.bias_se == pytest.approx(2.13, abs=0.005)
    assert found.limit_se == pytest.approx(3.64, abs=0.01)
    assert found.bias_ci95 == pytest.approx((-20.5, -12.1), abs=0.1)
    assert found.limits_ci95_approximate[0] == pytest.approx((-61.9, -47.5), abs=0.15)
    assert found.limits_ci95_approximate[1] == pytest.approx((14.9, 29.3), abs=0.15)


def test_exact_intervals_of_the_limits_hold_them_in_95_of_100_small_samples() -> None:
    """Ten pairs, true limits ± 1.96: within three Monte-Carlo standard errors of 95 %."""
    rng = np.random.default_rng(1)
    times, held = 2000, {"exact": 0, "approximate": 0}
    for sample in rng.normal(0, 1, (times, 10)):
        found = bland_altman(sample, np.zeros(10))
        exact, approximate = found.limits_ci95[1], found.limits_ci95_approximate[1]
        held["exact"] += exact[0] <= 1.96 <= exact[1]
        held["approximate"] += approximate[0] <= 1.96 <= approximate[1]
    error = np.sqrt(0.95 * 0.05 / times)
    assert abs(held["exact"] / times - 0.95) < 3 * error
    assert held["approximate"] < held["exact"]


def test_exact_and_approximate_intervals_meet_with_many_pairs() -> None:
    found = bland_altman(*pairs(100_000, None))
    for exact, approximate in zip(found.limits_ci95, found.limits_ci95_approximate, strict=True):
        assert exact == pytest.approx(approximate, rel=1e-4)


@pytest.mark.parametrize("model", MODELS)
def test_the_line_is_the_least_squares_line(model: Model) -> None:
    """statsmodels' ordinary least squares as the reference."""
    first, second = pairs(60, "sqrt")
    mean, spread = (first + second) / 2, np.abs(first - second)
    x = mean if model == "linear" else np.sqrt(mean)
    design = x[:, None] if model == "sqrt_origin" else sm.add_constant(x)
    expected = sm.OLS(spread, design).fit().params
    found = bland_altman(first, second, model)
    assert found.slope == pytest.approx(expected[-1], rel=1e-9)
    assert found.intercept == pytest.approx(0 if model == "sqrt_origin" else expected[0], rel=1e-9)


@pytest.mark.parametrize(
    ("model", "intercept", "slope"),
    [("linear", 0.0, 0.2), ("sqrt", 5.0, 1.5), ("sqrt_origin", 0.0, 2.0)],
)
def test_each_model_finds_the_spread_that_it_describes(
    model: Model, intercept: float, slope: float
) -> None:
    """Gaussian differences: the limit is 1.96 of their standard deviation at every mean."""
    found = bland_altman(*pairs(200_000, model), model)
    at = np.array([150.0, 600.0, 1800.0])
    x = at if model == "linear" else np.sqrt(at)
    assert found.limit_at(at) == pytest.approx(
        PER_MEAN_ABSOLUTE * (intercept + slope * x), rel=0.02
    )


def test_the_published_limit_of_electron_beam_pairs_is_a_root_through_the_origin() -> None:
    """Sevrukov 2005: ± 4.930 √Agatston; pairs drawn with that limit give it back."""
    slope = 4.930 / PER_MEAN_ABSOLUTE
    assert regression_limit(100.0, 0.0, slope, "sqrt_origin") == pytest.approx(49.3)
    rng = np.random.default_rng(3)
    mean = rng.lognormal(4.5, 1.3, 100_000)
    difference = rng.normal(0, 1, mean.size) * 4.930 / 1.96 * np.sqrt(mean)
    found = bland_altman(mean + difference / 2, mean - difference / 2, "sqrt_origin")
    assert found.limit_at(1.0) == pytest.approx(4.930, rel=0.02)


def test_limits_by_regression_follow_a_spread_that_grows_with_the_score() -> None:
    """|difference| of exactly 0.2 × mean: the line is known."""
    mean = np.linspace(10, 500, 40)
    sign = np.where(np.arange(40) % 2, 1, -1)
    found = bland_altman(mean + 0.1 * sign * mean, mean - 0.1 * sign * mean)
    assert found.slope == pytest.approx(0.2)
    assert found.intercept == pytest.approx(0.0, abs=1e-9)
    assert found.limit_at(100.0) == pytest.approx(PER_MEAN_ABSOLUTE * 20)


def test_the_two_limits_meet_where_the_spread_is_normal_and_constant() -> None:
    found = bland_altman(*pairs(40_000, None))
    sd = 12 * np.sqrt(np.pi / 2)
    assert found.limit_at(500.0) == pytest.approx(1.96 * sd, rel=0.02)
    assert found.limits[1] == pytest.approx(1.96 * sd, rel=0.02)


@given(factor=st.floats(0.01, 1000), model=st.sampled_from(MODELS))
def test_scores_of_another_unit_have_limits_of_that_unit(factor: float, model: Model) -> None:
    first, second = pairs(30, "sqrt")
    one = bland_altman(first, second, model)
    other = bland_altman(factor * first, factor * second, model)
    slope = 1.0 if model == "linear" else np.sqrt(factor)
    assert other.bias == pytest.approx(factor * one.bias)
    assert other.sd == pytest.approx(factor * one.sd)
    assert other.limits == pytest.approx([factor * limit for limit in one.limits])
    assert other.intercept == pytest.approx(factor * one.intercept, abs=1e-9 * factor)
    assert other.slope == pytest.approx(slope * one.slope)
    assert other.limit_at(factor * 500) == pytest.approx(factor * one.limit_at(500.0))


@given(
    scores=st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e4)), min_size=3, max_size=30),
    at=st.floats(0, 1e5),
    model=st.sampled_from(MODELS),
)
def test_a_limit_is_never_negative_and_order_does_not_matter(
    scores: list[tuple[float, float]], at: float, model: Model
) -> None:
    first, second = np.array(scores).T
    found = bland_altman(first, second, model)
    turned = bland_altman(first[::-1], second[::-1], model)
    assert found.limit_at(at) >= 0
    assert found.bias == pytest.approx(turned.bias, rel=1e-9, abs=1e-9)
    assert np.isfinite([found.sd, found.intercept, found.slope, *found.limits]).all()


def test_double_zeros_narrow_the_limits_until_they_are_left_out() -> None:
    first, second = pairs(50, "sqrt")
    none = np.zeros(200)
    alone = bland_altman(first, second)
    diluted = bland_altman(np.append(first, none), np.append(second, none))
    assert diluted.sd < alone.sd
    assert diluted.limit_at(0.0) < alone.limit_at(0.0)


def test_the_interval_of_a_limit_holds_the_true_limit_in_95_of_100_studies() -> None:
    """120 pairs, |d| linear in m; 95 % but for three standard errors of 400 studies and what the
    bootstrap's own docstring admits: it holds 93."""
    at = np.array([300.0, 1500.0])
    held = np.zeros(2)
    for seed in range(400):
        sample = pairs(120, "linear", seed)
        low, high = limit_interval(*sample, at, resamples=400, seed=10_000 + seed)
        held += (low <= PER_MEAN_ABSOLUTE * 0.2 * at) & (PER_MEAN_ABSOLUTE * 0.2 * at <= high)
    error = np.sqrt(0.95 * 0.05 / 400)
    assert (np.abs(held / 400 - 0.93) < 3 * error).all()


@pytest.mark.parametrize("model", MODELS)
def test_the_interval_of_a_limit_is_that_of_refitted_resamples(model: Model) -> None:
    first, second = pairs(40, "sqrt")
    at = np.array([[200.0], [900.0]])
    low, high = limit_interval(first, second, at, model, resamples=4000)
    drawn = np.random.default_rng(5).integers(0, 40, (4000, 40))
    refitted = [bland_altman(first[i], second[i], model).limit_at(at) for i in drawn]
    assert low.shape == at.shape
    # two sets of 4000 resamples: a quantile's Monte-Carlo error is below 1 %
    assert low == pytest.approx(np.quantile(refitted, 0.025, axis=0), rel=0.03)
    assert high == pytest.approx(np.quantile(refitted, 0.975, axis=0), rel=0.03)


def test_repeat_readings_of_the_peak_flow_meters_have_the_published_repeatability() -> None:
    """Bland & Altman 1986 print 43.2 and 56.4 l/min with 2 standard deviations for 1.96."""
    for once, again, published in ((WRIGHT, WRIGHT_AGAIN, 43.2), (MINI, MINI_AGAIN, 56.4)):
        found = repeatability(once, again)
        assert 2 * np.sqrt(2) * found.within_sd == pytest.approx(published, abs=0.1)
        assert found.coefficient == pytest.approx(1.96 * np.sqrt(2) * found.within_sd)
        low, high = found.coefficient_ci95
        assert low < found.coefficient < high


def test_the_within_subject_spread_is_the_one_that_the_scores_were_drawn_with() -> None:
    rng = np.random.default_rng(2)
    true = rng.uniform(200, 400, 50_000)
    one, two = (true * rng.normal(1, 0.05, true.size) for _ in range(2))
    found = repeatability(one, two)
    assert found.within_cv == pytest.approx(0.05, rel=0.02)
    assert found.within_sd == pytest.approx(0.05 * np.sqrt((true**2).mean()), rel=0.02)
    low, high = found.coefficient_ci95
    assert high - low < 0.02 * found.coefficient


def test_a_pair_seen_once_counts_the_root_of_two_and_double_zeros_nothing() -> None:
    assert repeatability([0, 0, 0], [8, 0, 0]).within_cv == pytest.approx(np.sqrt(2))
    assert repeatability([0, 0, 0], [0, 0, 0]).within_cv is None


def test_scores_that_are_all_alike_have_limits_without_a_slope() -> None:
    found = bland_altman([10, 12, 8], [10, 8, 12])
    assert (found.slope, found.intercept) == (0.0, pytest.approx(8 / 3))
    same = bland_altman([0.1 + 0.2, 0.3, 0.3], [0.3, 0.3, 0.1 + 0.2], "sqrt")
    assert same.limit_at(0.3) == pytest.approx(0.0, abs=1e-12)
    zeros = bland_altman([0, 0, 0], [0, 0, 0], "sqrt_origin")
    assert zeros.limit_at([0.0, 50.0]).tolist() == [0.0, 0.0]
    assert zeros.limits_ci95 == ((0.0, 0.0), (0.0, 0.0))


def test_too_few_pairs_and_scores_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match="3 or more"):
        bland_altman([1, 2], [1, 2])
    with pytest.raises(InputError, match="finite"):
        bland_altman([1, 2, np.nan], [1, 2, 3])
    with pytest.raises(InputError, match="one of each"):
        bland_altman([1, 2, 3], [1, 2])
    with pytest.raises(InputError, match="scores are 0 or more"):
        bland_altman([1, 2, -3], [1, 2, -3], "sqrt")
    with pytest.raises(InputError, match="scores are 0 or more"):
        regression_limit(-1.0, 0.0, 2.0, "sqrt_origin")
    with pytest.raises(InputError, match="0 or more"):
        repeatability([1, 2, -3], [1, 2, 3])
    with pytest.raises(UsageError, match="linear, sqrt, sqrt_origin"):
        bland_altman([1, 2, 3], [1, 2, 3], "log")  # type: ignore[arg-type]
