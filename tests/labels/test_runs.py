from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cacnb.errors import InputError
from cacnb.labels.runs import decode_runs, encode_runs

masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=17))


@given(masks)
def test_a_region_comes_back_from_its_runs_pixel_for_pixel(mask: np.ndarray) -> None:
    assert np.array_equal(decode_runs(encode_runs(mask), mask.shape), mask)


@given(masks)
def test_runs_name_each_pixel_once(mask: np.ndarray) -> None:
    runs = [tuple(map(int, run.split(":"))) for run in encode_runs(mask).split()]
    pixels = [pixel for start, length in runs for pixel in range(start, start + length)]
    assert pixels == np.flatnonzero(mask).tolist()
    assert all(a + n < b for (a, n), (b, _) in pairwise(runs))


@given(st.text(alphabet="0123:@ -.,", max_size=12))
def test_any_text_is_a_region_or_refused(text: str) -> None:
    try:
        mask = decode_runs(text, (3, 4))
    except InputError as error:
        assert error.code == "bad_runs"
    else:
        assert mask.shape == (3, 4)
        assert int(mask.sum()) == sum(int(run.split(":")[1]) for run in text.split())


def test_runs_that_touch_are_read_as_one_region() -> None:
    assert decode_runs("0:2 2:2", (2, 2)).all()


@pytest.mark.parametrize(
    "text",
    ["x", "1", "1:", ":1", "-1:2", "1:2,3:1", " 1:2", "1:2  4:1", "1:1.5", "٣:1", "1" * 30 + ":1"],
)
def test_a_malformed_text_is_refused(text: str) -> None:
    with pytest.raises(InputError) as refusal:
        decode_runs(text, (4, 4))
    assert refusal.value.code == "bad_runs"


@pytest.mark.parametrize("text", ["0:17", "16:1", "3:0", "4:2 1:2", "1:4 2:2", "999999999:1"])
def test_runs_out_of_range_or_order_are_refused(text: str) -> None:
    with pytest.raises(InputError) as refusal:
        decode_runs(text, (4, 4))
    assert refusal.value.code == "bad_runs"
