import pytest

from cacnb.errors import InputError
from cacnb.study.pairs import paired_numbers, paired_scores


@pytest.mark.parametrize(
    ("first", "second", "code", "words"),
    [
        ([1.0, 2.0], [1.0], "unequal_length", "one of each a patient"),
        ([[1.0, 2.0]], [[1.0, 2.0]], "unequal_length", "one of each a patient"),
        ([1.0, float("nan")], [1.0, 1.0], "not_a_score", "first score nan at position 1"),
        ([1.0], [-3.0], "not_a_score", "second score -3.0 at position 0"),
        ([float("inf")], [1.0], "not_a_score", "finite"),
        ([1.0], [float("-inf")], "not_a_score", "finite"),
    ],
)
def test_scores_that_are_none_are_refused(first, second, code, words):
    with pytest.raises(InputError, match=words) as refusal:
        paired_scores(first, second)
    assert refusal.value.code == code


def test_numbers_may_be_negative_and_scores_may_not():
    assert paired_numbers([-1], [2])[0].tolist() == [-1.0]
    with pytest.raises(InputError, match=r"1 such.*0 or more"):
        paired_scores([-1], [2])
