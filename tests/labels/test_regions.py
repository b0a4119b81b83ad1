import numpy as np
import pandas as pd
import pytest

from cacnb.ct.volume import Volume
from cacnb.errors import InputError
from cacnb.labels.regions import one_readers, region_image
from cacnb.labels.runs import encode_runs

SCAN = Volume(np.zeros((3, 5, 6), np.float32), (3.0, 0.7, 0.7), (1.0, 2.0, 3.0))


def painted(artery: str, z: float | None, value: str | None) -> dict[str, object]:
    return {"scan": "p1", "subject": "region", "item": artery, "slice": z, "value": value}


def table(*rows: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["scan", "subject", "item", "slice", "value"])


def test_painted_regions_become_the_labels_that_the_study_reads() -> None:
    rng = np.random.default_rng(0)
    by_artery = {"LAD": 1, "LCX": 2, "RCA": 3}
    expected = rng.integers(0, 4, SCAN.shape)
    rows = [
        painted(artery, float(z), encode_runs(expected[z] == label))
        for artery, label in by_artery.items()
        for z in range(3)
    ]
    image = region_image(table(*rows), SCAN)
    assert np.array_equal(image.array, expected)
    assert image.same_grid(SCAN)
    assert image.array.dtype == np.uint8


def test_the_left_main_counts_as_lad() -> None:
    image = region_image(table(painted("LM", 1, "0:2"), painted("LAD", 1, "4:1")), SCAN)
    assert np.flatnonzero(image.array[1] == 1).tolist() == [0, 1, 4]


def test_withdrawn_regions_and_other_subjects_are_passed_over() -> None:
    other = {**painted("", 0, "cac"), "subject": "slice"}
    assert not region_image(table(painted("RCA", 0, None), other), SCAN).array.any()
    assert not region_image(table(), SCAN).array.any()


def test_overlapping_regions_give_the_same_image_in_any_order_of_rows() -> None:
    rows = [painted("RCA", 0, "0:3"), painted("LAD", 0, "2:3"), painted("LCX", 0, "1:2")]
    images = [region_image(table(*order), SCAN).array for order in (rows, rows[::-1])]
    assert np.array_equal(*images)
    assert images[0][0].ravel()[:6].tolist() == [3, 3, 3, 1, 1, 0]


@pytest.mark.parametrize(
    "row",
    [painted("LAD", 3, "0:1"), painted("LAD", None, "0:1"), painted("LAD", -1, "0:1"),
     painted("PDA", 0, "0:1")],
)  # fmt: skip
def test_a_region_on_no_slice_or_of_no_artery_of_the_scan_is_refused(row: dict) -> None:
    with pytest.raises(InputError) as refusal:
        region_image(table(row), SCAN)
    assert refusal.value.code == "bad_region"


def readings(*rows: tuple[str, str, int]) -> pd.DataFrame:
    found = pd.DataFrame(rows, columns=["reader", "role", "reading"])
    return found.assign(scan="p1")


def test_one_reader_speaks_for_a_scan_and_hidden_repeats_do_not() -> None:
    rows = readings(("ann", "first", 1), ("ann", "first", 2))
    assert one_readers(rows)["reading"].tolist() == [1]


def test_two_readers_are_refused_until_one_is_named_or_adjudicates() -> None:
    rows = readings(("ann", "first", 1), ("bea", "second", 1))
    with pytest.raises(InputError) as refusal:
        one_readers(rows)
    assert refusal.value.code == "several_readers"
    assert one_readers(rows, "bea")["reader"].tolist() == ["bea"]
    assert not len(one_readers(rows, "eve"))
    judged = pd.concat([rows, readings(("cid", "adjudication", 1))])
    assert one_readers(judged)["reader"].tolist() == ["cid"]


def test_a_reader_in_two_roles_speaks_in_one() -> None:
    rows = readings(("ann", "second", 1), ("ann", "first", 1))
    assert one_readers(rows, "ann")["role"].tolist() == ["first"]
