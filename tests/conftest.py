import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cacnb.ct.volume import Volume
from cacnb.ct.writing import write_image

REPOSITORY = Path(__file__).resolve().parents[1]


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
