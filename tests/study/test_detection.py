import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from cacnb.errors import InputError
from cacnb.study.detection import Detection, count_detections, wilson_interval


def test_the_paper_s_counts_in_rtp_test1_give_its_rates():
    paper = Detection(true_positive=73, false_positive=21, false_negative=15, true_negative=129)
    assert (paper.n_positive, paper.n_negative) == (88, 150)
    assert round(paper.f1, 3) == 0.802
    assert round(paper.sensitivity, 2) == 0.83
    assert round(paper.false_positive_rate, 2) == 0.14
    assert paper.accuracy == (73 + 129) / 238


def test_cases_are_counted_by_reference_and_call():
    counted = count_detections([True, True, False, False, False], [True, False, True, False, False])
    assert counted == Detection(1, 1, 1, 2)


def test_rates_without_a_case_have_no_value():
    nobody = count_detections([], [])
    assert (nobody.accuracy, nobody.sensitivity, nobody.f1, nobody.sensitivity_ci95) == (None,) * 4
    assert count_detections([False], [False]).false_positive_rate == 0.0


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # Newcombe, Stat Med 1998, Table I, method 3 (Wilson)
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_intervals_are_newcombe_s(successes, n, low, high):
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_all_found_is_an_interval_that_ends_at_1():
    low, high = wilson_interval(20, 20)
    assert high == 1.0
    assert low == pytest.approx(1 - 0.1611, abs=5e-5)


def test_scores_instead_of_calls_are_refused():
    with pytest.raises(InputError, match="score > 0"):
        count_detections([True], [12.0])


def test_calls_of_other_cases_are_refused():
    with pytest.raises(InputError, match="one of each a case"):
        count_detections([True], [True, False])


def test_more_successes_than_cases_are_refused():
    with pytest.raises(InputError, match="3 of 2"):
        wilson_interval(3, 2)


@pytest.mark.parametrize(("successes", "n"), [(0, 5), (5, 5), (73, 88), (1, 400)])
def test_wilson_intervals_are_statsmodels(successes, n):
    theirs = proportion_confint(successes, n, method="wilson")
    assert wilson_interval(successes, n) == pytest.approx(theirs, abs=1e-12)


def test_the_interval_of_f1_holds_it_and_keeps_a_width_where_all_is_found():
    paper = Detection(true_positive=73, false_positive=21, false_negative=15, true_negative=129)
    low, high = paper.f1_ci95
    assert 0.7 < low < paper.f1 < high < 0.9
    perfect = Detection(20, 0, 0, 5)
    assert perfect.f1_ci95[0] < 0.95
    assert perfect.f1_ci95[1] == 1
    assert Detection(0, 0, 0, 5).f1_ci95 is None


def test_the_interval_of_f1_covers_95_percent():
    rng = np.random.default_rng(11)
    shares = np.array([0.28, 0.08, 0.07, 0.57])
    truth = 2 * shares[0] / (2 * shares[0] + shares[1] + shares[2])
    samples = rng.multinomial(119, shares, 4000)
    bounds = np.array([Detection(*counts.tolist()).f1_ci95 for counts in samples])
    covered = ((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])).mean()
    assert 0.93 <= covered <= 0.97
