import json

import numpy as np
import pandas as pd
import pytest

from cacnb.ct.volume import Volume
from cacnb.lessons import switches
from cacnb.lessons.missing import Missing
from cacnb.lessons.switches import FULL, SWITCHES, Switched, SwitchedScans, switch_parts_off

OFF = "no heart segmentation"


def switched(name: str, *, negative: bool, **added: tuple[int, float]) -> Switched:
    """A scan whose map shows one voxel with all parts, and one more by some switches."""
    image = Volume(np.full((6, 20, 20), 40, np.float32), (1.5, 1.0, 1.0))
    heart = np.zeros(image.shape, bool)
    heart[:, 5:15, 5:15] = True
    whole = np.zeros(image.shape, np.float32)
    whole[2, 10, 10] = 100
    maps = {}
    for switch in SWITCHES:
        more = whole.copy()
        place, hu = added.get(switch.replace(" ", "_"), (0, 0.0))
        more[4, place, place] += hu
        maps[switch] = image.with_array(more)
    mass = {switch: float(found.array.sum()) * 1.5 for switch, found in maps.items()}
    return Switched(name, negative, image, image.with_array(heart), maps, mass)


def test_the_table_has_the_mass_of_each_scan_by_each_switch():
    made = SwitchedScans((switched("a", negative=True, neither=(2, 40.0)),), simulated=True)
    table = made.table
    assert table.loc[FULL].tolist() == [150]
    assert table.loc["neither"].tolist() == [210]
    assert "simulated" in str(table.columns.name)


def test_what_a_switch_adds_is_shown_at_its_slice_in_a_scan_without_cac_first():
    much = switched("much", negative=False, no_slice_classification=(8, 500.0))
    little = switched("little", negative=True, no_slice_classification=(8, 20.0))
    view = SwitchedScans((much, little), simulated=True).show("no slice classification")
    assert "little" in view.alt
    assert "simulated" in view.alt
    assert view.at == (4,)
    assert [bool(pane.layers) for pane in view.picture.panes] == [True, True]


def test_without_the_heart_what_counts_is_off_the_heart():
    inside = switched("a", negative=True, no_heart_segmentation=(8, 500.0))
    outside = switched("b", negative=True, no_heart_segmentation=(2, 20.0))
    assert inside.added_hu_mm3(OFF) == 0
    assert outside.added_hu_mm3(OFF) == 20 * 1.5
    assert "b" in SwitchedScans((inside, outside), simulated=False).show(OFF).alt
    missing = SwitchedScans((inside,), simulated=False).show(OFF)
    assert isinstance(missing, Missing)
    assert "off the heart" in repr(missing)


@pytest.fixture
def asked(monkeypatch):
    """Names that the networks were asked about; the answers are made up."""
    names = []

    def ask(study, name):
        names.append(name)
        file = study.folder / "made.npz"
        shape = (24, 40, 40)
        maps = {f"map_{i}": np.full(shape, i, np.float32) for i in range(len(SWITCHES))}
        mass = np.arange(len(SWITCHES), dtype=float)
        np.savez(file, heart=np.zeros(shape, bool), mass_hu_mm3=mass, **maps)
        return file.read_bytes()

    class Weights:
        sha256 = "0" * 64

    monkeypatch.setattr(switches, "_asked", ask)
    monkeypatch.setattr(switches, "packaged_weights", Weights)
    return names


def test_the_clearest_scan_stands_beside_those_without_cac_and_none_is_asked_twice(
    study, here, asked
):
    truth = pd.DataFrame({"scan": ["one", "two"], "mass_mg": [0, 9], "visible": [False, True]})
    truth.to_csv(study.folder / "truth_scans.csv", index=False)
    found = switch_parts_off(study)
    assert [(scan.name, scan.negative) for scan in found.scans] == [("two", False), ("one", True)]
    assert found.scans[0].mass_hu_mm3[OFF] == list(SWITCHES).index(OFF)
    again = switch_parts_off(study)
    assert asked == ["two", "one"]
    assert (again.scans[1].maps[OFF].array == list(SWITCHES).index(OFF)).all()
    assert not list(study.folder.glob("lessons"))


def test_a_scan_that_was_scored_again_is_asked_again(study, here, asked):
    switch_parts_off(study)
    file = study.folder / "scores" / "two.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "verdict": "warned"}))
    switch_parts_off(study)
    assert asked == ["two", "two"]


def test_where_no_scan_is_known_to_show_none_the_clearest_stands_alone(study, here, asked):
    assert [scan.name for scan in switch_parts_off(study).scans] == ["two"]
