"""The heart of TotalSegmentator, where it is installed; it does not know how it is scored."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import tempfile
from pathlib import Path

from cacnb.ct.label_images import read_labels
from cacnb.ct.mask_placing import onto
from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_image
from cacnb.errors import InputError

#: What is typed in a mask's place to have TotalSegmentator find the heart.
NAME = "totalsegmentator"


def require_totalsegmentator() -> None:
    """Refuse where TotalSegmentator is not installed (InputError `no_totalsegmentator`)."""
    if importlib.util.find_spec(NAME) is None:
        raise InputError(
            "no_totalsegmentator",
            "TotalSegmentator is not installed, its heart was wanted: `pip install "
            "'cacnb[totalsegmentator]'`, or give a mask that it wrote elsewhere",
        )


def totalsegmentator_heart(volume: Volume, device: str = "cpu") -> Volume:
    """The heart mask (bool) that TotalSegmentator finds in a scan, on the scan's grid.

    It is given grid and HU alone. It loads its own weights the first time that it is called, and
    sends usage statistics unless its own settings say no.

    Raises
    ------
    InputError
        `no_totalsegmentator` where it is not installed; `totalsegmentator_failed`.
    """
    require_totalsegmentator()
    from totalsegmentator.python_api import totalsegmentator

    with tempfile.TemporaryDirectory(prefix="cacnb-") as folder:
        scan, out = Path(folder, "scan.nii.gz"), Path(folder, "segmentations")
        write_image(volume, scan)
        try:
            with contextlib.redirect_stdout(sys.stderr):  # standard output is the command's own
                totalsegmentator(
                    scan, out, ml=False, nr_thr_saving=1, task="total", roi_subset=["heart"],
                    quiet=True, device=device,
                )  # fmt: skip
            return onto(read_labels(out / "heart.nii.gz"), volume)
        except Exception as error:  # its networks, downloads and files fail each in their own way
            raise InputError(
                "totalsegmentator_failed",
                f"TotalSegmentator found no heart ({type(error).__name__}): run it by hand and "
                "give the heart.nii.gz that it writes",
            ) from error
