import numpy as np
import pytest

from cacnb.errors import InputError
from cacnb.scoring.risk import risk_category, scale_to_clinical


@pytest.mark.parametrize(
    ("agatston", "category"),
    [(0, "I"), (10, "I"), (10.4, "II"), (11, "II"), (100, "II"), (100.5, "III"), (400, "III"),
     (400.1, "IV"), (5000, "IV")],
)  # fmt: skip
def test_a_score_between_two_bounds_belongs_to_the_category_above(agatston, category):
    assert risk_category(agatston) == category


@pytest.mark.parametrize("score", [-1.0, float("nan")])
def test_a_score_that_is_none_has_no_category(score):
    with pytest.raises(InputError, match="0 or more"):
        risk_category(score)


def test_scaled_scores_have_the_clinical_mean_and_keep_their_ratios():
    adjusted = np.array([[0.0, 30.0], [200.0, 90.0]])
    clinical = np.array([[0.0, 0.0], [130.0, 50.0]])
    scaled = scale_to_clinical(adjusted, clinical)
    assert scaled.mean() == pytest.approx(clinical.mean())
    assert scaled[1, 0] / scaled[1, 1] == pytest.approx(200 / 90)


@pytest.mark.parametrize(
    ("adjusted", "clinical", "code"),
    [
        ([1.0], [1.0, 2.0], "unequal_length"),
        ([1.0, float("nan")], [1.0, 2.0], "not_a_score"),
        ([0.0, 0.0], [1.0, 2.0], "no_scale"),
        ([1.0, 2.0], [0.0, 0.0], "no_scale"),
    ],
)
def test_scores_that_cannot_be_scaled_are_refused(adjusted, clinical, code):
    with pytest.raises(InputError) as refusal:
        scale_to_clinical(adjusted, clinical)
    assert refusal.value.code == code
