"""Splits: by patient, alike in strata, the same for the same seed; sides as Table 1 C has them."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cacnb.errors import InputError, UsageError
from cacnb.study.splits import paper_split, plain_split, sides

SHARES = {"train": 0.7, "val": 0.1, "test": 0.2}


def patients(count: int, every: int = 3) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "scans": [1 + i % 2 for i in range(count)],
            "visible": [i % every == 0 for i in range(count)],
        },
        index=[f"p{i:04d}" for i in range(count)],
    )


@settings(deadline=None, max_examples=30)  # a machine at work is no slow draw
@given(st.integers(1, 300), st.integers(0, 5), st.randoms())
def test_shares_are_kept_in_all_and_the_draw_knows_no_order(
    count: int, seed: int, random: object
) -> None:
    table = patients(count)
    drawn = plain_split(table, SHARES, seed)
    assert set(drawn) == set(table.index)
    for name, share in SHARES.items():
        assert abs(Counter(drawn.values())[name] - share * count) < 1.5
    shuffled = table.sample(frac=1, random_state=random.getrandbits(32))  # type: ignore[attr-defined]
    assert plain_split(shuffled, SHARES, seed) == drawn


def test_each_set_has_its_share_of_each_kind_of_patient() -> None:
    table = patients(600)
    drawn = pd.Series(plain_split(table, SHARES))
    for _, kind in table.groupby(["scans", "visible"]):
        for name, share in SHARES.items():
            assert abs((drawn[kind.index] == name).sum() - share * len(kind)) < 3


def test_another_seed_draws_other_patients() -> None:
    table = patients(50)
    assert plain_split(table, SHARES, 1) != plain_split(table, SHARES, 2)


@pytest.mark.parametrize("shares", [{"train": 0.5}, {"all": 1.0}, {"train": 0.0, "test": 1.0}])
def test_shares_that_cannot_be_drawn_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        plain_split(patients(5), shares)


def test_the_papers_cohort_is_divided_in_the_papers_numbers() -> None:
    rows = {
        **{f"rtp{i}": (True, False, False, i % 3 == 0) for i in range(1762)},
        **{f"one{i}": (False, False, i < 199, False) for i in range(514)},
        **{f"nlst{i}": (False, True, True, False) for i in range(626)},
    }
    table = pd.DataFrame.from_dict(
        rows, orient="index", columns=["paired", "nlst", "heart", "visible_in_both"]
    )
    counts = Counter(paper_split(table).values())
    assert counts["NLST_train"] == 626
    assert counts["RTP_val"] == 100
    assert counts["RTP_test1"] + counts["RTP_testlesions"] == 119
    assert counts["RTP_test2"] == 1543
    assert counts["RTP_trainHS"] == 120
    assert counts["RTP_testHS"] == 79
    assert counts["RTP_train"] == 514 - 199


def test_sides_follow_table_1_c() -> None:
    names = ["NLST_train", "RTP_train", "RTP_val", "RTP_testHS", "RTP_testlesions", "RTP_test2"]
    cohort = pd.DataFrame({"patient": list("abcdef"), "set": names})
    assert sides(cohort, "cac").tolist() == ["train", "train", "val", "train", "test", "test"]
    assert sides(cohort, "heart").tolist() == [None, None, None, "test", None, None]


def test_of_a_set_for_training_and_validation_every_fifth_patient_validates() -> None:
    cohort = pd.DataFrame({"patient": [f"p{i // 2}" for i in range(20)], "set": "RTP_trainHS"})
    told = sides(cohort, "heart")
    assert cohort["patient"][told == "val"].tolist() == ["p4", "p4", "p9", "p9"]
    assert set(sides(cohort, "cac")) == {"train"}


@pytest.mark.parametrize("sets", [None, "simulated"])
def test_a_study_that_was_never_split_keeps_every_fifth_patient(sets: str | None) -> None:
    cohort = pd.DataFrame({"patient": [f"p{i}" for i in range(10)]})
    if sets:
        cohort["set"] = sets
    assert sides(cohort).eq("val").tolist() == [i in (4, 9) for i in range(10)]


def test_a_misspelt_set_in_a_split_study_is_told_with_its_row() -> None:
    cohort = pd.DataFrame({"patient": list("abc"), "set": ["train", None, "trian"]})
    with pytest.raises(InputError, match="'trian' in row 4 is no set"):
        sides(cohort)
    assert sides(cohort[:2]).tolist() == ["train", None]
