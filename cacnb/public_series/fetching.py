"""Fetch public series into a folder: resumable, checked, never more than the disk holds."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cacnb.errors import InputError
from cacnb.files import or_cannot_write, write_atomically
from cacnb.public_series.attribution import write_attribution
from cacnb.public_series.hashes import matches
from cacnb.public_series.manifest import PublicSeries
from cacnb.public_series.object_store import ObjectStore, StoredObject

#: Tells (bytes done, bytes in all, what).
Tell = Callable[[int, int, str], None]

#: Where a folder keeps what was checked of each series, and the table of what came.
CHECKED, TABLE = ".fetched", "series.csv"

#: How much of the disk must stay free, bytes; series in one round of copying; rounds for what came
#: damaged or not at all.
SPARE_BYTES, SERIES_A_ROUND, ROUNDS = 200_000_000, 20, 2


@dataclass(frozen=True)
class Fetched:
    """How one series ended.

    Parameters
    ----------
    state
        `complete`; `incomplete` where files did not come or came damaged; `not_stored` where the
        store has none of it; `unknown` where no manifest or index tells where it is.
    files, checked
        Files that are here, and how many of them agree with the store's hash; of the others only
        the size could be compared.
    """

    series_uid: str
    collection: str
    state: str
    folder: str = ""
    files: int = 0
    checked: int = 0
    size_mb: float = 0.0
    why: str = ""


@dataclass
class _Job:
    """One series on its way: what the store has, what is here and right."""

    series: PublicSeries
    folder: Path
    objects: list[StoredObject] = field(default_factory=list)
    right: dict[str, bool] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> list[StoredObject]:
        return [one for one in self.objects if one.name not in self.right]


def fetch(
    series: list[PublicSeries],
    out: Path,
    store: ObjectStore,
    tell: Tell,
    *,
    check: bool = False,
) -> list[Fetched]:
    """Copy every file of some series to `out/<collection>/<series UID>/`, and check each.

    A file is right when its size and MD5 are the store's; one that is not is copied once more. A
    call that was stopped is repeated to go on: what was found right is not copied or read again.
    `ATTRIBUTION.md` is written before anything is copied, `series.csv` at the end.

    Parameters
    ----------
    check
        Read every file again, also what was found right before.

    Raises
    ------
    InputError
        `no_space` where the disk does not hold what is missing; `store_unreachable`, `no_client`,
        `cannot_write`.
    """
    with or_cannot_write(out):
        out.mkdir(parents=True, exist_ok=True)
    write_attribution(series, out)
    jobs = [_Job(one, out / one.collection / one.series_uid) for one in series]
    known = [job for job in jobs if job.series.url is not None]
    tell(0, 0, "asking the store")
    for some in _rounds(known, 100):
        listed = store.listed([str(job.series.url) for job in some])
        for job in some:
            job.objects = listed[str(job.series.url)]
    for job in known:
        _look(job, _record_file(out, job), check=check)
    _refuse_without_space(out, known)
    total = sum(one.size for job in known for one in job.objects)
    done = total - sum(one.size for job in known for one in job.missing)
    tell(done, total, "")
    for some in _rounds([job for job in known if job.missing], SERIES_A_ROUND):
        for _ in range(ROUNDS):
            for size, name in _copy(some, store):
                done += size
                tell(done, total, name)
        for job in some:
            _write_record(job, _record_file(out, job))
    found = [_ended(job, out) for job in jobs]
    _write_table(found, out)
    return found


def _rounds(jobs: list[_Job], size: int) -> Iterator[list[_Job]]:
    for start in range(0, len(jobs), size):
        yield jobs[start : start + size]


def _record_file(out: Path, job: _Job) -> Path:
    return out / CHECKED / f"{job.series.series_uid}.json"


def _look(job: _Job, record: Path, *, check: bool) -> None:
    """Find which files are here and right: by the record of an earlier call, else by hash."""
    _clear_halves(job)
    told = {} if check else _read_record(record)
    for one in job.objects:
        file = job.folder / one.name
        if not file.is_file() or file.stat().st_size != one.size:
            continue
        if told.get(one.name, [])[:3] == [one.etag, one.size, file.stat().st_mtime_ns]:
            job.right[one.name] = bool(told[one.name][3])
        else:
            _judge(job, one)
    _write_record(job, record)


def _clear_halves(job: _Job) -> None:
    """Take away what a killed s5cmd leaves behind: half a file, its name followed by digits."""
    names = {one.name for one in job.objects}
    for file in job.folder.glob("*"):
        if file.name not in names and file.name.rstrip("0123456789") in names:
            file.unlink()


def _judge(job: _Job, one: StoredObject) -> bool:
    """Whether a file that is here is the store's; one that is not is taken away."""
    file = job.folder / one.name
    same = matches(file, one.etag) if file.stat().st_size == one.size else False
    if same is False:
        file.unlink()
        job.wrong[one.name] = "it came damaged"
        return False
    job.right[one.name] = same is True
    job.wrong.pop(one.name, None)
    return True


def _copy(jobs: list[_Job], store: ObjectStore) -> Iterator[tuple[int, str]]:
    """Copy what is missing of some series, yielding size and name of each file that is right."""
    wanted = {job.folder / one.name: (job, one) for job in jobs for one in job.missing}
    if not wanted:
        return
    for job in jobs:
        with or_cannot_write(job.folder):
            job.folder.mkdir(parents=True, exist_ok=True)
    for file, error in store.copied([(one, file) for file, (_, one) in wanted.items()]):
        job, one = wanted[file]
        if error or not file.is_file():
            job.wrong[one.name] = error or "it did not come"
        elif _judge(job, one):
            yield one.size, one.name


def _refuse_without_space(out: Path, jobs: list[_Job]) -> None:
    needed = sum(one.size for job in jobs for one in job.missing)
    free = shutil.disk_usage(out).free
    if needed and needed + SPARE_BYTES > free:
        raise InputError(
            "no_space",
            f"{needed / 1e9:.1f} GB are to come and {free / 1e9:.1f} GB are free at {out}: free "
            "space, choose another --out, or fetch fewer with --patients",
        )


def _read_record(file: Path) -> dict[str, list[object]]:
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # no record: the files are read again
    return told if isinstance(told, dict) else {}


def _write_record(job: _Job, file: Path) -> None:
    if not job.right:
        return
    by_name = {one.name: one for one in job.objects}
    told = {
        name: [
            by_name[name].etag, by_name[name].size,
            (job.folder / name).stat().st_mtime_ns, hashed,
        ]
        for name, hashed in sorted(job.right.items())
    }  # fmt: skip
    write_atomically(json.dumps(told), file)


def _ended(job: _Job, out: Path) -> Fetched:
    series = job.series
    if series.url is None:
        return Fetched(
            series.series_uid, series.collection, "unknown",
            why="no index of this version has it: check the UID",
        )  # fmt: skip
    if not job.objects:
        return Fetched(
            series.series_uid, series.collection, "not_stored",
            why="the store has no file of it: it may have been withdrawn or revised",
        )  # fmt: skip
    whole = not job.missing
    names = [f"{name}: {why}" for name, why in sorted(job.wrong.items())]
    return Fetched(
        series.series_uid, series.collection, "complete" if whole else "incomplete",
        str(job.folder.relative_to(out)), len(job.right), sum(job.right.values()),
        sum(one.size for one in job.objects if one.name in job.right) / 1e6,
        "" if whole else f"{len(job.missing)} files are missing; {'; '.join(names[:2])}",
    )  # fmt: skip


def _write_table(found: list[Fetched], out: Path) -> None:
    text = io.StringIO()
    rows = [asdict(one) for one in found]
    table = csv.DictWriter(text, list(Fetched.__dataclass_fields__), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_atomically(text.getvalue(), out / TABLE)
