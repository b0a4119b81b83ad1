from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cacnb.errors import InputError, UsageError
from cacnb.study.bland_altman import MODELS, Model
from cacnb.study.change import judge_change
from cacnb.study.repeat import RepeatStudy, learn_repeat

#: 1.96 of its standard deviation for the repeat difference at a mean of 100 is 40.
STUDY = RepeatStudy(
    "phantom", False, "sqrt_origin", 0.0, 4 / (1.96 * np.sqrt(np.pi / 2)), 50,
    n_double_zero=30, beside_zero=np.array([2.0, 5.0, 11.0]),
)  # fmt: skip

SPREADS: dict[Model, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda m: 3 + 0.15 * m,
    "sqrt": lambda m: 1 + 2 * np.sqrt(m),
    "sqrt_origin": lambda m: 2.5 * np.sqrt(m),
}


def repeats(n: int, model: Model, seed: int, grown: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Two scans each of n patients, whose calcium grew by a factor between them."""
    rng = np.random.default_rng(seed)
    mean = rng.uniform(200, 1500, n)
    difference = rng.normal(0, 1, n) * SPREADS[model](mean)
    return mean - difference / 2, grown * (mean + difference / 2)


@pytest.mark.parametrize("model", MODELS)
def test_the_probability_is_uniform_where_nothing_changed(model: Model) -> None:
    """Calibrated: over 2,000 new patients it does not depart from uniform (Kolmogorov–Smirnov)."""
    study = learn_repeat(*repeats(20_000, model, 0), name="a", model=model)
    quick = RepeatStudy.from_card(study.as_card(), "a")
    found = [judge_change(a, b, quick) for a, b in zip(*repeats(2000, model, 1), strict=True)]
    probability = np.array([change.probability for change in found])
    assert stats.kstest(probability, "uniform").pvalue > 0.01
    outside = np.mean([change.outside for change in found])
    assert abs(outside - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 2000)


def test_a_line_that_cannot_bend_misstates_a_spread_that_does() -> None:
    """The check above can fail: root-shaped differences judged by a line through the origin."""
    study = learn_repeat(*repeats(20_000, "linear", 0), name="a", model="sqrt_origin")
    quick = RepeatStudy.from_card(study.as_card(), "a")
    found = [judge_change(a, b, quick) for a, b in zip(*repeats(2000, "linear", 1), strict=True)]
    assert stats.kstest([change.probability for change in found], "uniform").pvalue < 0.01


def test_calcium_that_doubled_is_told_from_scanning_twice() -> None:
    study = learn_repeat(*repeats(500, "linear", 0), name="a")
    quick = RepeatStudy.from_card(study.as_card(), "a")
    grown = zip(*repeats(500, "linear", 1, grown=2.0), strict=True)
    found = [judge_change(a, b, quick) for a, b in grown]
    assert np.median([change.probability for change in found]) < 0.001
    assert np.mean([change.outside for change in found]) > 0.95


def test_the_limit_is_the_one_at_the_mean_of_the_two_scans() -> None:
    found = judge_change(80.0, 120.0, STUDY)
    assert found.limit == pytest.approx(40.0)
    assert found.probability == pytest.approx(0.05, abs=0.0001)
    assert (found.change, found.mean, found.kind) == (40.0, 100.0, "both_positive")


@given(first=st.floats(0.1, 5000), second=st.floats(0.1, 5000))
def test_a_rise_and_a_fall_of_one_size_are_as_rare(first: float, second: float) -> None:
    rise, fall = judge_change(first, second, STUDY), judge_change(second, first, STUDY)
    assert rise.change == -fall.change
    assert (rise.limit, rise.outside, rise.probability) == (
        fall.limit, fall.outside, fall.probability,
    )  # fmt: skip
    assert rise.probability is not None
    assert 0 <= rise.probability <= 1
    edge = 2 * stats.norm.sf(1.96)
    assert rise.outside is bool(rise.probability < edge) or abs(rise.probability - edge) < 1e-9


@given(seed=st.integers(0, 1000))
def test_a_larger_change_is_never_more_probable(seed: int) -> None:
    size = np.sort(np.random.default_rng(seed).uniform(0, 190, 6))
    found = [judge_change(100 - d / 2, 100 + d / 2, STUDY).probability for d in size]
    assert found == sorted(found, reverse=True)  # type: ignore[type-var]


def test_calcium_where_there_was_none_is_held_against_scans_scored_zero() -> None:
    """63 scans of 0: two reach 5 in the other scan, none 12."""
    few, none = judge_change(0.0, 5.0, STUDY), judge_change(0.0, 12.0, STUDY)
    assert (few.kind, few.n_as_far, few.probability) == ("from_zero", 2, pytest.approx(3 / 64))
    assert none.probability == pytest.approx(1 / 64)
    assert (none.limit, none.outside) == (2.0, True)
    assert judge_change(0.0, 2.0, STUDY).outside is False
    gone = judge_change(12.0, 0.0, STUDY)
    assert (gone.kind, gone.probability) == ("to_zero", none.probability)
    assert "Of 63 scans scored 0 in the repeat study, 2 had 5.0 or more" in few.statement


def test_scans_scored_zero_that_nothing_changed_in_are_called_so_in_5_of_100() -> None:
    """From zero: 4,000 repeat pairs of small scores near the threshold, then 4,000 new ones."""

    def near_threshold(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        calcium = rng.exponential(5.0, (4000, 1))
        seen = calcium + rng.normal(0, 4, (4000, 2))
        return np.where(seen > 6, seen, 0.0)

    study = learn_repeat(*near_threshold(0).T, name="a")
    new = near_threshold(1)
    outside = [judge_change(a, b, study).outside for a, b in new[(new[:, 0] == 0)]]
    error = np.sqrt(0.05 * 0.95 * (1 / len(outside) + 1 / study.n_zero_scans))
    assert np.mean(outside) == pytest.approx(0.05, abs=3 * error)


def test_no_calcium_twice_is_no_change() -> None:
    found = judge_change(0.0, 0.0, STUDY)
    assert (found.kind, found.outside, found.probability) == ("both_zero", False, 1.0)
    assert found.percent_change is None


def test_a_study_without_zeros_tells_nothing_of_a_change_from_zero() -> None:
    bare = RepeatStudy("phantom", True, "sqrt", 1.0, 2.0, 50)
    found = judge_change(0.0, 30.0, bare)
    assert (found.limit, found.outside, found.probability) == (None, None, None)
    assert found.statement == "The simulated repeat study tells no limit for such scores."


def test_a_line_below_zero_tells_no_limit_rather_than_a_limit_of_zero() -> None:
    study = RepeatStudy("phantom", False, "linear", -10.0, 0.5, 50)
    small, large = judge_change(5.0, 6.0, study), judge_change(100.0, 110.0, study)
    assert (small.limit, small.outside, small.probability) == (None, None, None)
    assert large.outside is False


def test_a_mean_that_no_repeat_pair_has_is_called_extrapolated() -> None:
    study = learn_repeat(*repeats(100, "linear", 0), name="a")
    assert judge_change(4000.0, 5000.0, study).extrapolated
    assert not judge_change(400.0, 500.0, study).extrapolated


def test_a_limit_has_an_interval_where_the_pairs_are_known() -> None:
    study = learn_repeat(*repeats(100, "linear", 0), name="a")
    found = judge_change(400.0, 500.0, study)
    assert found.limit is not None
    assert found.limit_ci95 is not None
    assert found.limit_ci95[0] < found.limit < found.limit_ci95[1]
    assert judge_change(400.0, 500.0, STUDY).limit_ci95 is None


def test_change_is_told_by_the_year_where_the_years_are_given() -> None:
    found = judge_change(100.0, 160.0, STUDY, years=3.0)
    assert found.percent_change_per_year == pytest.approx(20.0)
    assert found.change_per_year == pytest.approx(20.0)
    assert judge_change(100.0, 160.0, STUDY).percent_change_per_year is None
    assert judge_change(0.0, 160.0, STUDY, years=3.0).percent_change_per_year is None
    for wrong in (0.0, -1.0, np.nan):
        with pytest.raises(UsageError, match="above 0"):
            judge_change(100.0, 160.0, STUDY, years=wrong)


def test_the_statement_counts_as_people_do_and_says_simulated() -> None:
    study = learn_repeat(*repeats(200, "linear", 0), name="a", simulated=True)
    found = judge_change(500.0, 620.0, study)
    assert "simulated repeat pairs" in found.statement
    assert f"Counted in the study: {found.n_as_far} of 200 pairs" in found.statement
    assert found.probability is not None
    assert f"{round(100 * found.probability)} of 100" in found.statement
    assert found.n_as_far == pytest.approx(
        200 * found.probability, abs=3 * np.sqrt(200 * found.probability) + 1
    )


def test_a_score_that_is_none_is_refused() -> None:
    for wrong in (-1.0, np.nan, np.inf):
        with pytest.raises(InputError, match="score"):
            judge_change(10.0, wrong, STUDY)
