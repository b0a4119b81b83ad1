import numpy as np
import pandas as pd
import pytest

from cacnb.labels.agreement import differing
from cacnb.reader_agreement import reader_agreement

#: Cohen 1960 in counts of slices: both CAC, only A, only B, neither; κ = 0.4 by hand.
BOTH, ONLY_A, ONLY_B, NEITHER = 20, 5, 10, 15


def labels(reader: str, values: list[str], reading: int = 1, role: str = "first") -> pd.DataFrame:
    """Current labels of ten slices a scan."""
    return pd.DataFrame(
        {
            "scan": [f"scan{i // 10}" for i in range(len(values))],
            "slice": [i % 10 for i in range(len(values))],
            "reader": reader, "role": role, "reading": reading, "value": values,
        }
    )  # fmt: skip


def two_readers() -> tuple[list[str], list[str]]:
    pairs = [("cac", "cac")] * BOTH + [("cac", "no_cac")] * ONLY_A
    pairs += [("no_cac", "cac")] * ONLY_B + [("no_cac", "no_cac")] * NEITHER
    order = np.random.default_rng(0).permutation(len(pairs))
    first, second = zip(*[pairs[i] for i in order], strict=True)
    return list(first), list(second)


def test_kappa_of_two_readers_is_cohens() -> None:
    first, second = two_readers()
    (found,) = reader_agreement(pd.concat([labels("A", first), labels("B", second)]))
    assert (found.slices, found.scans, found.differing) == (50, 5, ONLY_A + ONLY_B)
    assert found.kappa is not None
    assert found.kappa.value == pytest.approx(0.4)
    assert found.ci95_scans is not None
    low, high = found.ci95_scans
    assert low < 0.4 < high


def test_a_hidden_repeat_is_compared_with_the_same_readers_first_reading() -> None:
    first, second = two_readers()
    found = reader_agreement(pd.concat([labels("A", first), labels("A", second, reading=2)]))
    assert [(one.first, one.second) for one in found] == [("A", "A")]
    assert found[0].kappa is not None
    assert found[0].kappa.value == pytest.approx(0.4)


def test_unsure_and_adjudicated_slices_are_no_agreement_of_readers() -> None:
    given = pd.concat(
        [labels("A", ["cac", "no_cac", "unsure"]), labels("B", ["cac", "cac", "cac"]),
         labels("C", ["cac", "cac", "cac"], role="adjudication")]
    )  # fmt: skip
    (found,) = reader_agreement(given)
    assert (found.first, found.second, found.slices) == ("A", "B", 2)


def test_readers_who_saw_no_calcium_at_all_have_no_kappa_and_no_interval() -> None:
    nothing = ["no_cac"] * 40
    (found,) = reader_agreement(pd.concat([labels("A", nothing), labels("B", nothing)]))
    assert found.kappa is None
    assert found.as_json()["kappa_ci95_scans"] is None


def test_only_slices_on_which_readers_differ_are_adjudicated_and_no_name_is_told() -> None:
    given = pd.concat([labels("A", ["cac", "no_cac"]), labels("B", ["cac", "cac"])])
    assert differing(given) == {"scan0": {1: ["cac", "no_cac"]}}


def test_one_reader_alone_has_nobody_to_agree_with() -> None:
    assert reader_agreement(labels("A", ["cac"])) == []
