import pytest

from cacnb.errors import InputError
from cacnb.labels.events import VALUES, LabelEvent


@pytest.mark.parametrize(
    "said",
    [
        {"kind": "change"}, {"app": "viewer"}, {"role": "third"}, {"subject": "pixel"},
        {"session": ""}, {"session": "a/b"}, {"session": "a" * 65},
        {"sequence": 0}, {"sequence": 2**31}, {"sequence": "1"}, {"sequence": True}, {"action": 2},
        {"slice": -1}, {"slice": 1.0}, {"slice": None}, {"position": -1}, {"reading": 0},
        {"reader": ""}, {"reader": " "}, {"scan": ""}, {"study": ""}, {"scan_sha256": "0"},
        {"value": "CAC"}, {"value": ""}, {"value": 1},
        {"subject": "lesion", "value": "LMS"}, {"subject": "verdict", "value": "maybe"},
        {"subject": "region", "slice": None, "value": "0:2"},
        {"seconds": -1.0}, {"seconds": float("nan")}, {"seconds": float("inf")},
        {"given_at": "2026-01-31 08:15:00"}, {"given_at": "2026-01-31T08:15:00+00:00"},
        {"given_at": "2026-01-31T09:15:00.000000+01:00"},
        {"given_at": "2026-02-31T08:15:00.000000+00:00"},
        {"assistant": 1}, {"assistant": None},
        {"undoes": 1}, {"undoes_session": "x"}, {"kind": "undo"}, {"kind": "redo", "undoes": 1},
        {"subject": "comment", "value": "x" * 10_001}, {"subject": "comment", "value": "a\0b"},
        {"subject": "comment", "value": "half \ud83e"}, {"reader": "x" * 1_001},
    ],
)  # fmt: skip
def test_what_means_nothing_is_refused_in_a_sentence(event, said) -> None:
    with pytest.raises(InputError, match=r"a label's \w+ is .*wanted") as found:
        event(1, **said)
    assert found.value.code == "bad_label"
    assert len(found.value.message) < 250


@pytest.mark.parametrize("subject", VALUES)
def test_every_word_of_a_subject_may_be_said_or_taken_back(event, subject) -> None:
    for word in (*VALUES[subject], None):
        assert event(1, subject=subject, value=word).value == word


@pytest.mark.parametrize(
    "said",
    [
        {"subject": "comment", "slice": None, "value": "motion, z 12–15\nécho 🫀"},
        {"subject": "region", "item": "LAD", "value": "512:3 1024:5"},
        {"subject": "region", "item": "LAD", "value": "1:1 " * 100_000},
        {"subject": "done", "slice": None, "item": "label", "value": "all labelled"},
        {"kind": "undo", "undoes": 1, "undoes_session": "other", "value": None},
        {"kind": "redo", "undoes": 9, "undoes_session": "other"},
    ],
)
def test_what_the_apps_say_is_taken(event, said) -> None:
    made = event(1, **said)
    assert {name: getattr(made, name) for name in said} == said


def test_whole_seconds_are_seconds(event) -> None:
    assert isinstance(event(1, seconds=2).seconds, float)


def test_an_event_is_never_changed(event) -> None:
    with pytest.raises(AttributeError):
        event(1).value = "no_cac"


def test_every_field_must_be_said() -> None:
    with pytest.raises(TypeError):
        LabelEvent(session="x", sequence=1)
