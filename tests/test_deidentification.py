"""Identifiers planted in everything that can hold text; nothing that is written holds one."""

import gzip
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.datadict import DicomDictionary, RepeatersDictionary
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from cacnb.cli import app
from cacnb.ct.clean_dicom import EMPTY, NUMBERS, UIDS, WORDS, lay_profile_over
from cacnb.ct.dicom_headers import quiet_pydicom
from cacnb.ct.known_words import known_kernel, known_manufacturer, known_model
from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_dicom_series, write_image
from cacnb.study.cohort import read_cohort
from cacnb.study.new import new_study
from cacnb.study_adding import add_series, plan_adding

from .ct.written_structures import ring, write_rtstruct

NAME, NUMBER, BORN = "Qzxdoe", "7734190255", "19470311"
DAY, CLOCK = "20190527", "141559"
#: In small letters, as bytes; the name also as other character sets spell it.
IDENTIFIERS = [
    word.lower().encode(coding)
    for word in (NAME, "Müllerqz", NUMBER, BORN, DAY)
    for coding in ("utf-8", "latin-1", "utf-16-le")
]

#: A text that each kind of value can hold.
PLANTED: dict[str, Any] = {
    "PN": f"{NAME}^Jane^Müllerqz", "LO": f"{NAME} Müllerqz", "SH": NAME, "ST": f"{NAME} {NUMBER}",
    "LT": f"{NAME} born {BORN}", "UT": f"Dear {NAME}", "UC": f"{NAME}", "AE": NAME.upper(),
    "CS": NAME.upper(), "UR": f"http://{NAME}.example/{NUMBER}", "AS": "072Y", "DA": BORN,
    "DT": f"{DAY}{CLOCK}", "TM": CLOCK, "DS": NUMBER, "IS": NUMBER, "UI": f"1.2.{NUMBER}.{BORN}",
    "OB": f"{NAME} {NUMBER} ".encode(), "OW": f"{NAME} {NUMBER} ".encode(),
    "UN": f"{NAME} {NUMBER} ".encode(), "OB or OW": f"{NAME} {NUMBER} ".encode(),
}  # fmt: skip
#: What makes one series of slices: the same in each.
IDENTITY = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "PatientID",
    "PatientName",
)

#: What makes a file a slice of a CT series: changed, it would be another or none. Words in free
#: text stay planted.
NEEDED = {
    "SOPClassUID", "SOPInstanceUID", "Modality", "PhotometricInterpretation", "SamplesPerPixel",
    "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "NumberOfFrames", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "SliceThickness", "GantryDetectorTilt", "RescaleSlope", "RescaleIntercept", "RescaleType",
    "KVP", "PixelData", "ImageType", "SpecificCharacterSet", "LossyImageCompression",
    "PixelPaddingValue", "PixelPaddingRangeLimit", "AcquisitionDate", "AcquisitionTime",
    "AcquisitionDateTime", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
}  # fmt: skip


def planted() -> Dataset:
    """Every element of the dictionary that can hold text, sequences, private and repeated ones."""
    dataset = Dataset()
    for tag, (vr, _, _, _, keyword) in DicomDictionary.items():
        group, element = tag >> 16, tag & 0xFFFF
        if group <= 2 or group == 0xFFFE or element == 0 or keyword in NEEDED:
            continue
        if vr == "SQ":
            dataset[tag] = DataElement(tag, "SQ", Sequence([nested(2 if tag % 37 == 0 else 0)]))
        elif vr in PLANTED:
            dataset[tag] = DataElement(tag, vr.split(" ")[0], PLANTED[vr])
    for mask, (vr, *_) in RepeatersDictionary.items():
        if vr in PLANTED and mask[:2] in ("60", "50"):
            tag = Tag(int(mask.replace("x", "0"), 16))
            dataset[tag] = DataElement(tag, vr.split(" ")[0], PLANTED[vr])
    for group in (0x0009, 0x0019, 0x0029, 0x0051):
        block = dataset.private_block(group, f"{NAME} {NUMBER}", create=True)
        block.add_new(1, "LO", f"{NAME}")
        block.add_new(2, "UN", f"{NAME} {NUMBER} ".encode())
        block.add_new(3, "SQ", [nested()])
    dataset[0xFFFCFFFC] = DataElement(0xFFFCFFFC, "OB", f"{NAME} {NUMBER} ".encode())
    return dataset


def nested(depth: int = 2) -> Dataset:
    """A data set within a sequence: a name, a number, a private element, and one more within."""
    item = Dataset()
    item.PatientName, item.PatientID, item.StudyDate = f"{NAME}^Jane", NUMBER, DAY
    item.TextValue, item.UID = f"{NAME} {NUMBER}", PLANTED["UI"]
    item.private_block(0x0011, NAME, create=True).add_new(1, "LO", NAME)
    if depth:
        item.ContentSequence = [nested(depth - 1)]
    return item


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a hospital gives: two series, a plan, an image file and a mask, all full of names."""
    out = tmp_path_factory.mktemp("given") / "export"
    rng = np.random.default_rng(1)
    z, y, x = np.ogrid[-16:20:5, -120:120:6, -120:120:6]
    body = np.where((y / 90) ** 2 + (x / 110) ** 2 < 1, 40.0, -1000.0) + 0 * z
    scan = Volume(
        np.rint(body + rng.normal(0, 9, body.shape)).clip(-1024).astype(np.float32),
        (5.0, 6.0, 6.0), (-16.0, -120.0, -120.0),
    )  # fmt: skip
    folder = out / f"{NAME}_Jane_{BORN}" / f"Thorax {NUMBER}"
    write_dicom_series(scan, folder)
    extra = planted()
    few = Dataset()  # a whole header takes a second to write: three slices have one
    few.update({tag: extra[tag] for tag in list(extra.keys())[::60]})
    few.update({tag: extra[tag] for tag in map(Tag, IDENTITY)})
    with quiet_pydicom():
        for number, file in enumerate(sorted(folder.iterdir())):
            dataset = pydicom.dcmread(file)
            dataset.update(extra if number in (0, 4, 7) else few)
            dataset.SOPInstanceUID = f"1.2.{NUMBER}.{number + 1}"
            dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL", NAME.upper()]
            dataset.AcquisitionDate, dataset.AcquisitionTime = DAY, CLOCK
            dataset.Manufacturer, dataset.ManufacturerModelName = f"SIEMENS {NAME}", f"Force {NAME}"
            dataset.ConvolutionKernel = f"BONE {NAME}"  # begins as a sharp kernel
            dataset.preamble = f"{NAME} {NUMBER}".encode().ljust(128, b"\0")
            dataset.save_as(folder / f"{NAME}_{number:03d}.dcm")
            file.unlink()
    series_uid = str(dataset.SeriesInstanceUID)
    with quiet_pydicom():  # and what is no CT series at all
        dataset.Modality, dataset.SeriesInstanceUID = NAME.upper(), "1.2.9"
        dataset.save_as(out / "odd.dcm")
    heart = [(float(height), ring((0, 0), (55, 45))) for height in scan.axis_mm(0)]
    plan = write_rtstruct(
        folder / f"RS.{NAME}.dcm", {f"GTV {NAME}": heart, "Heart": heart}, series_uid=series_uid,
        frame=str(dataset.FrameOfReferenceUID),
    )  # fmt: skip
    plan.update({tag: extra[tag] for tag in (0x00100010, 0x00100020, 0x00081030, 0x30060002)})
    plan.StructureSetROISequence[0].ROIDescription = f"{NAME} {NUMBER}"
    plan.save_as(folder / f"RS.{NAME}.dcm")

    with zipfile.ZipFile(out / f"{NAME}.zip", "w") as archive:  # a series with a slice missing
        write_dicom_series(scan, out / "gap", seed="gap")
        for file in sorted((out / "gap").iterdir()):
            if file.name != "slice_0004.dcm":
                archive.write(file, f"{NAME} {NUMBER}/{file.name}")
            file.unlink()
        (out / "gap").rmdir()
    write_image(scan, out / f"{NAME}_ct.nii")
    raw = bytearray((out / f"{NAME}_ct.nii").read_bytes())
    raw[148:228] = f"{NAME} {NUMBER}".encode().ljust(80, b"\0")  # descrip
    raw[228:252] = NAME.encode().ljust(24, b"\0")  # aux_file
    raw[328:344] = NAME.encode().ljust(16, b"\0")  # intent_name
    (out / f"{NAME}_ct.nii").write_bytes(raw)
    mask = np.broadcast_to((y / 45) ** 2 + (x / 55) ** 2 < 1, scan.shape)
    write_image(scan.with_array(mask), out / "masks" / f"{NAME}_ct_heart.nii.gz")
    (out / f"{NAME}.txt").write_text(f"{NAME} {NUMBER} {BORN}")
    (out / f"{NAME}.dcm").write_bytes(f"{NAME} {NUMBER}".encode() * 30)
    (out / "labels.csv").write_text(
        f"series_uid,slice,contains_cac,reader\n{series_uid},3,1,Dr {NAME}\n"
    )
    return out


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where all that the program writes goes: study, configuration, temporary files."""
    for name in ("config", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    new_study(tmp_path / "study", "planted", "of a test")
    return tmp_path


def written(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of all files and folders, unpacked where they are packed."""
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        content = path.read_bytes() if path.is_file() else b""
        if content[:2] == b"\x1f\x8b":
            content += gzip.decompress(content)
        yield name, content


def leaks(name: str, content: bytes) -> list[str]:
    text = name.lower().encode() + b"\0" + content.lower()
    return [f"{name}: {word.decode('latin-1')}" for word in IDENTIFIERS if word in text]


def leaks_below(place: Path) -> list[str]:
    """What names the patient in all that was written; the user's own file may hold days."""
    found = []
    for name, content in written(place):
        if name.endswith(".key.days"):
            content = content.replace(b"2019-05-27T14:15:59", b"")
        found += leaks(name, content)
    return found


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[str, str]:
    app([str(argument) for argument in arguments], standalone_mode=False)
    said = capfd.readouterr()
    return said.out, said.err


@pytest.mark.parametrize("keep", [False, True], ids=["as NIfTI", "kept as DICOM"])
def test_nothing_written_or_said_names_the_patient(
    export: Path, place: Path, capfd: pytest.CaptureFixture[str], keep: bool
) -> None:
    study, said = place / "study", []
    options = ["--heart", export / "masks", "--labels", export / "labels.csv"]
    options += ["--keep-dicom"] * keep
    said += run(capfd, "study", "add", study, export, *options)
    said += run(capfd, "study", "add", study, export, *options, "--json")
    said += run(capfd, "study", "status", study)
    said += run(capfd, "study", "status", study, "--json")

    cohort = read_cohort(study)
    assert len(cohort) == 2, "the DICOM series and the image file came in"
    assert len(list((study / "masks").iterdir())) == 2, "each with its heart"
    assert (study / "slice_labels.csv").is_file()
    assert any((study / path).is_dir() for path in cohort["path"]) is keep
    assert not [leak for text in said for leak in leaks("on the terminal", text.encode())]
    assert not leaks_below(place)
    assert not list((place / "tmp").iterdir()), "no unpacked archive stays behind"


@pytest.mark.parametrize("taken_over", ["kernel", "private", "file name"])
def test_one_text_that_were_taken_over_would_be_found(
    export: Path, place: Path, monkeypatch: pytest.MonkeyPatch, taken_over: str
) -> None:
    from cacnb.ct import clean_dicom, identity_tags
    from cacnb.study.pseudonyms import Pseudonyms

    if taken_over == "kernel":
        monkeypatch.setattr(identity_tags, "known_kernel", lambda text: text)
    elif taken_over == "private":
        clean = clean_dicom._cleaned
        private = nested()
        monkeypatch.setattr(
            clean_dicom, "_cleaned", lambda *what: [d := clean(*what), d.update(private)][0]
        )
    else:
        monkeypatch.setattr(Pseudonyms, "scan", lambda *_: f"{NAME} {NUMBER}")
    plan = plan_adding(place / "study", [export], keep_dicom=True)
    assert [told for told in add_series(plan) if told.outcome == "added"]
    assert leaks_below(place)


def test_what_inspect_says_of_the_export_names_paths_and_nothing_else(
    export: Path, place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out, err = run(capfd, "inspect", export, "--json")
    told = json.loads(out)
    for one in (*told["series"], *told["unread"]):
        one.pop("path")
        one.pop("series_uid", None)
    assert not leaks("inspect", json.dumps(told).encode())
    assert not leaks("messages", err.encode())


def test_the_planted_series_would_leak_if_it_were_copied(export: Path) -> None:
    """The test can fail: each kind of value stands in the export as it was planted."""
    content = b"".join(content.lower() for _, content in written(export))
    for word in (NAME.lower(), NUMBER, BORN, DAY, "müllerqz"):
        assert word.encode() in content
    assert len(planted()) > 3000


def test_the_allow_list_holds_nothing_that_the_profile_takes_out() -> None:
    from dicomanonymizer.simpledicomanonymizer import initialize_actions

    named = initialize_actions("dicomfields_2026c")
    for keyword in (*NUMBERS, *WORDS, "Manufacturer", "ManufacturerModelName", "ConvolutionKernel"):
        tag = Tag(keyword)
        assert (tag.group, tag.element) not in named, keyword
    for keyword in UIDS:
        tag = Tag(keyword)
        assert named[tag.group, tag.element].__name__ == "replace_UID"
    for keyword in EMPTY[:-1]:
        tag = Tag(keyword)
        assert (tag.group, tag.element) in named, keyword


def test_the_profile_renames_uids_alike_and_drops_what_it_names() -> None:
    dataset = Dataset()
    dataset.SeriesInstanceUID = dataset.StudyInstanceUID = "1.2.3"
    dataset.InstitutionName, dataset.KVP = NAME, 120
    dataset.private_block(9, "maker", create=True).add_new(1, "LO", NAME)
    lay_profile_over(dataset, lambda uid: f"2.25.{len(uid)}")
    assert dataset.SeriesInstanceUID == dataset.StudyInstanceUID == "2.25.5"
    assert dataset.KVP == 120
    assert NAME not in str(dataset)


@pytest.mark.parametrize(
    ("text", "known"),
    [("SIEMENS", "Siemens"), ("GE MEDICAL SYSTEMS", "GE"), ("Philips", "Philips"),
     ("TOSHIBA", "Toshiba"), ("Canon Medical Systems", "Canon"), (f"{NAME}", "")],
)  # fmt: skip
def test_makers_are_those_of_a_list(text: str, known: str) -> None:
    assert known_manufacturer(text) == known


@pytest.mark.parametrize(
    ("text", "known"),
    [("SOMATOM Definition AS+", "SOMATOM Definition AS"), ("LightSpeed VCT", "LightSpeed VCT"),
     ("Discovery STE", "Discovery STE"), ("Brilliance 64", "Brilliance 64"), (NUMBER, ""),
     ("Aquilion ONE", "Aquilion ONE"), (f"Sensation 16 {NAME}", "Sensation 16")],
)  # fmt: skip
def test_models_are_of_words_of_a_list(text: str, known: str) -> None:
    assert known_model(text) == known


@pytest.mark.parametrize("kernel", ["B30f", "I31f\\3", "Br40d\\3", "FC08", "STANDARD", "B", "YA"])
def test_kernels_of_the_makers_are_kept(kernel: str) -> None:
    assert known_kernel(kernel) == kernel


@pytest.mark.parametrize("kernel", [NAME, NUMBER, f"B30f\\{NAME}", "Doe, Jane", BORN])
def test_what_does_not_read_as_a_kernel_is_left_out(kernel: str) -> None:
    assert known_kernel(kernel) == ""
