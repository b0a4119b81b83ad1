import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

import cacnb
from cacnb.errors import InputError
from cacnb.learning.weights import FOLDER_VARIABLE, STAGES, load_weights, weights_folder
from cacnb.learning.weights_check import check_weights, list_weights, network_answers

FILES = (*STAGES, "clinical", "arteries")


class Opened:
    """A pickle that touches a file when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The demo weights as weights of one's own."""
    return Path(shutil.copytree(weights_folder("demo"), tmp_path / "places" / "mine"))


def replaced(folder: Path, stage: str, content: bytes) -> None:
    """Put another file in, and its hash into the card: as whoever can write both would."""
    (folder / f"{stage}.safetensors").write_bytes(content)
    card = json.loads((folder / "card.json").read_text())
    card["files"][stage]["sha256"] = hashlib.sha256(content).hexdigest()
    card["files"][stage]["bytes"] = len(content)
    (folder / "card.json").write_text(json.dumps(card))


def with_answers(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text())
    answers = network_answers(load_weights(str(folder)))
    card["check"] = {stage: values.tolist() for stage, values in answers.items()}
    (folder / "card.json").write_text(json.dumps(card))


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        check_weights(str(folder))
    assert caught.value.code == "bad_weights"
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_packaged_weights_are_those_of_their_card() -> None:
    found = check_weights("demo")
    assert found.sha256 == load_weights("demo").sha256
    assert sorted(found.files) == sorted(FILES)
    for name, told in found.files.items():
        content = (weights_folder("demo") / f"{name}.safetensors").read_bytes()
        assert told == {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


@pytest.mark.parametrize("stage", FILES)
def test_one_flipped_bit_of_any_file_is_found(folder: Path, stage: str) -> None:
    path = folder / f"{stage}.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert f"{stage}.safetensors is not the file that the card names" in refusal(folder)


@pytest.mark.parametrize("stage", FILES)
def test_a_missing_file_is_found(folder: Path, stage: str) -> None:
    (folder / f"{stage}.safetensors").unlink()
    refusal(folder)


def test_a_file_that_the_card_names_beside_the_networks_is_looked_for(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text())
    card["files"]["vessels"] = {"sha256": "00", "bytes": 1}
    (folder / "card.json").write_text(json.dumps(card))
    assert "vessels.safetensors" in refusal(folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda card: card.pop("name"),
        lambda card: card.pop("files"),
        lambda card: card["files"].update(heart=[]),
        lambda card: card["files"]["heart"].update(recipe=[]),
        lambda card: card["files"]["slices"].pop("sha256"),
        lambda card: card.update(check={"heart": ["x"]}),
    ],
)
def test_a_damaged_card_is_found(folder: Path, damage: Callable[[dict[str, Any]], Any]) -> None:
    card = json.loads((folder / "card.json").read_text())
    damage(card)
    (folder / "card.json").write_text(json.dumps(card))
    refusal(folder)


@pytest.mark.parametrize("stage", ["heart", "slices", "decomposition", "clinical"])
def test_another_network_with_its_own_hash_does_not_answer_as_the_card_says(
    folder: Path, stage: str
) -> None:
    with_answers(folder)
    assert check_weights(str(folder)).difference == dict.fromkeys(FILES[:4], 0.0)
    tensors = load_file(folder / f"{stage}.safetensors")
    # One network trained a little further, say.
    for name in tensors:
        if name.endswith(".weight"):
            tensors[name] = tensors[name] * 1.01
    replaced(folder, stage, save(tensors))
    assert f"the {stage} network" in refusal(folder)


def test_a_network_of_no_numbers_is_found(folder: Path) -> None:
    tensors = load_file(folder / "slices.safetensors")
    tensors["head.bias"] = torch.full_like(tensors["head.bias"], torch.nan)
    replaced(folder, "slices", save(tensors))
    assert "the slices network" in refusal(folder)


@pytest.mark.parametrize("stage", FILES)
def test_a_pickle_in_any_files_place_is_refused_and_never_opened(
    folder: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    trace, pickle = folder / "opened", io.BytesIO()
    torch.save({"layers.0.weight": Opened(trace)}, pickle)
    with pytest.warns(UserWarning, match="forcing weights_only=False"):
        torch.load(io.BytesIO(pickle.getvalue()))
    assert trace.exists(), "with the variable set torch.load runs what is in it"
    trace.unlink()
    replaced(folder, stage, pickle.getvalue())
    refusal(folder)
    assert not trace.exists()


def test_weights_load_where_torch_load_cannot_be_called(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("torch.load was called")

    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    monkeypatch.setattr(torch, "load", never)
    monkeypatch.setattr("pickle.Unpickler", never)
    monkeypatch.setattr("pickle.loads", never)
    assert check_weights("demo").name == "demo"


def test_no_line_of_the_package_opens_a_pickle() -> None:
    opens = re.compile(r"torch\.load\(|weights_only|\bimport pickle|pickle\.|allow_pickle=True")
    found = [
        f"{file.name}: {line.strip()}"
        for file in Path(str(cacnb.__file__)).parent.rglob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        if opens.search(line)
    ]
    assert not found


def test_the_list_tells_intact_weights_from_altered_ones(folder: Path) -> None:
    other = Path(shutil.copytree(folder, folder.with_name("other")))
    with (other / "heart.safetensors").open("ab") as file:
        file.write(b"\0")
    demo, mine, broken = list_weights(folder.parent)
    assert [one.name for one in (demo, mine, broken)] == ["demo", "mine", "other"]
    assert demo.verified
    assert mine.verified
    assert mine.sha256 == demo.sha256 == load_weights("demo").sha256
    assert mine.bytes == sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    assert "simulated" in str(mine.trained_on)
    assert not broken.verified
    assert broken.sha256 is None
    assert "heart.safetensors" in str(broken.problem)


def test_weights_of_ones_own_are_found_by_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="no weights 'mine'"):
        weights_folder("mine")
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder.parent))
    assert weights_folder("mine") == folder
    assert [one.name for one in list_weights()] == ["demo", "mine"]
    assert weights_folder("demo") != folder.parent / "demo", "packaged names are the package's"


def test_a_folder_of_weights_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no folder") as caught:
        list(list_weights(tmp_path / "nowhere"))
    assert caught.value.code == "no_folder"


def test_answers_are_means_of_all_parts_of_a_networks_answer() -> None:
    weights = load_weights("demo")
    answers = network_answers(weights)
    assert {stage: len(values) for stage, values in answers.items()} == {
        "heart": 32, "slices": 2, "decomposition": 32, "clinical": 6
    }  # fmt: skip
    assert all(np.ptp(values) > 0 for values in answers.values())
