from collections.abc import Iterator
from threading import Barrier

import pytest
import torch

from cacnb.learning.device import CPU, room_for_slices, side_by_side


@pytest.fixture
def two_threads() -> Iterator[None]:
    held = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(held)


@pytest.mark.usefixtures("two_threads")
def test_on_two_cores_both_run_at_once_on_half_of_the_threads_each() -> None:
    met = Barrier(2)

    def work() -> int:
        met.wait(timeout=20)  # broken where one runs after the other
        return torch.get_num_threads()

    assert side_by_side(work, work, CPU) == (1, 1)
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_what_goes_wrong_beside_is_raised() -> None:
    def fails() -> None:
        raise RuntimeError("no map")

    for first, second in ((fails, int), (int, fails)):
        with pytest.raises(RuntimeError, match="no map"):
            side_by_side(first, second, CPU)


def test_with_one_thread_one_runs_after_the_other() -> None:
    held = torch.get_num_threads()
    torch.set_num_threads(1)
    order: list[str] = []
    side_by_side(lambda: order.append("first"), lambda: order.append("second"), CPU)
    torch.set_num_threads(held)
    assert order == ["first", "second"]


def test_a_cpu_keeps_slices_where_they_are() -> None:
    assert room_for_slices(CPU) == 0
