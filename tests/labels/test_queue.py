import pytest

from cacnb.errors import UsageError
from cacnb.labels.queue import QueuePlan, Task, queue_of

SCANS = [f"scan{i:02d}" for i in range(20)]


def test_every_scan_is_read_once_in_an_order_that_the_seed_chooses() -> None:
    one = queue_of(SCANS, "A", QueuePlan(seed=1))
    assert sorted(task.scan for task in one) == SCANS
    assert one == queue_of(SCANS[::-1], "A", QueuePlan(seed=1))
    assert one != queue_of(SCANS, "A", QueuePlan(seed=2))
    assert [task.scan for task in one] != SCANS


def test_two_readers_of_one_seed_read_in_different_orders() -> None:
    assert queue_of(SCANS, "A", QueuePlan(seed=1)) != queue_of(SCANS, "B", QueuePlan(seed=1))


@pytest.mark.parametrize("seed", range(20))
def test_a_hidden_repeat_comes_at_least_half_the_queue_after_the_first_reading(seed: int) -> None:
    queue = queue_of(SCANS, "A", QueuePlan(seed=seed, repeats=0.2))
    again = [task for task in queue if task.reading == 2]
    assert len(again) == 4
    assert len({task.scan for task in again}) == 4
    for task in again:
        assert queue.index(task) - queue.index(Task(task.scan)) > len(SCANS) // 2


def test_least_sure_scans_come_first_only_when_asked_for() -> None:
    unsure = {scan: i / 20 for i, scan in enumerate(SCANS)}
    queue = queue_of(SCANS, "A", QueuePlan(least_sure_first=True), unsure)
    assert [task.scan for task in queue] == SCANS[::-1]
    assert queue_of(SCANS, "A", QueuePlan(), unsure) == queue_of(SCANS, "A", QueuePlan())
    assert "least sure first" in str(QueuePlan(least_sure_first=True))


def test_least_sure_first_without_scores_says_what_to_run() -> None:
    with pytest.raises(UsageError, match="cacnb run"):
        queue_of(SCANS, "A", QueuePlan(least_sure_first=True))


def test_a_share_of_repeats_above_one_half_is_refused() -> None:
    with pytest.raises(UsageError, match=r"0 to 0\.5"):
        QueuePlan(repeats=0.6)


def test_an_empty_study_has_an_empty_queue() -> None:
    assert queue_of([], "A", QueuePlan(repeats=0.5)) == ()
