from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset

from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_dicom_series

Edit = Callable[[FileDataset], object]


@pytest.fixture
def thorax() -> Volume:
    """24 slices of air, soft tissue and one bright voxel, different along every axis."""
    hu = np.full((24, 20, 28), -1000.0, dtype=np.float32)
    hu[:, 4:16, 5:22] = 40.0
    hu += np.arange(24, dtype=np.float32)[:, None, None]
    hu += np.arange(20, dtype=np.float32)[:, None] * 2
    hu[3, 6, 9] = 1200.0
    return Volume(hu, (3.0, 0.8, 0.7), (-100.0, -60.5, 20.25))


@pytest.fixture
def dicom(thorax: Volume, tmp_path: Path) -> Path:
    """The thorax as a clean DICOM series, slice_0001.dcm at the feet."""
    folder = tmp_path / "series"
    write_dicom_series(thorax, folder)
    return folder


def edit(path: Path, change: Edit) -> None:
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)


def edit_all(folder: Path, change: Edit) -> None:
    for path in sorted(folder.iterdir()):
        edit(path, change)


def move(path: Path, x_mm: float, y_mm: float, z_mm: float) -> None:
    def change(dataset: FileDataset) -> None:
        x, y, z = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [round(float(v), 6) for v in (x + x_mm, y + y_mm, z + z_mm)]

    edit(path, change)
