import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacnb.errors import InputError
from cacnb.study.bland_altman import bland_altman

#: Peak expiratory flow of 17 people by two meters, l/min (Bland & Altman 1986, first readings).
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def test_the_peak_flow_meters_agree_as_bland_and_altman_say() -> None:
    """Mean difference −2.1, standard deviation 38.8, limits −79.7 and 75.5 with 2 for 1.96."""
    found = bland_altman(WRIGHT, MINI)
    assert found.bias == pytest.approx(-2.1, abs=0.05)
    assert found.sd == pytest.approx(38.8, abs=0.05)
    assert found.bias - 2 * found.sd == pytest.approx(-79.7, abs=0.1)
    assert found.limits == pytest.approx(
        (found.bias - 1.96 * found.sd, found.bias + 1.96 * found.sd)
    )


def test_limits_by_regression_follow_a_spread_that_grows_with_the_score() -> None:
    """|difference| of exactly 0.2 × mean: the line is known."""
    mean = np.linspace(10, 500, 40)
    sign = np.where(np.arange(40) % 2, 1, -1)
    found = bland_altman(mean + 0.1 * sign * mean, mean - 0.1 * sign * mean)
    assert found.slope == pytest.approx(0.2)
    assert found.intercept == pytest.approx(0.0, abs=1e-9)
    assert found.limit_at(100.0) == pytest.approx(1.96 * np.sqrt(np.pi / 2) * 20)


def test_the_two_limits_meet_where_the_spread_is_normal_and_constant() -> None:
    rng = np.random.default_rng(0)
    mean, noise = rng.uniform(100, 900, 40_000), rng.normal(0, 15, 40_000)
    found = bland_altman(mean + noise / 2, mean - noise / 2)
    assert found.limit_at(500.0) == pytest.approx(1.96 * 15, rel=0.02)
    assert found.limits[1] == pytest.approx(1.96 * 15, rel=0.02)


@given(
    scores=st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e4)), min_size=3, max_size=30),
    at=st.floats(0, 1e5),
)
def test_a_limit_is_never_negative_and_order_does_not_matter(
    scores: list[tuple[float, float]], at: float
) -> None:
    first, second = np.array(scores).T
    found, turned = bland_altman(first, second), bland_altman(first[::-1], second[::-1])
    assert found.limit_at(at) >= 0
    assert found.bias == pytest.approx(turned.bias, rel=1e-9, abs=1e-9)


def test_too_few_pairs_and_scores_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match="3 or more"):
        bland_altman([1, 2], [1, 2])
    with pytest.raises(InputError, match="finite"):
        bland_altman([1, 2, np.nan], [1, 2, 3])
    with pytest.raises(InputError, match="one of each"):
        bland_altman([1, 2, 3], [1, 2])
