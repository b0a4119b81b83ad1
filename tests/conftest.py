import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cacnb.ct.grids import resample
from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_image
from cacnb.results import write_results
from cacnb.scoring.clinical import score_clinically
from cacnb.scoring.conventions import convention
from cacnb.scoring.proposed import score_map
from cacnb.scoring.scored_scan import ScoredScan

#: Marks of tests that take long.
LONG = ("slow", "browser")

REPOSITORY = Path(__file__).resolve().parents[1]

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--disable-quic",
]  # fmt: skip


def pytest_collection_modifyitems(items):
    """Files with long tests come first: no process waits at the end for another's last file."""
    long = {item.path for item in items for mark in LONG if item.get_closest_marker(mark)}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests of a process: a second could not be started beside it."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip(f"Chromium is not at {CHROMIUM}: apt-get install chromium")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser):
    """Opens a file; the page lists what it asked for (`asked`) and complained of (`said`)."""
    pages = []

    def open_file(path):
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        pages.append(page)
        page.set_default_timeout(120_000)
        page.asked, page.said = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.goto(path.as_uri(), wait_until="load")
        return page

    yield open_file
    for page in pages:
        page.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    path = REPOSITORY.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"real CT data for development is not at {path}")
    return path


class PostgresServer:
    """A PostgreSQL server of its own in a temporary folder, for one run of the tests."""

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        # PostgreSQL does not run as root: Debian's own user does.
        self.as_user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        self.folder = Path(tempfile.mkdtemp(prefix="cacnb-postgres-"))
        if self.as_user:
            shutil.chown(self.folder, "postgres", "postgres")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.password = secrets.token_hex(8)
        word = self.folder / "password"
        word.write_text(self.password)
        if self.as_user:
            shutil.chown(word, "postgres", "postgres")
        self.run(
            "initdb", "-D", self.data, "-U", "reader", "--pwfile", str(word), "--locale=C",
            "--encoding=UTF8", "--auth=scram-sha-256",
        )  # fmt: skip

    @property
    def data(self) -> str:
        return str(self.folder / "data")

    def run(self, program: str, *arguments: str) -> None:
        call = [*self.as_user, str(self.programs / program), *arguments]
        done = subprocess.run(
            call, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, timeout=120, cwd=self.folder, check=False,
        )  # fmt: skip
        if done.returncode:
            raise OSError(f"{program}: {done.stderr.strip()[-300:]}")

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder}"
        self.run(
            "pg_ctl", "start", "-w", "-D", self.data, "-l", f"{self.folder}/log", "-o", options
        )

    def stop(self, how: str = "fast") -> None:
        """`immediate` is a crash: the next start recovers from the log."""
        self.run("pg_ctl", "stop", "-w", "-D", self.data, "-m", how)

    def url(self, database: str) -> str:
        return f"postgresql://reader:{self.password}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    pytest.importorskip("psycopg", reason="the extra `postgresql` is not installed")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [
        Path(path) for path in [shutil.which("initdb")] if path
    ]
    if not found:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    server = None
    try:
        server = PostgresServer(found[-1].parent)
        server.start()
    except (OSError, LookupError, subprocess.TimeoutExpired) as error:
        if server is not None:
            shutil.rmtree(server.folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL cannot be started: {error}")
    yield server
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The address, with its password, of an empty database."""
    name = f"labels_{secrets.token_hex(4)}"
    postgres_server.execute(f"CREATE DATABASE {name}")
    yield postgres_server.url(name)
    postgres_server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def reading_study(tmp_path_factory) -> Path:
    """Ten small scans of fifty heart slices, a bright rod in each."""
    folder = tmp_path_factory.mktemp("reading") / "study"
    rng = np.random.default_rng(0)
    rows = []
    for i in range(10):
        hu = rng.normal(40, 15, (50, 48, 48))
        hu[:, 20:23, 20:23] = 400 + i
        hu[:, :2] = -1000
        scan = Volume(np.rint(hu).astype(np.float32), (3.0, 1.0, 1.0))
        heart = np.zeros(scan.shape, bool)
        heart[:, 8:40, 8:40] = True
        write_image(scan, folder / "scans" / f"s{i}.nii.gz")
        write_image(scan.with_array(heart), folder / "masks" / f"s{i}.nii.gz")
        rows.append(
            {"scan": f"s{i}", "patient": f"p{i}", "pair": f"p{i}", "breath_hold": True,
             "set": "test", "path": f"scans/s{i}.nii.gz", "kvp": 120.0}
        )  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "cohort.csv", index=False)
    (folder / "study.toml").write_text('name = "room"\n', encoding="utf-8")
    return folder


#: The lesions of every scored scan: first corner (z, y, x) on the map's grid, map HU, artery; cubes
#: of three voxels.
SCORED_LESIONS = (((6, 10, 10), 80, "LAD"), ((14, 20, 24), 40, "RCA"))


def write_scored_scan(study: Path, name: str, factor: float = 1.0) -> None:
    """Write a scan of 40 HU with two bright cubes, its heart, and its scores."""
    array = np.full((12, 40, 40), 40, np.float32)
    scan = Volume(array, (3.0, 1.0, 1.0))
    image = resample(scan, (1.5, 1.0, 1.0))
    map_hu = np.zeros(image.shape, np.float32)
    for (z, y, x), hu, _ in SCORED_LESIONS:
        map_hu[z : z + 3, y : y + 3, x : x + 3] = hu * factor
    array[3:5, 10:13, 10:13] = 150
    cac_map = image.with_array(map_hu)
    z, y, x = np.ogrid[:24, :40, :40]
    heart = image.with_array((abs(z - 12) < 8) & ((y - 18) ** 2 + (x - 18) ** 2 < 15**2))
    path = study / "scans" / f"{name}.nii.gz"
    write_image(scan, path)
    names = iter(artery for _, _, artery in SCORED_LESIONS)
    proposed = score_map(cac_map, image, artery_of=lambda _: next(names))
    everywhere = scan.with_array(np.ones(scan.shape, bool))
    clinical = score_clinically(scan, everywhere, convention("literature"))
    result = ScoredScan(
        path, None, (), {}, {"name": "of this test"}, name=name, image=image, heart=heart,
        probability_of_cac=np.full(24, 0.9, np.float32), cac_map=cac_map, proposed=proposed,
        clinical=replace(clinical, lesions=clinical.lesions.assign(artery="LAD")),
    )  # fmt: skip
    write_results(result, study / "scores")


@pytest.fixture(scope="session")
def scored_study(tmp_path_factory) -> Path:
    """Three scans: `one` and `two`, a pair with scores, and `three` without."""
    study = tmp_path_factory.mktemp("scored") / "study"
    write_scored_scan(study, "one")
    write_scored_scan(study, "two", factor=2.0)
    rows = [(name, "p", "p", f"scans/{name}.nii.gz") for name in ("one", "two")]
    rows.append(("three", "q", "q", "scans/three.nii.gz"))
    cohort = pd.DataFrame(rows, columns=["scan", "patient", "pair", "path"])
    cohort.to_csv(study / "cohort.csv", index=False)
    return study
