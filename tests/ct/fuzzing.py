"""Damaged files by the thousand, each read as before, as a second decoder reads it, or refused.

Files come from pydicom's own test files, which are installed with it, from the scans in
../shared/data where those are, and from scans written here. Every case damages one file: bytes are
changed, put in, taken out or cut off, an element gets a value of another kind. Then the folder is
inspected and read, in a process of its own with a time limit.

What may come of a case:

- `as_before`: the volume of the whole files;
- `as_second`: another volume, and a second decoder (pydicom; SimpleITK for NIfTI, NRRD and MHA)
  reads the same voxels and places from the same damaged bytes: the damage is a valid other file;
- `refused`: no scan is read, and a code says why;
- `left_out`: the damaged file is not in the volume, and stands in another series or in `unread`;
- `wrong`, `traceback`, `hang`, `crash`: a fault of ours. There must be none.

    .venv/bin/python tests/ct/fuzzing.py [--cases 2000] [--seed 1] [--json] [--only NUMBER]
"""

import argparse
import json
import multiprocessing
import random
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from cacnb.ct.dicom_elements import quiet_pydicom
from cacnb.ct.reading import read_volume
from cacnb.ct.series import Inspection, Series, find_series
from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_dicom_series, write_image
from cacnb.errors import InputError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
LIMIT_S = 30.0
FAULTS = ("wrong", "traceback", "hang", "crash")

#: Values that an element may get in place of its own.
ODD_TEXTS = [
    "", "nan", "inf", "-1", "0", "1e400", "abc", "1\\2", "1\\2\\3", "0.000001", "1_0", " 3 ",
    "99999999999999999999", "1.5.3", "-0", "\\\\", "1\\0\\0\\0\\1\\0", "0\\1\\0\\1\\0\\0",
]  # fmt: skip
ODD_TAGS = [
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope",
    "RescaleIntercept", "SliceThickness", "KVP", "GantryDetectorTilt", "ImageType",
    "NumberOfFrames", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality", "RescaleType",
    "PhotometricInterpretation", "ConvolutionKernel", "AcquisitionNumber", "SOPClassUID",
]  # fmt: skip
ODD_NUMBERS = ["Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
               "SamplesPerPixel"]  # fmt: skip


@dataclass(frozen=True)
class Seed:
    """A folder with whole files, and those that may be damaged."""

    name: str
    folder: Path
    targets: tuple[Path, ...]


# Whole files


def small_scan() -> Volume:
    rng = np.random.default_rng(3)
    hu = np.rint(rng.normal(0, 300, (6, 16, 20))).astype(np.float32)
    return Volume(hu, (3.0, 0.8, 0.7), (-100.0, -60.5, 20.25))


def seeds_in(folder: Path) -> list[Seed]:
    """Every seed, written below a folder."""
    seeds = [*_written(folder), *_of_pydicom(folder)]
    if SHARED.is_dir():
        seeds += _of_shared(folder)
    return seeds


def _seed(folder: Path, name: str) -> Seed:
    place = folder / name
    return Seed(name, place, tuple(sorted(p for p in place.rglob("*") if p.is_file())))


def _written(folder: Path) -> list[Seed]:
    scan = small_scan()
    names = []
    for syntax in (
        ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian, RLELossless, JPEGLSLossless,
    ):  # fmt: skip
        name = f"written {syntax.name}"
        for path in write_dicom_series(scan, folder / name):
            dataset = pydicom.dcmread(path)
            if syntax.is_encapsulated:
                dataset.compress(syntax)
            elif syntax == ExplicitVRBigEndian:
                dataset.PixelData = dataset.pixel_array.astype(">i2").tobytes()
            dataset.file_meta.TransferSyntaxUID = syntax
            pydicom.dcmwrite(
                path, dataset, enforce_file_format=True, implicit_vr=syntax.is_implicit_VR,
                little_endian=syntax.is_little_endian,
            )  # fmt: skip
        names.append(name)
    for ending in ("nii", "nii.gz", "nrrd", "mha"):
        write_image(scan, folder / f"written {ending}" / f"scan.{ending}")
        names.append(f"written {ending}")
    _write_enhanced(folder / "written enhanced", scan)
    return [_seed(folder, name) for name in [*names, "written enhanced"]]


def _write_enhanced(folder: Path, scan: Volume) -> None:
    """One file of frames, from head to feet, with rescale and place in the functional groups."""
    from pydicom import Dataset, Sequence

    write_dicom_series(scan, folder.with_name("classic"))
    slices = [pydicom.dcmread(p) for p in sorted(folder.with_name("classic").iterdir())][::-1]
    shutil.rmtree(folder.with_name("classic"))
    file = slices[0]
    file.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    file.file_meta.MediaStorageSOPClassUID = file.SOPClassUID
    file.NumberOfFrames = len(slices)
    file.PixelData = b"".join(one.PixelData for one in slices)

    def item(**values: object) -> Sequence:
        inner = Dataset()
        for keyword, value in values.items():
            setattr(inner, keyword, value)
        return Sequence([inner])

    shared = Dataset()
    shared.PixelMeasuresSequence = item(PixelSpacing=file.PixelSpacing, SliceThickness="3")
    shared.PlaneOrientationSequence = item(ImageOrientationPatient=file.ImageOrientationPatient)
    own = []
    for one in slices:
        groups = Dataset()
        groups.PlanePositionSequence = item(ImagePositionPatient=one.ImagePositionPatient)
        groups.PixelValueTransformationSequence = item(
            RescaleSlope="1", RescaleIntercept="-1024", RescaleType="HU"
        )
        own.append(groups)
    file.SharedFunctionalGroupsSequence = Sequence([shared])
    file.PerFrameFunctionalGroupsSequence = Sequence(own)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
                    "RescaleSlope", "RescaleIntercept", "SliceThickness"):  # fmt: skip
        delattr(file, keyword)
    folder.mkdir()
    file.save_as(folder / "scan.dcm")


def _of_pydicom(folder: Path) -> list[Seed]:
    """pydicom's own test files, each alone; its CT slices also as stacks of four."""
    source = Path(pydicom.__file__).parent / "data" / "test_files"
    seeds = []
    for path in sorted(p for p in source.rglob("*") if p.is_file()):
        place = folder / f"pydicom {path.relative_to(source)}".replace("/", " ")
        place.mkdir()
        shutil.copy(path, place / path.name)
        seeds.append(Seed(place.name, place, (place / path.name,)))
    names = ("CT_small.dcm", "693_J2KI.dcm", "J2K_pixelrep_mismatch.dcm")
    stacks = [_stacked(source / n, folder / f"stacked {n}") for n in names if (source / n).exists()]
    return [*seeds, *stacks]


def _of_shared(folder: Path) -> list[Seed]:
    seeds = [
        _stacked(path, folder / f"stacked {path.name[-60:]}")
        for path in sorted((SHARED / "awkward" / "ct_transfer_syntaxes").iterdir())
        if path.is_file() and "CT0012" not in path.name
    ]
    for name in ("acrin_flt_breast_013", "qrm_thorax_phantom",
                 "awkward/totalseg_example_ct_dicom_j2k", "awkward/ge_tilt_variable_spacing",
                 "awkward/rtstruct_heart_dicompyler"):  # fmt: skip
        place = folder / f"shared {Path(name).name}"
        place.mkdir()
        (series, *_) = sorted(find_series([SHARED / name]).series, key=lambda s: -len(s.files))
        for file in series.files[:4]:
            shutil.copy(file, place / file.name)
        seeds.append(_seed(folder, place.name))
    for path in (SHARED / "awkward").glob("*.dcm"):
        place = folder / f"shared {path.name}"
        place.mkdir()
        shutil.copy(path, place)
        seeds.append(_seed(folder, place.name))
    for path in (
        SHARED / "abdomen_3mm.nii.gz",
        SHARED / "ct_angiography_crop" / "ct_cropped.nii.gz",
    ):
        image = SimpleITK.ReadImage(str(path))[30:60, 30:60, 20:44]
        for ending in ("nii", "nii.gz", "nrrd", "mha"):
            place = folder / f"shared {path.name} as {ending}"
            place.mkdir()
            SimpleITK.WriteImage(image, str(place / f"scan.{ending}"))
            seeds.append(_seed(folder, place.name))
    return seeds


def _stacked(path: Path, folder: Path) -> Seed:
    """One slice as four, 5 mm apart, with the bytes of the file but for the position."""
    folder.mkdir()
    with quiet_pydicom():
        dataset = pydicom.dcmread(path)
        x, y, z = (float(v) for v in dataset.ImagePositionPatient)
        for i in range(4):
            dataset.ImagePositionPatient = [x, y, round(z + 5 * i, 4)]
            dataset.SOPInstanceUID = f"1.2.3.{i}"
            dataset.save_as(folder / f"{i}.dcm")
    return _seed(folder.parent, folder.name)


# Damage


def damaged(data: bytes, rng: random.Random) -> bytes:
    """The bytes of a file after one to three of ten kinds of damage."""
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        data = rng.choice(DAMAGES)(data, rng)
    return data


def _place(data: bytes, rng: random.Random) -> int:
    """Anywhere; as often in the first 3,000 bytes, where headers are."""
    return rng.randrange(max(1, min(len(data), 3000) if rng.random() < 0.6 else len(data)))


def _flip_bits(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        if changed:
            changed[_place(data, rng)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _random_bytes(data: bytes, rng: random.Random) -> bytes:
    at, length = _place(data, rng), rng.randint(1, 40)
    return data[:at] + rng.randbytes(min(length, len(data) - at)) + data[at + length :]


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _cut_a_little(data: bytes, rng: random.Random) -> bytes:
    return data[: max(0, len(data) - rng.randint(1, 200))]


def _insert(data: bytes, rng: random.Random) -> bytes:
    at = _place(data, rng)
    return data[:at] + rng.randbytes(rng.randint(1, 16)) + data[at:]


def _delete(data: bytes, rng: random.Random) -> bytes:
    at = _place(data, rng)
    return data[:at] + data[at + rng.randint(1, 16) :]


def _zero(data: bytes, rng: random.Random) -> bytes:
    at, length = _place(data, rng), rng.randint(1, 600)
    return data[:at] + bytes(min(length, len(data) - at)) + data[at + length :]


def _swap(data: bytes, rng: random.Random) -> bytes:
    a, b = sorted((_place(data, rng), _place(data, rng)))
    length = min(rng.randint(2, 200), b - a)
    return (
        data[:a] + data[b : b + length] + data[a + length : b] + data[a : a + length]
        + data[b + length :]
    )  # fmt: skip


def _extreme_length(data: bytes, rng: random.Random) -> bytes:
    """Four or two bytes as a length that no file has, or an unusual one."""
    value = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\xff\xff", b"\1\0",
                        b"\0\0\0\x80", b"\x10\0\0\0", b"\xfe\xff\xff\xff"])  # fmt: skip
    at = _place(data, rng)
    return data[:at] + value[: len(data) - at] + data[at + len(value) :]


def _odd_element(data: bytes, rng: random.Random) -> bytes:
    """A header element with a value of another kind, written by pydicom; else a number's digit."""
    from io import BytesIO

    try:
        with quiet_pydicom():
            dataset = pydicom.dcmread(BytesIO(data))
            if rng.random() < 0.3:
                setattr(
                    dataset, rng.choice(ODD_NUMBERS), rng.choice([0, 1, 2, 7, 8, 12, 15, 17, 65535])
                )
            elif rng.random() < 0.2:
                delattr(dataset, rng.choice(ODD_TAGS + ODD_NUMBERS))
            else:
                element = dataset[rng.choice(ODD_TAGS)]
                element._value = rng.choice(ODD_TEXTS)
            out = BytesIO()
            dataset.save_as(out)
            return out.getvalue()
    except Exception:
        return _other_digit(data, rng)


def _other_digit(data: bytes, rng: random.Random) -> bytes:
    places = [i for i, byte in enumerate(data[:6000]) if 48 <= byte <= 57]
    if not places:
        return _flip_bits(data, rng)
    at = rng.choice(places)
    return data[:at] + b"%d" % rng.randrange(10) + data[at + 1 :]


DAMAGES: list[Callable[[bytes, random.Random], bytes]] = [
    _flip_bits, _random_bytes, _cut, _cut_a_little, _insert, _delete, _zero, _swap, _extreme_length,
    _odd_element, _odd_element, _other_digit,
]  # fmt: skip


# What came of it


def outcome_of(folder: Path, target: Path, whole: dict[Path, Volume]) -> str:
    """What reading a folder with one damaged file comes to; `whole` are its volumes before."""
    found = find_series([folder])
    _check_accounts(found, folder)
    results = []
    for series in found.series:
        if series.verdict == "refused":
            continue
        try:
            volume = read_volume(series)
        except InputError:
            continue
        before = whole.get(folder)
        if (
            before is not None
            and before.same_grid(volume)
            and np.array_equal(before.array, volume.array)
        ):
            results.append("as_before")
        elif not _agrees_or_fails(series, volume):
            return "wrong"
        else:
            results.append("as_second" if target in series.files else "left_out")
    return max(
        results, key=["refused", "as_before", "left_out", "as_second"].index, default="refused"
    )


def _check_accounts(found: Inspection, folder: Path) -> None:
    """Files in are files accounted for; raises ValueError else."""
    stands = sorted([f for s in found.series for f in s.files] + [u.path for u in found.unread])
    if stands != sorted(p for p in folder.rglob("*") if p.is_file()):
        raise ValueError("a file is not accounted for, or twice")


def _agrees_or_fails(series: Series, volume: Volume) -> bool:
    """As `_agrees`; what the second decoder cannot read must not be read."""
    try:
        return _agrees(series, volume)
    except Exception:
        return False


def _agrees(series: Series, volume: Volume) -> bool:
    """Whether a second decoder reads the same voxels at the same places from the same bytes."""
    first = series.files[0]
    if first.name.endswith((".nii", ".nii.gz", ".nrrd", ".mha")):
        return _agrees_with_itk(first, volume)
    with quiet_pydicom():
        planes = [plane for file in series.files for plane in _second(file)]
    planes.sort(key=lambda plane: plane[1][2])
    if len(planes) != len(volume.array):
        return False
    expected = np.stack([hu for hu, *_ in planes])
    places = np.array([place for _, place, *_ in planes])
    orientation, spacing = planes[0][2:]
    expected, corner, step = _upright(expected, places[0], np.array(orientation), spacing)
    heights = volume.origin_mm[0] + volume.spacing_mm[0] * np.arange(len(planes))
    return bool(
        expected.shape == volume.array.shape
        and np.allclose(expected, volume.array, atol=2e-2, rtol=1e-6)
        and np.allclose(places[:, 2], heights, atol=0.05)
        and np.allclose(corner, volume.origin_mm[:0:-1], atol=0.1)
        and np.allclose(step, volume.spacing_mm[:0:-1], rtol=1e-3)
    )


def _second(file: Path) -> list[tuple[np.ndarray, list[float], list[float], list[float]]]:
    """Slices of a file as pydicom reads them: HU, position, orientation, spacing (row, column)."""
    dataset = pydicom.dcmread(file, force=True)
    pixels = _stored(dataset, file)
    if "PerFrameFunctionalGroupsSequence" in dataset and pixels.ndim == 3:
        shared = dataset.SharedFunctionalGroupsSequence[0]
        slices = []
        for plane, groups in zip(pixels, dataset.PerFrameFunctionalGroupsSequence, strict=True):

            def of(group: str, keyword: str, groups: pydicom.Dataset = groups) -> object:
                place = groups if group in groups else shared
                return getattr(getattr(place, group)[0], keyword)

            slope = of("PixelValueTransformationSequence", "RescaleSlope")
            intercept = of("PixelValueTransformationSequence", "RescaleIntercept")
            slices.append(
                (
                    _hu(plane, float(slope), float(intercept), dataset),
                    [float(v) for v in of("PlanePositionSequence", "ImagePositionPatient")],
                    [float(v) for v in of("PlaneOrientationSequence", "ImageOrientationPatient")],
                    [float(v) for v in of("PixelMeasuresSequence", "PixelSpacing")],
                )
            )
        return slices
    return [
        (
            _hu(pixels, float(dataset.RescaleSlope), float(dataset.RescaleIntercept), dataset),
            [float(v) for v in dataset.ImagePositionPatient],
            [float(v) for v in dataset.ImageOrientationPatient],
            [float(v) for v in dataset.PixelSpacing],
        )
    ]


def _stored(dataset: pydicom.Dataset, file: Path) -> np.ndarray:
    """Stored pixels by pydicom; by SimpleITK for JPEG lossless, which pydicom alone lacks."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"):
        hu = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file), SimpleITK.sitkFloat64))
        return (hu.squeeze() - float(dataset.RescaleIntercept)) / float(dataset.RescaleSlope)
    return dataset.pixel_array


def _hu(stored: np.ndarray, slope: float, intercept: float, dataset: pydicom.Dataset) -> np.ndarray:
    """HU with the documented rules of padding, written a second time."""
    hu = stored.astype(np.float64) * slope + intercept
    if "PixelPaddingValue" in dataset:
        raw = int(dataset.PixelPaddingValue) & 0xFFFF
        stated = raw - 65536 if dataset.PixelRepresentation == 1 and raw > 32767 else raw
        padding = stated * slope + intercept
        if "PixelPaddingRangeLimit" not in dataset and not -900 <= padding <= 3071:
            hu[np.abs(hu - padding) < 1e-3] = -1024
    hu[hu > 31743] = -1024
    return np.maximum(hu, -1024)


def _upright(
    array: np.ndarray, corner: np.ndarray, orientation: np.ndarray, spacing: list[float]
) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Planes turned to x left, y back: with the first pixel's (x, y) and the steps along them."""
    row, column = orientation[:3], orientation[3:]
    step = [spacing[1], spacing[0]]
    corner = corner[:2].astype(float)
    if abs(row[1]) > abs(row[0]):  # rows run along y
        array, row, column, step = array.transpose(0, 2, 1), column, row, step[::-1]
    if row[0] < 0:
        array = array[:, :, ::-1]
        corner[0] -= step[0] * (array.shape[2] - 1)
    if column[1] < 0:
        array = array[:, ::-1]
        corner[1] -= step[1] * (array.shape[1] - 1)
    return array, corner, step


def _agrees_with_itk(path: Path, volume: Volume) -> bool:
    image = SimpleITK.DICOMOrient(SimpleITK.ReadImage(str(path), SimpleITK.sitkFloat32), "LPS")
    return bool(
        np.allclose(image.GetOrigin(), volume.origin_mm[::-1], atol=1e-2, rtol=1e-5)
        and np.allclose(image.GetSpacing(), volume.spacing_mm[::-1], rtol=1e-4)
        and np.allclose(
            np.maximum(SimpleITK.GetArrayFromImage(image), -1024), volume.array, rtol=1e-5
        )
    )


# Cases in a process of their own


def serve(connection: Connection, corpus: Path) -> None:
    """Answer case after case: a number comes in, (outcome, what it was) goes out."""
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    seeds = [_seed(corpus, folder.name) for folder in sorted(corpus.iterdir())]
    with tempfile.TemporaryDirectory() as place:
        while (case := connection.recv()) is not None:
            rng = random.Random(f"{case}")  # noqa: S311  chance of a test, not of a key
            alone, scans = (
                [s for s in seeds if s.name.startswith("pydicom") == is_alone]
                for is_alone in (True, False)
            )
            # Half of the cases damage a scan that is read: the other files are refused anyway.
            seed = rng.choice(scans if case % 2 else alone)
            folder = Path(place) / str(case)
            shutil.copytree(seed.folder, folder)
            target = folder / rng.choice(seed.targets).relative_to(seed.folder)
            before = _whole(folder)
            target.write_bytes(damaged(target.read_bytes(), rng))
            try:
                outcome, why = outcome_of(folder, target, before), ""
            except Exception:
                outcome, why = "traceback", traceback.format_exc(limit=-4)
            shutil.rmtree(folder)
            connection.send((outcome, f"{seed.name}\n{why}".strip()))


def _whole(folder: Path) -> dict[Path, Volume]:
    for series in find_series([folder]).series:
        if series.verdict != "refused":
            try:
                return {folder: read_volume(series)}
            except InputError:
                continue
    return {}


class Server:
    """A process that runs cases, started again where one hangs or kills it."""

    def __init__(self, corpus: Path) -> None:
        self._corpus = corpus
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=serve, args=(other, self._corpus), daemon=True)
        self._process.start()
        other.close()

    def run(self, case: int) -> tuple[str, str]:
        """The outcome of one case, and what it was."""
        try:
            self._connection.send(case)
            if self._connection.poll(LIMIT_S):
                return self._connection.recv()
            outcome = "hang"
        except (EOFError, OSError):
            outcome = "crash"
        self.stop()
        self._start()
        return outcome, ""

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


def show(text: str) -> None:
    """One line on standard output."""
    sys.stdout.write(text + "\n")


def main() -> int:
    """Print the counts, and every fault with its case number."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    first = arguments.seed * 1_000_003
    cases = range(first, first + arguments.cases) if arguments.only is None else [arguments.only]
    counts: Counter[str] = Counter()
    faults = []
    with tempfile.TemporaryDirectory(prefix="cacnb-fuzz-") as place:
        seeds = seeds_in(Path(place))
        server = Server(Path(place))
        for case in cases:
            outcome, what = server.run(case)
            counts[outcome] += 1
            if outcome in FAULTS:
                faults.append({"case": case, "outcome": outcome, "what": what})
            if arguments.only is not None:
                show(f"{outcome} {what}")
        server.stop()
    found = {"cases": len(cases), "seeds": len(seeds), **counts, **{f: counts[f] for f in FAULTS}}
    show(json.dumps(found | {"faults": faults} if arguments.json else found))
    for fault in () if arguments.json else faults:
        show(f"{fault['case']} {fault['outcome']} {fault['what']}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
