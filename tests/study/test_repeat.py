import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cacnb.errors import InputError
from cacnb.study.bland_altman import bland_altman
from cacnb.study.repeat import RepeatStudy, learn_repeat

#: Twelve pairs with calcium in both scans, three in one, two in none.
FIRST = np.array([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 0, 8, 0, 0, 0], float)
SECOND = np.array([14, 18, 35, 33, 58, 52, 90, 71, 99, 89, 130, 101, 12, 0, 3, 0, 0], float)


def test_limits_are_those_of_pairs_with_calcium_in_both_scans() -> None:
    found = learn_repeat(FIRST, SECOND, name="a", model="sqrt_origin")
    alone = bland_altman(FIRST[:12], SECOND[:12], "sqrt_origin")
    assert (found.n_pairs, found.slope) == (12, alone.slope)
    assert found.mean_range == (12.0, 120.0)
    assert found.limit_at(50.0) == alone.limit_at(50.0)


def test_zeros_are_kept_for_changes_from_zero() -> None:
    found = learn_repeat(FIRST, SECOND, name="a")
    assert found.beside_zero.tolist() == [3.0, 8.0, 12.0]
    assert found.n_double_zero == 2
    assert found.n_zero_scans == 7


def test_the_order_of_pairs_and_of_scans_means_nothing() -> None:
    one = learn_repeat(FIRST, SECOND, name="a")
    other = learn_repeat(SECOND[::-1], FIRST[::-1], name="a")
    assert one.slope == pytest.approx(other.slope)
    assert one.beside_zero.tolist() == other.beside_zero.tolist()


@given(
    beside=st.lists(st.floats(0.1, 100), max_size=12),
    double=st.integers(0, 100),
    found=st.floats(0.1, 120),
)
def test_the_limit_beside_a_zero_is_where_scores_become_rarer_than_5_of_100(
    beside: list[float], double: int, found: float
) -> None:
    study = RepeatStudy(
        "a", False, "linear", 0.0, 0.1, 20, n_double_zero=double, beside_zero=np.sort(beside)
    )
    share = (sum(score >= found for score in beside) + 1) / (study.n_zero_scans + 1)
    limit = study.limit_beside_zero
    if limit is None:
        assert share >= 0.05
    else:
        assert (found > limit) is (share < 0.05)


def test_fewer_than_20_zero_scans_tell_no_limit_beside_a_zero() -> None:
    """1 of n + 1 is not below 5 of 100 until n is 20."""
    for double, known in ((9, False), (10, True)):
        study = RepeatStudy("a", False, "linear", 0.0, 0.1, 20, n_double_zero=double)
        assert (study.limit_beside_zero is not None) is known


def test_a_card_carries_the_limits_without_the_pairs() -> None:
    study = learn_repeat(FIRST, SECOND, name="rtp", simulated=True)
    card = json.loads(json.dumps(study.as_card(), allow_nan=False))
    back = RepeatStudy.from_card(card, "the weights")
    assert (back.name, back.simulated, back.model, back.n_pairs) == ("rtp", True, "linear", 12)
    assert back.limit_at([10.0, 100.0]) == pytest.approx(study.limit_at([10.0, 100.0]))
    assert back.limit_beside_zero == study.limit_beside_zero
    assert back.mean_range == study.mean_range
    assert back.pairs.shape == (0, 2)


def test_a_card_may_say_no_more_than_the_line() -> None:
    card = {"model": "sqrt", "intercept": 1, "slope": 2, "n_pairs": 40, "simulated": True}
    back = RepeatStudy.from_card(card, "the weights 'demo'")
    assert (back.name, back.n_zero_scans) == ("the weights 'demo'", 0)
    assert back.limit_beside_zero is None
    del card["slope"]
    with pytest.raises(InputError, match=r"demo.*slope") as refusal:
        RepeatStudy.from_card(card, "the weights 'demo'")
    assert refusal.value.code == "bad_limits"
    with pytest.raises(InputError, match="no usable repeat limits"):
        RepeatStudy.from_card({**card, "slope": 1, "model": "log"}, "the weights 'demo'")


def test_limits_from_nine_pairs_are_refused() -> None:
    with pytest.raises(InputError, match=r"9 pairs .* 10 or more"):
        learn_repeat(FIRST[3:], SECOND[3:], name="a")


def test_pairs_are_counted_by_their_own_limit() -> None:
    """Every difference is a fifth of its mean, but for one of two fifths."""
    mean = np.linspace(50, 500, 20)
    size = 0.2 * mean
    size[7] *= 2
    found = learn_repeat(mean + size / 2, mean - size / 2, name="a", model="linear")
    share = 0.35 * mean[7] / found.limit_at(mean[7])
    assert found.count_as_far(float(share)) == 1
    assert found.count_as_far(0.0) == 20
