"""A training's folder read as it grows, is cut, is written anew, or is not there yet."""

import json
from pathlib import Path

import numpy as np
import pytest

from cacnb.files import write_atomically
from cacnb.run_log import MOST_POINTS, JsonLines, RunLog, picture_name, thinned


def line(iteration: int, **more: float) -> str:
    seconds, samples = 0.5 * iteration, 4 * iteration
    return (
        json.dumps({"iteration": iteration, "seconds": seconds, "samples": samples, **more}) + "\n"
    )


def write_steps(folder: Path, steps: range, loss: float = 1.0) -> None:
    folder.mkdir(exist_ok=True)
    with (folder / "steps.jsonl").open("a") as log:
        log.writelines(line(i, cycle=loss / i) for i in steps)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "recipe.json").write_text(json.dumps({"stage": "slices", "iterations": 100}))
    write_steps(folder, range(1, 11))
    return folder


def read(folder: Path) -> RunLog:
    log = RunLog(folder)
    log.read()
    return log


def test_a_run_that_does_not_exist_yet_is_waited_for_and_then_read(tmp_path: Path) -> None:
    log = RunLog(tmp_path / "later")
    assert not log.read()
    assert log.state() == "waiting"
    assert (log.iteration, log.planned, log.samples_per_s(), log.seconds_left()) == (
        0,
        0,
        None,
        None,
    )
    write_steps(tmp_path / "later", range(1, 4))
    assert log.read()
    assert log.iteration == 3


def test_only_what_is_new_is_read(run: Path) -> None:
    log = read(run)
    assert not log.read()
    write_steps(run, range(11, 13))
    lines = JsonLines(run / "steps.jsonl")
    assert len(lines.more()[1]) == 12
    assert lines.more() == (False, [])
    assert log.read()
    at, values = log.steps.get("cycle")
    assert at.tolist() == list(range(1, 13))
    np.testing.assert_allclose(values, 1 / at)


def test_a_half_written_last_line_waits_until_it_is_whole(run: Path) -> None:
    log = read(run)
    whole = line(11, cycle=0.25)
    with (run / "steps.jsonl").open("a") as file:
        file.write(whole[:-9])
        file.flush()
        assert not log.read()
        assert log.iteration == 10
        file.write(whole[-9:])
    assert log.read()
    assert log.steps.last("cycle") == 0.25


@pytest.mark.parametrize("ahead", [0, 30])
def test_a_log_that_a_resumed_training_cut_is_read_anew(run: Path, ahead: int) -> None:
    """Also where the new file has outgrown the old one before it is looked at again."""
    log = read(run)
    kept = (run / "steps.jsonl").read_text().splitlines(keepends=True)[:6]
    write_atomically("".join(kept), run / "steps.jsonl")
    write_steps(run, range(7, 8 + ahead), loss=5.0)
    assert log.read()
    at, values = log.steps.get("cycle")
    assert at.tolist() == list(range(1, 8 + ahead))
    assert values[5] == pytest.approx(1 / 6)
    assert values[6] == pytest.approx(5 / 7)


def test_steps_trained_twice_count_once(run: Path) -> None:
    log = read(run)
    write_steps(run, range(9, 12), loss=3.0)
    log.read()
    at, values = log.steps.get("cycle")
    assert at.tolist() == list(range(1, 12))
    assert values[8] == pytest.approx(3 / 9)


def test_a_damaged_line_and_what_is_no_number_are_left_out(run: Path) -> None:
    with (run / "steps.jsonl").open("ab") as file:
        file.write(b"\x00\x00\x00\n[1]\n{}\n")
        file.write(b'{"iteration": 11, "cycle": NaN, "adversarial": 0.5, "note": "x"}\n')
    log = read(run)
    assert log.iteration == 11
    assert log.steps.last("cycle") == pytest.approx(0.1)
    assert log.steps.last("adversarial") == 0.5
    assert "note" not in log.steps.values


def test_a_folder_that_is_removed_is_waited_for_again(run: Path) -> None:
    log = read(run)
    for path in run.iterdir():
        path.unlink()
    assert log.read()
    assert (log.iteration, log.state()) == (0, "waiting")


def test_samples_a_second_and_time_left_are_those_of_the_latest_steps(run: Path) -> None:
    log = read(run)
    assert log.samples_per_s() == pytest.approx(8.0)
    assert log.seconds_left() == pytest.approx(45.0)


def test_a_log_without_seconds_has_no_speed(tmp_path: Path) -> None:
    (tmp_path / "steps.jsonl").write_text('{"iteration": 1, "dice": 0.5}\n{"iteration": 2}\n')
    log = read(tmp_path)
    assert log.steps.last("dice") == 0.5
    assert log.samples_per_s() is None
    assert log.seconds_left() is None


def test_a_run_is_told_running_quiet_or_finished_from_its_files(run: Path) -> None:
    log = read(run)
    written = (run / "steps.jsonl").stat().st_mtime
    assert log.state(written + 5) == "running"
    assert log.state(written + 3600) == "quiet"
    assert log.quiet_s(written + 3600) == pytest.approx(3600)
    write_steps(run, range(11, 101))
    log.read()
    assert log.state(written + 86400) == "finished"


def test_a_slow_training_is_not_quiet_between_two_steps(tmp_path: Path) -> None:
    rows = [{"iteration": i, "seconds": 60.0 * i, "samples": i} for i in range(1, 5)]
    (tmp_path / "steps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    log = read(tmp_path)
    assert log.state((tmp_path / "steps.jsonl").stat().st_mtime + 300) == "running"


def test_failures_hold_until_they_are_over(run: Path) -> None:
    rows = [
        {"iteration": 3, "failure": "empty_map"}, {"iteration": 5, "failure": "critic_won"},
        {"iteration": 8, "failure": "empty_map", "over": True},
    ]  # fmt: skip
    (run / "failures.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    log = read(run)
    assert [row["failure"] for row in log.failing()] == ["critic_won"]
    assert log.state() == "running"
    with (run / "failures.jsonl").open("a") as file:
        file.write('{"iteration": 11, "failure": "not_finite"}\n')
    log.read()
    assert log.state() == "stopped"


def test_pictures_are_listed_by_iteration(run: Path) -> None:
    (run / "pictures").mkdir()
    for iteration in (1000, 50):
        (run / "pictures" / picture_name(iteration)).write_bytes(b"png")
    (run / "pictures" / ".00000051.png.1.part").write_bytes(b"half")
    log = read(run)
    assert log.pictures == [50, 1000]
    assert log.picture(50) == b"png"
    assert log.picture(51) is None
    (run / "pictures" / picture_name(50)).unlink()
    assert log.read()
    assert log.pictures == [1000]


def test_a_long_series_is_thinned_to_means_that_keep_its_range() -> None:
    at = np.arange(1, 100_001, dtype=float)
    values = np.where(at == 50_000, 9.0, 1.0)
    curve = thinned(at, values)
    assert len(curve["at"]) == MOST_POINTS
    assert max(curve["high"]) == 9.0
    assert max(curve["mean"]) == pytest.approx(1 + 8 / 250)
    assert curve["at"] == sorted(curve["at"])


def test_a_short_series_is_not_thinned_and_an_empty_one_is_empty() -> None:
    assert thinned(np.array([3.0, 4.0]), np.array([0.1, 0.2]))["mean"] == [0.1, 0.2]
    assert thinned(np.array([]), np.array([]))["at"] == []
