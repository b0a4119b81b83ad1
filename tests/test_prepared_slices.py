import json
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cacnb import prepared_slices
from cacnb.errors import InputError
from cacnb.files import GrowingArray
from cacnb.learning.batches import SliceSampler, SliceStore
from cacnb.learning.joined_rows import JoinedRows
from cacnb.prepared_slices import slice_store, verify
from cacnb.simulation.cohort import StudyPlan, simulate_study


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two simulated studies of one person each, all with calcium."""
    made = []
    for seed in (7, 11):
        study = tmp_path_factory.mktemp("studies") / f"of{seed}"
        list(simulate_study(StudyPlan(1, seed, "rtp", "heart", burden="varied"), study, workers=1))
        made.append(study)
    return made


def test_two_studies_read_as_one_without_being_copied_together(studies: list[Path]) -> None:
    both, sides = slice_store(studies, 32)
    alone = [slice_store([study], 32)[0] for study in studies]
    assert isinstance(both.slices, JoinedRows)
    assert isinstance(both.calcium, JoinedRows)
    assert len(sides.train) == len(sides.val) == len(both.names) == 4
    np.testing.assert_array_equal(
        both.slices[:], np.concatenate([store.slices[:] for store in alone])
    )
    every = np.arange(len(both.slices))
    first = len(alone[0].slices)
    for store, own in zip(alone, (every[:first], every[first:]), strict=True):
        np.testing.assert_array_equal(
            both.calcium_of(own).numpy(), store.calcium_of(own - own[0]).numpy()
        )


def test_batches_of_two_studies_are_drawn_from_both(studies: list[Path]) -> None:
    both, _ = slice_store(studies, 32)
    indices = both.subset(np.ones(4, bool))
    sampler = SliceSampler(both, indices, 16, 0, by_position=False)
    cac, no_cac = sampler.draw()
    assert cac.shape == no_cac.shape == (16, 2, 32, 32)


def test_of_two_trainings_that_want_slices_at_once_one_cuts_them(
    studies: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    cut, asked = prepared_slices._cut_study, []

    def slowly(*given: Any) -> dict[str, str]:
        asked.append(given)
        time.sleep(0.3)
        return cut(*given)

    monkeypatch.setattr(prepared_slices, "_cut_study", slowly)
    with ThreadPoolExecutor(2) as both:
        stores = list(both.map(lambda _: slice_store([studies[1]], 24)[0], range(2)))
    assert len(asked) == 1
    np.testing.assert_array_equal(stores[0].slices[:], stores[1].slices[:])


def test_slices_are_cut_again_when_a_mask_changed_and_only_then(studies: list[Path]) -> None:
    study = studies[0]
    slice_store([study], 32)
    made_of = study / "prepared" / "slices_32" / "made_of.json"
    before = made_of.stat().st_mtime_ns
    slice_store([study], 32)
    assert made_of.stat().st_mtime_ns == before
    mask = next((study / "masks").glob("*.nii.gz"))
    mask.touch()
    slice_store([study], 32)
    assert made_of.stat().st_mtime_ns > before


def test_a_changed_array_is_told_by_its_hash(studies: list[Path]) -> None:
    slice_store([studies[1]], 32)
    folder = studies[1] / "prepared" / "slices_32"
    verify(folder)
    told = json.loads((folder / "made_of.json").read_text(encoding="utf-8"))
    assert set(told["sha256"]) == {"slices.npy", "calcium.npy"}
    array = np.load(folder / "slices.npy", mmap_mode="r+")
    array[0, 0, 0] += 1
    array.flush()
    with pytest.raises(InputError, match="changed"):
        verify(folder)


def test_an_array_that_grows_is_the_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    rows = np.arange(5000 * 6, dtype=np.int16).reshape(5000, 2, 3)
    with GrowingArray(path, (2, 3), np.int16) as growing:
        for i in range(0, 5000, 700):
            growing.append(rows[i : i + 700])
        assert not path.exists()
    np.testing.assert_array_equal(np.load(path, mmap_mode="r"), rows)


def test_an_array_that_was_interrupted_leaves_no_part_and_keeps_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    np.save(path, np.ones(3))
    with pytest.raises(KeyboardInterrupt), GrowingArray(path, (), np.float64) as growing:
        growing.append(np.zeros(4))
        raise KeyboardInterrupt
    np.testing.assert_array_equal(np.load(path), np.ones(3))
    assert [file.name for file in tmp_path.iterdir()] == ["rows.npy"]


def test_drawing_from_two_large_studies_takes_the_memory_of_a_batch(tmp_path: Path) -> None:
    size, count = 64, 4000
    parts = []
    for name in ("a", "b"):
        path = tmp_path / f"{name}.npy"
        held = np.lib.format.open_memmap(path, "w+", np.int16, (count, size, size))
        held.flush()
        parts.append(np.load(path, mmap_mode="r"))
    store = SliceStore(
        JoinedRows(parts), np.arange(2 * count) % 2 == 0,
        np.tile(np.linspace(0, 1, count, dtype=np.float32), 2),
        np.repeat(np.arange(2, dtype=np.int32), count), ["a", "b"],
    )  # fmt: skip
    sampler = SliceSampler(store, np.arange(2 * count), 8, 0, by_position=True)
    sampler.draw()
    tracemalloc.start()
    for _ in range(5):
        sampler.draw()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert store.nbytes == 2 * count * size * size * 2
    assert peak < store.nbytes / 20
