import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cacnb.learning.augmentation import augment_slices
from cacnb.learning.batches import (
    POSITION_BINS,
    PatchSampler,
    SliceSampler,
    SliceStore,
    to_grey,
    window,
    with_context,
)

from .conftest import slices_of_known_number, speckled_store, write_heart

COUNT = 800


def seed(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def drawn_numbers(slices: torch.Tensor) -> np.ndarray:
    """Which slices of `slices_of_known_number` these are."""
    return np.rint(slices[:, 0, 0, 0].numpy() * 1000 - 50).astype(int)


def uneven_sampler(*, by_position: bool, batch: int = 40) -> SliceSampler:
    """One slice in ten contains CAC, and nine of ten lie in the lowest eighth of the heart."""
    rng = np.random.default_rng(0)
    labels = np.arange(COUNT) % 10 == 0
    positions = np.where(rng.random(COUNT) < 0.9, 0.05, rng.random(COUNT))
    positions[:2] = 1.0
    store = slices_of_known_number(labels, positions)
    return SliceSampler(store, np.arange(COUNT), batch, seed=3, by_position=by_position)


def test_hu_become_grey_values_and_what_lies_outside_the_window_is_clipped() -> None:
    hu = np.array([-1000, -50, 0, 450, 950, 3071], np.int16)
    np.testing.assert_allclose(to_grey(hu).numpy(), [0, 0, 0.05, 0.5, 1, 1], atol=1e-7)
    torch.testing.assert_close(to_grey(torch.from_numpy(hu)), to_grey(hu))


def test_a_window_goes_from_minus_one_to_one() -> None:
    hu = torch.tensor([-1000.0, -400.0, 0.0, 400.0, 900.0])
    torch.testing.assert_close(window(hu, (-400.0, 400.0)), torch.tensor([-1.0, -1, 0, 1, 1]))


@pytest.mark.parametrize("by_position", [False, True])
def test_a_batch_has_as_many_slices_with_cac_as_without(by_position: bool) -> None:
    sampler = uneven_sampler(by_position=by_position)
    for _ in range(5):
        cac, clear = sampler.draw()
        assert cac.shape == clear.shape == (40, 1, 8, 8)
        assert sampler.store.labels[drawn_numbers(cac)].all()
        assert not sampler.store.labels[drawn_numbers(clear)].any()


def part_of_heart(sampler: SliceSampler, numbers: np.ndarray) -> np.ndarray:
    positions = sampler.store.positions[numbers]
    return np.minimum((positions * POSITION_BINS).astype(int), POSITION_BINS - 1)


def test_the_cyclegan_sees_every_part_of_the_heart_equally_often_in_both_domains() -> None:
    sampler = uneven_sampler(by_position=True)
    drawn = [sampler.draw() for _ in range(40)]
    parts = [
        part_of_heart(sampler, np.concatenate([drawn_numbers(pair[i]) for pair in drawn]))
        for i in (0, 1)
    ]
    np.testing.assert_array_equal(parts[0], parts[1])
    shares = np.bincount(parts[0], minlength=POSITION_BINS) / len(parts[0])
    np.testing.assert_allclose(shares, 1 / POSITION_BINS, atol=0.035)


def test_without_balance_the_parts_are_seen_as_often_as_they_are_there() -> None:
    sampler = uneven_sampler(by_position=False)
    numbers = np.concatenate([drawn_numbers(sampler.draw()[1]) for _ in range(20)])
    assert (part_of_heart(sampler, numbers) == 0).mean() > 0.8


def test_a_part_of_the_heart_without_cac_is_left_out() -> None:
    labels, positions = np.array([True, False, False, False]), np.array([0.1, 0.1, 0.9, 0.9])
    store = slices_of_known_number(labels, positions)
    sampler = SliceSampler(store, np.arange(4), 20, seed=0, by_position=True)
    assert set(drawn_numbers(sampler.draw()[1])) == {1}


def test_slices_of_one_kind_alone_cannot_be_balanced() -> None:
    store = slices_of_known_number(np.zeros(4, bool), np.linspace(0, 1, 4))
    for by_position in (False, True):
        with pytest.raises(ValueError, match="with and without CAC"):
            SliceSampler(store, np.arange(4), 2, seed=0, by_position=by_position)


def test_only_the_slices_given_are_drawn() -> None:
    store = slices_of_known_number(np.arange(40) % 2 == 0, np.linspace(0, 1, 40))
    indices = store.subset(np.array([False, True, False, True]))
    assert indices.tolist() == [*range(10, 20), *range(30, 40)]
    sampler = SliceSampler(store, indices, 30, seed=0, by_position=False)
    for drawn in sampler.draw():
        assert set(drawn_numbers(drawn)) <= set(indices)


def test_a_samplers_state_goes_into_a_file_and_back() -> None:
    sampler, other = (uneven_sampler(by_position=True) for _ in range(2))
    sampler.draw()
    kept = json.dumps(sampler.rng.bit_generator.state)
    want = sampler.draw()
    assert not torch.equal(other.draw()[0], want[0])
    other.rng.bit_generator.state = json.loads(kept)
    for one, two in zip(want, other.draw(), strict=True):
        assert torch.equal(one, two)


@given(number=st.integers(0, 1000), crop=st.integers(12, 24), turn=st.floats(0, 45))
@settings(max_examples=25, deadline=None)
def test_augmentation_passes_the_range_of_grey_values_only_where_it_adds_noise(
    number: int, crop: int, turn: float
) -> None:
    images = torch.rand(6, 1, 24, 24, generator=seed(number))
    out = augment_slices(images, crop, turn, seed(number))
    assert out.shape == (6, 1, crop, crop)
    assert float(out.min()) >= -1.0
    assert float(out.max()) <= 2.0


def test_an_image_and_the_calcium_in_it_are_turned_and_made_noisy_alike() -> None:
    image = torch.rand(6, 1, 24, 24, generator=seed(0))
    out = augment_slices(torch.cat([image, 0.5 * image], dim=1), 20, 10.0, seed(1))
    torch.testing.assert_close(out[:, 1], 0.5 * out[:, 0])


def test_where_the_calcium_is_known_it_comes_as_a_second_channel() -> None:
    labels = np.array([True, False] * 4)
    hu = np.full((8, 6, 6), -200, np.int16)
    calcium = np.full((1, 6, 6), 300, np.int16)
    store = SliceStore(hu, labels, np.linspace(0, 1, 8), np.zeros(8, np.int32))
    store.calcium, store.calcium_rows = calcium, np.where(labels, 0, -1)
    cac, clear = SliceSampler(store, np.arange(8), 3, 0, by_position=False).draw()
    assert cac.shape == clear.shape == (3, 2, 6, 6)
    np.testing.assert_allclose(cac[:, 0], -0.15, atol=1e-6)
    np.testing.assert_allclose(cac[:, 1], 0.3)
    assert not clear[:, 1].any()


def noise_choices(slices: torch.Tensor, image: torch.Tensor) -> list[str]:
    """Whether each augmented slice is the image made quiet, made loud, or left alone."""
    quiet = torch.from_numpy(
        ndimage.gaussian_filter(image.numpy(), 0.5, mode="mirror", truncate=4.0)
    )
    loud = 2 * image - quiet
    choices = {"quiet": quiet, "loud": loud, "same": image}
    found = []
    for slice_ in slices[:, 0]:
        near = [name for name, like in choices.items() if torch.allclose(slice_, like, atol=1e-4)]
        assert len(near) == 1
        found.append(near[0])
    return found


def test_noise_goes_down_and_up_as_in_section_3_equally_often_in_both_domains() -> None:
    image = 0.3 + 0.4 * torch.rand(16, 16, generator=seed(1))
    slices = image.expand(1200, 1, 16, 16)
    choices = noise_choices(augment_slices(slices, 16, 0.0, seed(2)), image)
    for domain in (choices[:600], choices[600:]):
        for choice in ("quiet", "loud", "same"):
            assert domain.count(choice) / 600 == pytest.approx(1 / 3, abs=0.08)


def test_noise_down_is_quieter_and_noise_up_is_louder() -> None:
    image = (0.5 + 0.05 * torch.randn(64, 64, generator=seed(0))).clamp(0, 1)
    out = augment_slices(image.expand(60, 1, 64, 64), 64, 0.0, seed(0))
    spread = {
        choice: float(slice_.std())
        for choice, slice_ in zip(noise_choices(out, image), out, strict=True)
    }
    assert spread["quiet"] < 0.9 * spread["same"] < 0.81 * spread["loud"]


def test_a_random_crop_stays_in_the_slice_and_reaches_its_borders() -> None:
    ramp = torch.linspace(0, 1, 40).expand(300, 1, 40, 40)
    crops = augment_slices(ramp, 30, 0.0, seed(0))
    inner = crops[..., 5, 4:-4]
    steps = inner.diff(dim=-1)
    torch.testing.assert_close(steps, torch.full_like(steps, 1 / 39), atol=2e-3, rtol=0)
    middles = crops.mean(dim=(1, 2, 3))
    assert float(middles.min()) < 0.5 - 0.9 * 5 / 40
    assert float(middles.max()) > 0.5 + 0.9 * 5 / 40


def test_both_domains_are_cropped_and_turned_alike() -> None:
    ramp = torch.linspace(0, 1, 40).expand(1200, 1, 40, 40)
    crops = augment_slices(ramp, 30, 20.0, seed(0))
    middle = crops.mean(dim=(1, 2, 3))
    tilt = (crops[..., -1, :] - crops[..., 0, :]).mean(dim=(1, 2))
    for value in (middle, tilt):
        one, other = value[:600], value[600:]
        error = float(value.std()) / 600**0.5
        assert abs(float(one.mean() - other.mean())) < 5 * error
        assert float(one.std() / other.std()) == pytest.approx(1.0, abs=0.12)


def test_the_largest_turn_is_the_one_asked_for() -> None:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 41), torch.linspace(-1, 1, 41), indexing="ij")
    out = augment_slices((0.5 + 0.2 * x + 0 * y).expand(400, 1, 41, 41), 41, 10.0, seed(0))
    down = (out[..., 25, 20] - out[..., 15, 20]).squeeze(1)
    right = (out[..., 20, 25] - out[..., 20, 15]).squeeze(1)
    turns = torch.rad2deg(torch.atan2(down, right)).abs()
    assert 9.0 < float(turns.max()) < 10.2


def patches(stems: list[Path], *, vary: float = 0.0, batch: int = 10) -> PatchSampler:
    return PatchSampler(stems, batch=batch, patch=16, window_hu=(-400, 400), vary=vary, seed=0)


@pytest.fixture
def far_corner(tmp_path: Path) -> Path:
    """A small heart in a large scan: a patch at random seldom shows it."""
    return write_heart(tmp_path / "corner", (80, 80, 80), 2, 8)


@pytest.mark.parametrize("vary", [0.0, 1.0])
def test_half_of_the_patches_show_the_heart(far_corner: Path, vary: float) -> None:
    sampler = patches([far_corner], vary=vary)
    shown = []
    for _ in range(8):
        images, masks = sampler.draw()
        assert images.shape == masks.shape == (10, 1, 16, 16, 16)
        assert float(images.min()) >= -1
        assert float(images.max()) <= 1
        assert set(masks.unique().tolist()) <= {0.0, 1.0}
        shown.append(masks.flatten(1).any(dim=1).numpy())
    share = np.stack(shown)
    assert share[:, ::2].all()
    assert share[:, 1::2].mean() < 0.2


def test_a_patch_and_its_mask_show_the_same_place(far_corner: Path) -> None:
    images, masks = patches([far_corner]).draw()
    inside = masks.bool()
    assert float(images[inside].min()) > -0.2
    assert float(images[~inside].max()) < -0.9


def test_a_patch_that_passes_the_border_is_filled_with_air(tmp_path: Path) -> None:
    stem = write_heart(tmp_path / "small", (8, 8, 8), 0, 8)
    images, masks = patches([stem]).draw()
    assert (images[~masks.bool()] == -1).all()
    assert float(masks.sum()) > 0


def test_scans_below_the_heart_are_drawn_from_and_are_not_looked_at_for_a_heart(
    tmp_path: Path,
) -> None:
    with_heart = write_heart(tmp_path / "chest", (20, 20, 20), 5, 15)
    below = write_heart(tmp_path / "belly", (20, 20, 20), 0, 0)
    sampler = patches([below, with_heart])
    _, masks = sampler.draw()
    assert masks[::2].flatten(1).any(dim=1).all()
    with pytest.raises(ValueError, match="no scan of the training set shows a heart"):
        patches([below])


def test_varied_patches_differ_from_the_scan_and_plain_ones_do_not(tmp_path: Path) -> None:
    stem = tmp_path / "flat"
    np.save(f"{stem}.image.npy", np.full((30, 30, 30), 40, np.int16))
    np.save(f"{stem}.heart.npy", np.ones((30, 30, 30), bool))
    plain, varied = (patches([stem], vary=vary).draw()[0][::2] for vary in (0.0, 1.0))
    filled = plain == -1
    torch.testing.assert_close(plain[~filled], torch.full_like(plain[~filled], 0.1))
    assert float(filled.float().mean()) < 0.5
    assert varied.std(dim=(1, 2, 3, 4)).unique().numel() == 5


def test_a_slice_comes_with_those_beside_it_in_its_scan_and_no_other() -> None:
    store = slices_of_known_number(np.arange(20) % 2 == 0, np.linspace(0, 1, 20))
    assert store.beside(np.array([0, 5, 9, 10, 19]), 2).tolist() == [2, 7, 9, 12, 19]
    assert store.beside(np.array([0, 5, 9, 10, 19]), -2).tolist() == [0, 3, 7, 10, 17]


def test_a_drawn_slice_has_its_context_and_their_calcium_as_channels() -> None:
    store = speckled_store(known=True)
    sampler = SliceSampler(store, np.arange(40), 3, 0, by_position=False, context=(-1, 1))
    with_cac, _ = sampler.draw()
    assert with_cac.shape == (3, 6, 40, 40)
    image, calcium = with_cac.chunk(2, dim=1)
    # every second slice shows the square: the slice drawn does, those beside it do not
    assert (calcium[:, 0].amax(dim=(1, 2)) > 0.3).all()
    assert (calcium[:, 1:] == 0).sum() > 0.9 * calcium[:, 1:].numel()
    without = float((image[:, 0] - calcium[:, 0]).mean())
    assert without == pytest.approx(float(image[:, 1].mean()), abs=0.05)


def test_past_the_hearts_ends_its_last_slice_stands_in() -> None:
    stack = np.arange(6.0).reshape(6, 1, 1)
    seen = with_context(stack, np.array([1, 4]), np.array([1, 2, 3, 4]), (-2, 2))
    assert seen[:, :, 0, 0].tolist() == [[1.0, 1.0, 3.0], [4.0, 2.0, 4.0]]


@pytest.mark.parametrize("known", [False, True])
def test_slices_held_on_a_device_are_drawn_as_those_on_disk(known: bool) -> None:
    store = speckled_store(known=known)
    held, read = (
        SliceSampler(store, np.arange(40), 6, 0, by_position=True, context=(-1, 1), room_bytes=room)
        for room in (store.nbytes, store.nbytes - 1)
    )
    assert held.resident is not None
    assert read.resident is None, "a byte too few"
    for _ in range(3):
        for one, other in zip(held.draw(), read.draw(), strict=True):
            assert torch.equal(one, other)


def test_the_bytes_of_a_store_are_those_of_its_slices_and_their_calcium() -> None:
    assert speckled_store(16).nbytes == 40 * 16 * 16 * 2
    assert speckled_store(16, known=True).nbytes == 41 * 16 * 16 * 2


def test_slices_on_disk_are_drawn_without_being_read_into_memory(tmp_path: Path) -> None:
    count, size = 2000, 64
    path = tmp_path / "slices.npy"
    np.save(path, np.zeros((count, size, size), np.int16))
    store = SliceStore(
        np.load(path, mmap_mode="r"), np.arange(count) % 2 == 0,
        np.linspace(0, 1, count, dtype=np.float32), np.zeros(count, np.int32),
    )  # fmt: skip
    sampler = SliceSampler(store, np.arange(count), 4, 0, by_position=True)
    tracemalloc.start()
    for _ in range(20):
        sampler.draw()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.05 * store.nbytes
