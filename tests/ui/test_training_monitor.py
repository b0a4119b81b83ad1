"""The monitor's kernel side: what a page is told of runs that it only reads."""

import json
from pathlib import Path

import pytest

from cacnb.errors import UsageError
from cacnb.ui.training_monitor import TrainingMonitor


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    (folder / "pictures").mkdir(parents=True)
    recipe = {"stage": "decomposition", "name": "demo", "iterations": 1000}
    (folder / "recipe.json").write_text(json.dumps(recipe))
    steps = [
        {"iteration": i, "cycle": 1 / i, "inserted": 0.0, "seconds": i / 10, "samples": 4 * i}
        for i in range(1, 101)
    ]
    looks = [{"iteration": 50, "map_share": 0.01, "f1": 0.8, "memory_mb": 900.0, "slices": 40.0}]
    failures = [{"iteration": 50, "failure": "critic_won"}]
    for name, rows in (("steps", steps), ("validation", looks), ("failures", failures)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(text)
    (folder / "pictures" / "00000050.png").write_bytes(b"png")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_page_that_asks_is_told_curves_failures_and_the_time_left(run, kernel) -> None:
    told = kernel(TrainingMonitor(run))
    told.hear(type="ask")
    (news,) = told.of("news")
    (shown,) = news["runs"]
    assert (shown["name"], shown["stage"], shown["recipe"]) == ("run", "decomposition", "demo")
    assert (shown["iteration"], shown["of"], shown["state"]) == (100, 1000, "running")
    assert shown["samples_per_s"] == pytest.approx(40)
    assert shown["left_s"] == pytest.approx(90)
    assert list(shown["losses"]) == ["cycle"]
    assert shown["figure_5"]["f1"]["mean"] == [0.8]
    assert shown["numbers"]["map_share"]["at"] == [50]
    assert shown["words"]["memory_mb"] == 900
    (failing,) = shown["failing"]
    assert failing["name"] == "critic_won"
    assert failing["iteration"] == 50
    assert "critic" in failing["means"]
    assert "critic_rate" in failing["advice"]
    json.dumps(news, allow_nan=False)


def test_only_a_clock_is_told_where_nothing_is_new_unless_the_page_is_new(run, kernel) -> None:
    told = kernel(TrainingMonitor(run))
    told.hear(type="ask")
    told.hear(type="ask")
    told.hear(type="ask", anew=True)
    first, second, third = (news["runs"][0] for news in told.of("news"))
    assert "losses" in first
    assert "losses" not in second
    assert second["iteration"] == 100
    assert third["losses"] == first["losses"]


def test_a_picture_goes_to_the_page_as_it_is(run, kernel) -> None:
    told = kernel(TrainingMonitor(run))
    told.hear(type="picture", run=0, iteration=50)
    assert told.said == [({"type": "picture", "run": 0, "iteration": 50}, [b"png"])]


@pytest.mark.parametrize(
    ("index", "iteration"), [(1, 50), (-1, 50), ("0", 50), (0, 51), (0, "../recipe"), (None, None)]
)
def test_a_page_cannot_ask_for_anything_but_a_picture_of_its_runs(
    run, kernel, index, iteration
) -> None:
    told = kernel(TrainingMonitor(run))
    told.hear(type="picture", run=index, iteration=iteration)
    told.hear(type="remove")
    assert told.said == []


def test_a_run_is_only_read(run, kernel) -> None:
    before = contents(run)
    told = kernel(TrainingMonitor(run))
    for _ in range(3):
        told.hear(type="ask", anew=True)
        told.hear(type="picture", run=0, iteration=50)
    told.widget.close()
    assert contents(run) == before


def test_runs_are_compared_and_one_may_not_have_begun(run, tmp_path, kernel) -> None:
    told = kernel(TrainingMonitor(run, tmp_path / "later"))
    told.hear(type="ask")
    first, second = told.of("news")[-1]["runs"]
    assert first["state"] == "running"
    assert second["state"] == "waiting"
    assert second["file"].endswith("later/steps.jsonl")
    assert second["losses"] == {}


def test_a_failure_of_a_later_version_is_shown_by_its_name(run, kernel) -> None:
    (run / "failures.jsonl").write_text('{"iteration": 7, "failure": "unheard_of"}\n')
    told = kernel(TrainingMonitor(run))
    told.hear(type="ask")
    assert told.of("news")[0]["runs"][0]["failing"][0]["name"] == "unheard_of"


@pytest.mark.parametrize("count", [0, 7])
def test_no_run_or_too_many_to_tell_apart_are_refused(run, count) -> None:
    with pytest.raises(UsageError, match=f"{count} run folders came"):
        TrainingMonitor(*[run] * count)
