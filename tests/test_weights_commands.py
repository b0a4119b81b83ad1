"""`cacnb weights` as a person and a script meet it."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from cacnb.cli import main
from cacnb.learning.weights import load_weights, weights_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(weights_folder("demo"), tmp_path / "places" / "mine"))


class Called:
    """A call of the command line in this process: its status and what it printed."""

    def __init__(
        self, capsys: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch, *words: object
    ) -> None:
        patch.setattr(sys, "argv", ["cacnb", "weights", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        self.status = ended.value.code or 0
        self.out, self.err = capsys.readouterr()


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    return lambda *words: Called(capsys, monkeypatch, *words)


def flip_one_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_list_names_packaged_weights_and_ones_own(call, folder: Path) -> None:  # type: ignore[no-untyped-def]
    done = call("list", "--folder", folder.parent, "--json")
    assert done.status == 0
    demo, mine = json.loads(done.out)["weights"]
    assert (demo["name"], mine["name"]) == ("demo", "mine")
    assert demo["sha256"] == mine["sha256"] == load_weights("demo").sha256
    assert demo["verified"] is mine["verified"] is True
    assert "simulated" in demo["trained_on"]


def test_list_ends_with_1_where_weights_were_altered(call, folder: Path) -> None:  # type: ignore[no-untyped-def]
    flip_one_byte(folder / "slices.safetensors")
    done = call("list", "--folder", folder.parent)
    assert done.status == 1
    assert re.search(r"mine .* no ", done.out)
    assert "slices.safetensors is not the file that the card names" in done.err


def test_show_says_the_card_in_words(call) -> None:  # type: ignore[no-untyped-def]
    done = call("show", "demo")
    card = load_weights("demo").card
    assert done.status == 0
    for limit in card["limits"]:
        assert limit in done.out
    assert "Validation (simulated)" in done.out
    assert card["files"]["heart"]["sha256"] in done.out
    assert f"slice probability beside: {card['thresholds']['slice_probability_beside']}" in done.out


def test_show_as_json_is_the_card_and_the_hash_of_all(call) -> None:  # type: ignore[no-untyped-def]
    done = call("show", "demo", "--json")
    found = load_weights("demo")
    assert json.loads(done.out) == {**found.card, "sha256": found.sha256}


def test_verify_tells_every_file(call) -> None:  # type: ignore[no-untyped-def]
    done = call("verify", "demo", "--json")
    told = json.loads(done.out)
    assert done.status == 0
    assert set(told["files"]) == {"heart", "slices", "decomposition", "clinical", "arteries"}
    assert told["difference"] is None, "the demo card keeps no answers"


@pytest.mark.parametrize("command", ["verify", "show"])
def test_one_flipped_byte_ends_with_1_and_one_line(call, folder: Path, command: str) -> None:  # type: ignore[no-untyped-def]
    flip_one_byte(folder / "heart.safetensors")
    done = call(command, folder)
    assert done.status == 1
    assert done.out == ""
    assert "heart.safetensors is not the file that the card names" in " ".join(done.err.split())


def test_a_damaged_card_ends_with_1_and_no_traceback(call, folder: Path) -> None:  # type: ignore[no-untyped-def]
    (folder / "card.json").write_text("{")
    done = call("verify", folder)
    assert done.status == 1
    assert "Traceback" not in done.err
    assert "cannot be used" in " ".join(done.err.split())


def test_a_folder_of_plain_layers_is_exported(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    done = call("export", "demo", "--to", "folder", "--out", tmp_path / "plain")
    assert done.status == 0
    assert sorted(file.name for file in (tmp_path / "plain").iterdir()) == [
        "arteries.safetensors", "decomposition.safetensors", "heart.safetensors", "networks.json",
        "slices.safetensors",
    ]  # fmt: skip


def test_an_export_over_the_weights_themselves_is_a_wrong_call(call, folder: Path) -> None:  # type: ignore[no-untyped-def]
    before = (folder / "heart.safetensors").read_bytes()
    done = call("export", folder, "--out", folder)
    assert done.status == 2
    assert (folder / "heart.safetensors").read_bytes() == before
