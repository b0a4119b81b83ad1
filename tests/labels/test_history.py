import pandas as pd

from cacnb.labels.history import Change, History, read_history


def events(*rows: tuple) -> pd.DataFrame:
    """Rows of (session, action, kind, undoes, slice, value), one event each, in order."""
    columns = ["session", "action", "kind", "undoes", "slice", "value"]
    table = pd.DataFrame(list(rows), columns=columns).astype(object)
    return table.assign(subject="slice", item="", undoes_session="s")


def values(history: History) -> dict[int | None, str]:
    return {z: value for (_, z, _), value in history.state.items()}


def test_a_fill_of_three_slices_is_one_action_to_undo() -> None:
    history = read_history(
        events(
            *[("s", 1, "give", None, z, "no_cac") for z in (4, 5, 6)],
            ("s", 4, "give", None, 5, "cac"),
        )
    )  # fmt: skip
    assert values(history) == {4: "no_cac", 5: "cac", 6: "no_cac"}
    assert [len(action.changes) for action in history.done] == [3, 1]
    assert history.done[1].changes == (Change("slice", 5, "", "no_cac", "cac"),)


def test_an_undone_action_can_be_done_again_until_another_is_given() -> None:
    given = [("s", 1, "give", None, 4, "cac"), ("s", 2, "undo", 1, 4, None)]
    history = read_history(events(*given))
    assert not history.state
    assert [action.action for action in history.undone] == [1]
    again = read_history(events(*given, ("s", 3, "redo", 1, 4, "cac")))
    assert values(again) == {4: "cac"}
    assert [action.action for action in again.done] == [1]
    other = read_history(events(*given, ("s", 3, "give", None, 9, "cac")))
    assert not other.undone
    assert [action.action for action in other.done] == [3]


def test_undo_goes_back_through_an_earlier_session() -> None:
    before = [("s", 1, "give", None, 4, "cac"), ("s", 2, "give", None, 4, "unsure")]
    history = read_history(events(*before, ("t", 1, "undo", 2, 4, "cac")))
    assert values(history) == {4: "cac"}
    assert [action.action for action in history.done] == [1]
    assert [action.action for action in history.undone] == [2]


def test_a_message_says_all_that_the_page_needs_to_undo() -> None:
    history = read_history(events(("s", 1, "give", None, 4, "cac")))
    assert history.as_message() == {
        "state": [{"subject": "slice", "slice": 4, "item": "", "value": "cac"}],
        "done": [
            {"session": "s", "action": 1, "changes": [
                {"subject": "slice", "slice": 4, "item": "", "before": None, "after": "cac"}
            ]}
        ],
        "undone": [],
    }  # fmt: skip


def test_no_events_are_no_history() -> None:
    assert read_history(events()) == History()
