"""A run's log as TensorBoard reads it."""

import io
import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from cacnb.errors import InputError, UsageError
from cacnb.run_tensorboard import write_tensorboard


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    (folder / "pictures").mkdir(parents=True)
    rows = [{"iteration": i, "cycle": 1 / i, "seconds": 2.0 * i} for i in (1, 2, 3)]
    (folder / "steps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "validation.jsonl").write_text('{"iteration": 2, "f1": 0.75, "seconds": 4.0}\n')
    Image.new("L", (8, 4), 128).save(folder / "pictures" / "00000002.png")
    return folder


def test_without_tensorboard_it_is_said_how_to_get_it(run, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r"cacnb\[tensorboard\]") as refusal:
        write_tensorboard(run, tmp_path / "events")
    assert refusal.value.code == "tensorboard_missing"


def test_tensorboard_reads_the_numbers_and_pictures_that_were_logged(run, tmp_path) -> None:
    pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert write_tensorboard(run, tmp_path / "events") == 4
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    cycle = events.Scalars("losses/cycle")
    assert [(e.step, e.wall_time) for e in cycle] == [(1, 2.0), (2, 4.0), (3, 6.0)]
    assert [e.value for e in cycle] == pytest.approx([1, 1 / 2, 1 / 3])
    assert events.Scalars("validation/f1")[0].value == 0.75
    (picture,) = events.Images("pictures/validation slices")
    assert picture.step == 2
    shown = Image.open(io.BytesIO(picture.encoded_image_string))
    assert (shown.size, shown.convert("L").getpixel((0, 0))) == ((8, 4), 128)


def test_a_folder_without_a_run_or_with_other_files_is_refused(run, tmp_path) -> None:
    pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
    with pytest.raises(InputError, match=r"no steps\.jsonl"):
        write_tensorboard(tmp_path / "nowhere", tmp_path / "events")
    with pytest.raises(UsageError, match="not empty"):
        write_tensorboard(run, run)
