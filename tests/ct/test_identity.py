import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cacnb.ct.identity import scan_sha256
from cacnb.ct.reading import read_scan
from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_image


def test_a_scan_keeps_its_identity_from_dicom_to_nifti(
    thorax: Volume, dicom: Path, tmp_path: Path
) -> None:
    """And the hash is that of the memory that an int16 scan has, so that others can make it."""
    _, volume = read_scan(dicom)
    write_image(volume, tmp_path / "copy.nii.gz")
    _, copy = read_scan(tmp_path / "copy.nii.gz")
    assert scan_sha256(volume) == scan_sha256(copy)
    head = np.array(
        [24, 20, 28, 30000, 8000, 7000, -1_000_000, -605_000, 202_500], dtype="<i8"
    ).tobytes()
    by_hand = hashlib.sha256(head + volume.array.astype("<i2").tobytes()).hexdigest()
    assert scan_sha256(volume) == by_hand


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.with_array(np.where(v.array == v.array.max(), v.array - 1, v.array)),
        lambda v: Volume(v.array, (3.0, 0.8, 0.7002), v.origin_mm),
        lambda v: Volume(v.array, v.spacing_mm, (-100.0, -60.5, 20.26)),
        lambda v: Volume(v.array.reshape(20, 24, 28), v.spacing_mm, v.origin_mm),
        lambda v: v.with_array(v.array[:, :, ::-1]),
    ],
    ids=["one voxel by 1 HU", "spacing", "origin", "shape", "mirrored"],
)
def test_another_scan_has_another_identity(
    thorax: Volume, change: Callable[[Volume], Volume]
) -> None:
    assert scan_sha256(change(thorax)) != scan_sha256(thorax)


def test_less_than_headers_can_say_does_not_change_the_identity(thorax: Volume) -> None:
    array = thorax.array.astype(np.float64) + 1e-3
    same = Volume(array, (3.00001, 0.8, 0.7), (-100.0, -60.50001, 20.25))
    assert scan_sha256(same) == scan_sha256(thorax)


def test_hu_beyond_int16_are_held_and_not_wrapped(thorax: Volume) -> None:
    bright = thorax.with_array(np.where(thorax.array > 1000, 70000.0, thorax.array))
    held = thorax.with_array(np.where(thorax.array > 1000, 32767.0, thorax.array))
    assert scan_sha256(bright) == scan_sha256(held)
