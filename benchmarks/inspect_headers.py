"""Files a second of `cacnb inspect`, beside a plain loop of pydicom over the same files.

Both sides see the same synthetic files, in turn, in one run: headers of a chest CT with the tags
that scanners write, private groups and sequences among them, and sixteen pixels. Ours walks the
folder, reads every header, groups, orders and judges; the plain side only reads every header, as
`pydicom.dcmread(path, stop_before_pixels=True)` does, with no look at what stands in it.

    .venv/bin/python benchmarks/inspect.py [--files 20000] [--runs 3] [--json]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from statistics import median

import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from cacnb.ct.series import find_series

SLICES = 100
STEP_MM = 2.5


def header() -> bytes:
    """One slice as a scanner writes it; what differs from slice to slice stands as a mark."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3.4.5.6.7.77777771.77777772"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = "1.2.3.4"
    meta.ImplementationVersionName = "SYNTHETIC"
    d = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    texts = {
        "SpecificCharacterSet": "ISO_IR 100", "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "InstanceCreationDate": "20200101", "InstanceCreationTime": "120000",
        "SOPClassUID": CTImageStorage, "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "StudyDate": "20200101", "SeriesDate": "20200101", "AcquisitionDate": "20200101",
        "ContentDate": "20200101", "StudyTime": "120000", "SeriesTime": "120100",
        "AcquisitionTime": "120102", "ContentTime": "120103", "AccessionNumber": "0",
        "Modality": "CT", "Manufacturer": "SYNTHETIC", "InstitutionName": "none",
        "ReferringPhysicianName": "none", "StationName": "CT1", "StudyDescription": "CHEST",
        "SeriesDescription": "2.5 mm soft", "ManufacturerModelName": "S1",
        "PatientName": "synthetic", "PatientID": "synthetic", "PatientBirthDate": "19500101",
        "PatientSex": "O", "PatientAge": "070Y", "PatientWeight": "70", "BodyPartExamined": "CHEST",
        "ScanOptions": "HELICAL MODE", "SliceThickness": "2.5", "KVP": "120",
        "DataCollectionDiameter": "500", "DeviceSerialNumber": "0", "SoftwareVersions": "1.0",
        "ProtocolName": "chest", "ReconstructionDiameter": "360", "DistanceSourceToDetector": "949",
        "DistanceSourceToPatient": "541", "GantryDetectorTilt": "0", "TableHeight": "150",
        "RotationDirection": "CW", "ExposureTime": "500", "XRayTubeCurrent": "120",
        "Exposure": "60", "FilterType": "BODY", "GeneratorPower": "14", "FocalSpots": "0.7",
        "ConvolutionKernel": "STANDARD", "PatientPosition": "HFS", "RevolutionTime": 0.5,
        "SingleCollimationWidth": 0.625, "TotalCollimationWidth": 40.0, "TableSpeed": 78.0,
        "TableFeedPerRotation": 39.0, "SpiralPitchFactor": 0.98, "CTDIvol": 3.1,
        "StudyInstanceUID": "1.2.3.4.5.6.7.8", "SeriesInstanceUID": "1.2.3.4.5.6.7.77777771",
        "StudyID": "1", "SeriesNumber": "2", "AcquisitionNumber": "1",
        "InstanceNumber": "77777772", "ImagePositionPatient": ["-180.0", "-175.5", "77777.73"],
        "ImageOrientationPatient": ["1", "0", "0", "0", "1", "0"],
        "FrameOfReferenceUID": "1.2.3.4.5.6.7.9.77777771", "PositionReferenceIndicator": "XY",
        "SliceLocation": "77777.73", "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2", "Rows": 4, "Columns": 4,
        "PixelSpacing": ["0.703125", "0.703125"], "BitsAllocated": 16, "BitsStored": 16,
        "HighBit": 15, "PixelRepresentation": 1, "PixelPaddingValue": -2000,
        "WindowCenter": ["40", "-600"], "WindowWidth": ["400", "1600"], "RescaleIntercept": "-1024",
        "RescaleSlope": "1", "RescaleType": "HU", "RequestedProcedureDescription": "CT CHEST",
        "PerformedProcedureStepStartDate": "20200101", "PerformedProcedureStepID": "1",
    }  # fmt: skip
    for keyword, value in texts.items():
        setattr(d, keyword, value)
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "CT1", "LOCAL", "CT of chest"
    referred = Dataset()
    referred.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"
    referred.ReferencedSOPInstanceUID = "1.2.3.4.5.6.7.10"
    d.ProcedureCodeSequence = Sequence([code])
    d.ReferencedStudySequence = Sequence([referred])
    request = Dataset()
    request.ScheduledProcedureStepDescription = "CT CHEST"
    request.ScheduledProtocolCodeSequence = Sequence([code])
    d.RequestAttributesSequence = Sequence([request])
    for group, count in ((0x0009, 8), (0x0019, 40), (0x0043, 40)):
        block = d.private_block(group, "SYNTHETIC_01", create=True)
        for element in range(count):
            block.add_new(element, "DS" if element % 3 else "LO", f"{element}.{group}")
    d.PixelData = b"\0" * 32
    d["PixelData"].VR = "OW"
    out = BytesIO()
    d.save_as(out, enforce_file_format=True)
    return out.getvalue()


def write_files(folder: Path, files: int) -> None:
    """Series of a hundred slices, all in one folder, as a PACS exports them."""
    with pydicom.config.disable_value_validation():
        template = header()
    for i in range(files):
        series, slice_ = divmod(i, SLICES)
        content = template.replace(b"77777771", b"%08d" % (10_000_000 + series))
        content = content.replace(b"77777772", b"%08d" % (10_000_000 + slice_))
        content = content.replace(b"77777.73", b"%08.2f" % (slice_ * STEP_MM))
        (folder / f"I{i:07d}").write_bytes(content)


def ours(folder: Path) -> int:
    """Every series with its verdict; returns the files accounted for."""
    found = find_series([folder])
    return sum(len(series.files) for series in found.series) + len(found.unread)


def plain(folder: Path) -> int:
    """Every header, read one after the other."""
    return sum(
        "SOPClassUID" in pydicom.dcmread(path, stop_before_pixels=True)
        for path in sorted(folder.iterdir())
    )


def files_per_second(work: Callable[[Path], int], folder: Path, files: int) -> float:
    """Files a second of wall time; raises ValueError where a file is not accounted for."""
    start = time.perf_counter()
    found = work(folder)
    if found != files:
        raise ValueError(f"{found} of {files} files are accounted for")
    return files / (time.perf_counter() - start)


def main() -> None:
    """Print the table, or with --json one object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    files = arguments.files
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), files)
        runs = [
            (
                files_per_second(ours, Path(folder), files),
                files_per_second(plain, Path(folder), files),
            )
            for _ in range(arguments.runs)
        ]
    found = {
        "synthetic": True,
        "files": files,
        "runs": len(runs),
        "ours": {"files_per_second": median(run[0] for run in runs)},
        "plain": {"files_per_second": median(run[1] for run in runs)},
        "ours_to_plain": median(run[0] / run[1] for run in runs),
    }
    if arguments.json:
        print(json.dumps(found))
        return
    print(f"{files:,} synthetic header-only files, medians of {len(runs)} runs")
    print(f"cacnb inspect           {found['ours']['files_per_second']:>9,.0f} files a second")
    print(f"pydicom, headers alone  {found['plain']['files_per_second']:>9,.0f} files a second")
    print(f"ours to plain           {found['ours_to_plain']:>9.1f} ×")


if __name__ == "__main__":
    main()
